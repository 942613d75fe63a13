"""A benchmark is one frozen value: everything that is particular to it stands in it, and nowhere else."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from earwise.data.choices import LETTERS
from earwise.data.findings import Finding
from earwise.data.public_files import PublicFile
from earwise.data.tsv import read_tsv
from earwise.data.tsv_layouts import Layout
from earwise.evaluate.metrics import MakeMetric, mean
from earwise.evaluate.reading import READERS, Reader, Scorer, reading
from earwise.records import Item

Read = Callable[[Path, Any], list[Item]]
"""Of the file's path and the benchmark's options; gives its items, media paths relative to the file's folder.

Raises `InputError` naming file and record for a record that cannot be used.
"""


@dataclass(frozen=True)
class Rules:
    """How answers are scored. Benchmarks that are parts of one another share them."""

    name: str
    """Under which `scoring.score` knows them."""
    by_profile: Mapping[str, Scorer]
    """Profile -> what scores an answer. A profile is missing where nothing of that name can be computed."""
    ours: bool = False
    """Rules of earwise that no kit has: an output is read as in `strict` under every profile."""

    def reader(self, profile: str) -> Reader:
        """What takes the answer out of an output."""
        return READERS["strict" if self.ours else profile]

    @cached_property
    def scorers(self) -> Mapping[str, Scorer]:
        """Profile -> what scores an output: it is read (`reading`), then scored."""
        return {profile: reading(self.reader(profile), rule) for profile, rule in self.by_profile.items()}


@dataclass(frozen=True)
class Total:
    """A number that is reported of a benchmark beside its score."""

    name: str
    """In `summary.json`."""
    label: str
    """On the page; empty for one that is not shown, because it is the score itself."""
    metric: MakeMetric


def given(item: Item) -> tuple[str, ...]:
    """The gold answers as the item has them."""
    return item.answers


def option_text(item: Item) -> tuple[str, ...]:
    """The text of the gold option: options may be letters themselves (chords), so its letter could mean two."""
    return (item.choices[LETTERS.index(item.answers[0])],) if item.choices else item.answers


def option_place(item: Item) -> tuple[str, ...]:
    """The place of the gold option, from 0."""
    return (str(LETTERS.index(item.answers[0])),) if item.choices else item.answers


def no_doubts(items: Sequence[Item]) -> Iterable[Finding]:
    """Nothing to add to what every audit finds."""
    return ()


@dataclass(frozen=True, kw_only=True)
class Benchmark:
    """One benchmark. Only what differs from an open question with a mean score need be given."""

    name: str
    """In recipes, scores and `summary.json`."""
    label: str
    """As people write it, on the page."""
    file: PublicFile
    """The file that holds it, and what an audit expects of it."""
    read: Read
    rules: Rules
    gold: Callable[[Item], tuple[str, ...]] = given
    """Accepted answers of an item in the form that the rules take without doubt."""
    metric: MakeMetric = mean
    """The number, 0-100, of the scores of one model under one view."""
    totals: tuple[Total, ...] = ()
    yes_no: bool = False
    """Questions ask for yes or no: the share of answers that say yes is reported."""
    items_weigh_alike: bool = True
    """Else a difference has its p from the resamples' standard error, because McNemar's test counts items."""
    kind_intervals: bool = False
    """Each kind with enough items is reported with its interval."""
    options: Any = None
    """What the reader is given unless a recipe chooses otherwise."""
    table: str = ""
    """Name of the recipe's table below `[evaluate]` that chooses the options."""
    doubts: Callable[[Sequence[Item]], Iterable[Finding]] = no_doubts
    """What an audit has to say of the gold answers, beyond what every audit does."""


def plain(read: Callable[[Path], list[Item]]) -> Read:
    """A reader that has no options."""
    return lambda path, options: read(path)


def table_reader(layout: Layout, split: str | None = None, known: Mapping[str, str] | None = None) -> Read:
    """The reader of a TSV file; see `tsv.read_tsv`."""
    return lambda path, options: read_tsv(path, layout, split=split, known_defects=known)
