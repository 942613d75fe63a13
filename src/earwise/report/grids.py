"""Tables as plain values: a grid of cells, each with its number, its interval, and each seed's own number."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from earwise.evaluate.benchmarks.registry import find, total_label
from earwise.evaluate.estimates import MEAN
from earwise.report.summary import OVERALL, Comparison, GapScore, Interval, ViewScore
from earwise.report.words import interval, number, p_phrase

_LABELS = {OVERALL: "All items", MEAN: "Mean"}
"""Labels of rows that are no benchmark."""


@dataclass(frozen=True)
class Cell:
    """A number in words, and the lines below it: interval, seeds, p."""

    text: str
    small: tuple[str, ...] = ()


@dataclass(frozen=True)
class GridRow:
    """A line of a grid; a cell of None was not measured."""

    label: str
    cells: tuple[Cell | None, ...]
    note: str = ""
    """Below the label, in words."""
    model: str = ""
    """Below the label, a model's name in the recipe."""


@dataclass(frozen=True)
class GridGroup:
    """Rows under a title that spans the table; an empty title has no line."""

    title: str
    rows: tuple[GridRow, ...]


@dataclass(frozen=True)
class Grid:
    """A table: its name, the head of its first column, the other columns as (title, note), rows in groups."""

    caption: str
    head: str
    columns: tuple[tuple[str, str], ...]
    groups: tuple[GridGroup, ...]
    notes: tuple[str, ...] = ()
    """Below the table."""

    @property
    def empty(self) -> bool:
        """Whether there is nothing to show."""
        return not any(group.rows for group in self.groups)


def benchmark_label(name: str) -> str:
    """A benchmark's name as people write it; an unknown name stays as it is."""
    benchmark = find(name) if name not in _LABELS else None
    return benchmark.label if benchmark is not None else _LABELS.get(name, name)


def score_cell(score: ViewScore | None) -> Cell | None:
    """A score with its interval, the seeds' scores if there are several, and its other numbers below."""
    if score is None:
        return None
    cell = number_cell(score.score, score.ci95, score.by_seed)
    return Cell(cell.text, (*cell.small, *_totals(score)))


def _totals(score: ViewScore) -> list[str]:
    """`WA 48.1 (46.2 to 50.0)`, one line for each number that is not the score itself."""
    told = []
    for name, one in score.totals.items():
        if label := total_label(name):
            told.append(f"{label} {number(one.value)}" + (f" ({interval(one.ci95)})" if one.ci95 else ""))
    return told


def gap_cell(gap: GapScore | None) -> Cell | None:
    """A difference of two views with its interval and seeds."""
    return number_cell(gap.value, gap.ci95, gap.by_seed) if gap else None


def comparison_cell(one: Comparison | None) -> Cell | None:
    """A signed difference of two models with its interval, seeds and p."""
    if one is None:
        return None
    seeds = tuple(seed.value for seed in one.each_seed)
    cell = number_cell(one.value, one.ci95, seeds, signed=True)
    return Cell(cell.text, (*cell.small, p_phrase(one.p))) if one.p is not None else cell


def share_cell(share: float | None, ci95: Interval | None) -> Cell | None:
    """A share from 0 to 1 in percent with its interval."""
    return None if share is None else number_cell(100 * share, (100 * ci95[0], 100 * ci95[1]) if ci95 else None, ())


def count_cell(n: int) -> Cell:
    """A count."""
    return Cell(f"{n:,}")


def number_cell(value: float, ci95: Interval | None, seeds: Sequence[float], *, signed: bool = False) -> Cell:
    """A number with its interval, and the seeds' numbers if there are several."""
    small = [interval(ci95)] if ci95 else []
    if len(seeds) > 1:
        small.append(", ".join(number(seed, signed=signed) for seed in seeds))
    return Cell(number(value, signed=signed), tuple(small))
