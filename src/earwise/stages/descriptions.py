"""Samples with the descriptions of their sounds."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

from earwise.data.descriptions import read_descriptions
from earwise.errors import InputError
from earwise.models.views import Sample


def with_descriptions(samples: Iterable[Sample], path: Path) -> list[Sample]:
    """`samples` with what the file `path` says of their sounds, as the view `description_text` shows it.

    Every turn gets its own item's description; a conversation needs that of its first turn. Raises `InputError` naming
    the first sample without one: a training that silently left it out would compare other items.
    """
    texts = read_descriptions(path)
    described = []
    for sample in samples:
        if sample.key not in texts:
            remedy = "describe its sound, or leave the item out of the data"
            raise InputError("no description of this item", file=path, record=sample.key, remedy=remedy)
        turns = tuple(replace(turn, description=texts.get(turn.item.id)) for turn in sample.turns)
        described.append(replace(sample, turns=turns))
    return described
