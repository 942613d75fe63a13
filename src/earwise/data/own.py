"""A user's own benchmark files, as `[evaluate.own.NAME]` of a recipe describes them: a TSV table, or JSON records.

Correct rows that cannot be asked (no image, several images) are left out and counted. All other problems are errors
with file and row.
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
SEVERAL: Final = "several images"


@dataclass
class OwnFile:
    """The content of a file."""

    items: list[Item] = field(default_factory=list)
    left_out: Drops = field(default_factory=Drops)
    odd: list[tuple[str, str]] = field(default_factory=list)
    """Odd rows that are still read, and their oddness."""
    pictures: list[tuple[str, str]] = field(default_factory=list)
    """Rows whose image changes when it is shown, if images are decoded."""


def read_own(name: str, own: Own, refuse: Refuse | None = None, *, write_images: bool = True) -> OwnFile:
    """The whole file of benchmark `name`; media paths of its items are relative to the file's folder.

    `refuse` is called with every unusable row; None raises the first error. Without `write_images`, images are decoded
    instead of written to the cache. Raises `InputError` naming a file that is missing, lacks a column or has no items.
    """
    source = OwnSource(name, own)
    if not found_file(source.path):
        raise InputError(f"no file for benchmark {name!r}", file=source.path, remedy=f"mend evaluate.own.{name}.file")
    found, report = OwnFile(), refuse or _raise

    def judge(error: InputError) -> None:
        if isinstance(error, LeftOut | SeveralImages):
            reason = SEVERAL if isinstance(error, SeveralImages) else error.what
            found.left_out.add(reason, str(error.record))
        else:
            report(InputError(error.what, file=error.file, record=error.record, remedy=error.remedy or source.remedy))

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
    """`item` with the recipe's kind if it has none, and the suffix apart from the question."""
    question, asked = split_suffix(item.question)
    suffix = asked or item.suffix
    return item.model_copy(update={"question": question, "suffix": suffix, "kind": item.kind or own.kind})


def _raise(error: InputError) -> None:
    raise error


def odd_lines(found: OwnFile) -> Sequence[str]:
    """One line for each kind of odd row, with the first such row."""
    lines = list(found.left_out.lines())
    if found.odd:
        record, what = found.odd[0]
        lines.append(f"{len(found.odd)} rows are short and are filled up (first: {record}: {what})")
    return lines
