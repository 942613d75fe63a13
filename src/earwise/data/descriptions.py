"""Descriptions of sounds, which replace the sounds for text models (`descriptions.jsonl`, one line per item)."""

from __future__ import annotations

from pathlib import Path

from earwise.records import NonEmpty, Record
from earwise.work.store import read_jsonl

FILE = "descriptions.jsonl"


class Description(Record):
    """The sound of one item as text, and the source of the text."""

    item: NonEmpty
    text: NonEmpty
    source: NonEmpty
    """A model and its prompt, a transcript with tags, the caption of a chain."""

    @property
    def key(self) -> str:
        """The item."""
        return self.item


def read_descriptions(path: Path) -> dict[str, str]:
    """Text by item id. Raises `InputError` for a missing file, a broken line and an item with two descriptions."""
    return {description.item: description.text for description in read_jsonl(path, Description)}
