"""Benchmark files of one's own, read as `[evaluate.own.NAME]` of a recipe says: a TSV table, or JSON records.

Rows that cannot be asked although nothing about them is wrong (no image, several images) are left out and counted.
Everything else that is wrong is an error with file and row.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Final

from earwise.data.drops import Drops
from earwise.data.own_records import read_records
from earwise.data.own_rows import LeftOut, own_layout
from earwise.data.own_sources import OwnSource
from earwise.data.suffixes import split_suffix
from earwise.data.tsv import scan_tsv
from earwise.data.tsv_images import SeveralImages
from earwise.errors import InputError
from earwise.io.files import found_file
from earwise.recipe.evaluate import Own
from earwise.records import Item

Refuse = Callable[[InputError], None]
NO_IMAGE: Final = "no image"
SEVERAL: Final = "several images"


@dataclass
class OwnFile:
    """What a file holds."""

    items: list[Item] = field(default_factory=list)
    left_out: Drops = field(default_factory=Drops)
    odd: list[tuple[str, str]] = field(default_factory=list)
    """Rows that are read although they are odd, and what is odd about each."""
    pictures: list[tuple[str, str]] = field(default_factory=list)
    """Rows whose image is not shown as it is, where images are decoded."""


def read_own(name: str, own: Own, refuse: Refuse | None = None, *, write_images: bool = True) -> OwnFile:
    """All of the file of benchmark `name`; media paths of its items are relative to the file's folder.

    `refuse` is called with every row that cannot be used; None to raise the first error. Without `write_images` every
    image is decoded in place of being written to the cache. Raises `InputError` naming the file for one that is not
    there, lacks a column or has no items.
    """
    source = OwnSource(name, own)
    if not found_file(source.path):
        raise InputError(f"no file for benchmark {name!r}", file=source.path, remedy=f"mend evaluate.own.{name}.file")
    found, told = OwnFile(), refuse or _raise

    def judge(error: InputError) -> None:
        if isinstance(error, LeftOut | SeveralImages):
            reason = SEVERAL if isinstance(error, SeveralImages) else error.what
            found.left_out.add(reason, str(error.record))
        else:
            told(InputError(error.what, file=error.file, record=error.record, remedy=error.remedy or source.remedy))

    if own.read_as == "tsv":
        scan = scan_tsv(
            source.path, own_layout(source), own.split, lambda _, error: judge(error), write_images=write_images
        )
        found.items, found.odd, found.pictures = scan.items, scan.short, scan.pictures
    else:
        found.items = read_records(source, judge)
    if not found.items and refuse is None:
        left_out = "".join(f", {line}" for line in found.left_out.lines())
        raise InputError(f"no items{f' of split {own.split!r}' if own.split else ''}{left_out}", file=source.path)
    found.items = [_completed(item, own) for item in found.items]
    return found


def _completed(item: Item, own: Own) -> Item:
    """`item` with the recipe's suffix and kind where it has none of its own."""
    question, asked = split_suffix(item.question)
    suffix = asked or item.suffix
    return item.model_copy(update={"question": question, "suffix": suffix, "kind": item.kind or own.kind})


def _raise(error: InputError) -> None:
    raise error


def odd_lines(found: OwnFile) -> Sequence[str]:
    """One line for each kind of oddness, with its first row."""
    lines = list(found.left_out.lines())
    if found.odd:
        record, what = found.odd[0]
        lines.append(f"{len(found.odd)} rows are short and are filled up (first: {record}: {what})")
    return lines
