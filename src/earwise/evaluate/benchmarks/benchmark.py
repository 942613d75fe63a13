"""A benchmark is one frozen value that holds everything specific to it."""

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
"""From the file's path and the benchmark's options to its items, media paths relative to the file's folder.

Raises `InputError` naming file and record for a record that cannot be used.
"""


@dataclass(frozen=True)
class Rules:
    """How answers are scored. Parts of one benchmark share their rules."""

    name: str
    """The name for `scoring.score`."""
    by_profile: Mapping[str, Scorer]
    """Profile -> scorer of answers, without profiles that cannot be computed."""
    ours: bool = False
    """Rules that no kit has: every profile reads outputs as `strict` does."""

    def reader(self, profile: str) -> Reader:
        """Extracts the answer from an output."""
        return READERS["strict" if self.ours else profile]

    @cached_property
    def scorers(self) -> Mapping[str, Scorer]:
        """Profile -> scorer of outputs, which reads them first (`reading`)."""
        return {profile: reading(self.reader(profile), rule) for profile, rule in self.by_profile.items()}


@dataclass(frozen=True)
class Total:
    """A number reported beside a benchmark's score."""

    name: str
    """Its name in `summary.json`."""
    label: str
    """On the page; empty for a number that is the score itself and not shown again."""
    metric: MakeMetric


def given(item: Item) -> tuple[str, ...]:
    """The gold answers as the item has them."""
    return item.answers


def option_text(item: Item) -> tuple[str, ...]:
    """The text of the gold option. Its letter would be ambiguous where options are letters themselves (chords)."""
    return (item.choices[LETTERS.index(item.answers[0])],) if item.choices else item.answers


def option_place(item: Item) -> tuple[str, ...]:
    """The place of the gold option, from 0."""
    return (str(LETTERS.index(item.answers[0])),) if item.choices else item.answers


def no_doubts(items: Sequence[Item]) -> Iterable[Finding]:
    """No findings beyond those of every audit."""
    return ()


@dataclass(frozen=True, kw_only=True)
class Benchmark:
    """One benchmark. The defaults describe open questions with a mean score."""

    name: str
    """The name in recipes, scores and `summary.json`."""
    label: str
    """The name on the page."""
    file: PublicFile
    """Its file, and what an audit expects of it."""
    read: Read
    rules: Rules
    gold: Callable[[Item], tuple[str, ...]] = given
    """Accepted answers of an item in an unambiguous form for the rules."""
    metric: MakeMetric = mean
    """The number, 0-100, of the scores of one model under one view."""
    totals: tuple[Total, ...] = ()
    yes_no: bool = False
    """Whether questions ask for yes or no, so that the share of yes answers is reported."""
    items_weigh_alike: bool = True
    """If not, p of a difference comes from the resamples' standard error, because McNemar's test counts items."""
    kind_intervals: bool = False
    """Whether each kind with enough items is reported with its interval."""
    options: Any = None
    """The reader's options, unless a recipe chooses others."""
    table: str = ""
    """The recipe's table below `[evaluate]` that chooses the options."""
    doubts: Callable[[Sequence[Item]], Iterable[Finding]] = no_doubts
    """Findings about the gold answers, beyond those of every audit."""


def plain(read: Callable[[Path], list[Item]]) -> Read:
    """A reader without options."""
    return lambda path, options: read(path)


def table_reader(layout: Layout, split: str | None = None, known: Mapping[str, str] | None = None) -> Read:
    """The reader of a TSV file; see `tsv.read_tsv`."""
    return lambda path, options: read_tsv(path, layout, split=split, known_defects=known)
