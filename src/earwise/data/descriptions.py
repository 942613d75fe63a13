"""Descriptions of sounds: what a text model is shown in their place (`descriptions.jsonl`, one line per item)."""

from __future__ import annotations

from pathlib import Path

from earwise.records import NonEmpty, Record
from earwise.work.store import read_jsonl

FILE = "descriptions.jsonl"


class Description(Record):
    """The sound of one item as text, and whose words they are."""

    item: NonEmpty
    text: NonEmpty
    source: NonEmpty
    """A model and how it was asked, a transcript with tags, the caption of a chain."""

    @property
    def key(self) -> str:
        """The item."""
        return self.item


def read_descriptions(path: Path) -> dict[str, str]:
    """Text by item id. Raises `InputError` for a missing file, a broken line and an item that is described twice."""
    return {description.item: description.text for description in read_jsonl(path, Description)}
