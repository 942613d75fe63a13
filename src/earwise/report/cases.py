"""Figure 9 of arXiv 2503.00059: items of the page on which views or training runs disagree.

Cases are the first of each kind in the order of the page, which does not depend on outcomes. Cases chosen by hand
could show anything.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from earwise.report.grids import benchmark_label
from earwise.report.items import RIGHT_FROM, Cell, ShownItem, make_cell
from earwise.report.paper_tables import compared
from earwise.report.study import Regime, Study
from earwise.report.summary import OVERALL, Pair, Summary
from earwise.report.words import model_label

MOST_CASES = 2
"""Cases of each kind under each regime."""

Right = tuple[bool, bool, bool]
"""Whether the typed answer, SFT's spoken one and Self-KD's spoken one are right."""

PATTERNS: Mapping[str, Callable[[Right], bool]] = {
    "Typed right; spoken, SFT wrong and Self-KD right": lambda right: right == (True, False, True),
    "Typed right; spoken, SFT right and Self-KD wrong": lambda right: right == (True, True, False),
    "Typed right; spoken, both wrong": lambda right: right == (True, False, False),
    "Typed wrong; spoken, at least one right": lambda right: not right[0] and (right[1] or right[2]),
}


@dataclass(frozen=True)
class Case:
    """One item: `place` is its number among the items of the page, `cells` the answers under the table's columns."""

    place: int
    question: str
    benchmark: str
    gold: str
    cells: tuple[Cell | None, ...]


@dataclass(frozen=True)
class CaseGroup:
    """Cases of one kind, and the number of items of this kind on the page."""

    title: str
    count: int
    cases: tuple[Case, ...]


@dataclass(frozen=True)
class CaseTable:
    """The cases of one regime; `flips` reports how often Self-KD and SFT disagree over all items."""

    title: str
    columns: tuple[str, ...]
    groups: tuple[CaseGroup, ...]
    items: int
    flips: str


def case_tables(summary: Summary, study: Study, shown: Sequence[ShownItem]) -> tuple[CaseTable, ...]:
    """One table per regime with SFT and Self-KD; empty if no item is shown under both views."""
    tables = (_case_table(summary, study, regime, shown) for regime in study.regimes)
    return tuple(table for table in tables if table is not None and table.items)


def _case_table(summary: Summary, study: Study, regime: Regime, shown: Sequence[ShownItem]) -> CaseTable | None:
    if regime.sft is None or regime.self_kd is None:
        return None
    names = (regime.start, regime.sft.name, regime.self_kd.name)
    asked = {n: right for n, one in enumerate(shown, start=1) if (right := _right(one, names, summary.pair))}
    models = [regime.start, *(training.name for training in regime.named)]
    labels = [model_label(regime.start), *(training.label for training in regime.named)]
    groups = []
    for title, fits in PATTERNS.items():
        places = [place for place, right in asked.items() if fits(right)]
        cases = tuple(_case(place, shown[place - 1], models, summary.pair) for place in places[:MOST_CASES])
        groups.append(CaseGroup(title, len(places), cases))
    columns = ("Typed", *(f"{label}, spoken" for label in labels))
    title = regime.label if len(study.regimes) > 1 else ""
    return CaseTable(title, columns, tuple(groups), len(asked), _flips(summary, regime))


def _right(one: ShownItem, models: tuple[str, str, str], pair: Pair) -> Right | None:
    """Outcomes of the start (typed), SFT and Self-KD (spoken); None if an answer is missing."""
    asked = zip(models, (pair.text, pair.speech, pair.speech), strict=True)
    first, second, third = (one.answers.get(model, {}).get(view) for model, view in asked)
    if first is None or second is None or third is None:
        return None
    return first.value >= RIGHT_FROM, second.value >= RIGHT_FROM, third.value >= RIGHT_FROM


def _case(place: int, one: ShownItem, models: Sequence[str], pair: Pair) -> Case:
    given = [one.answers.get(models[0], {}).get(pair.text)]
    given += [one.answers.get(model, {}).get(pair.speech) for model in models]
    return Case(
        place=place,
        question=one.item.question,
        benchmark=benchmark_label(one.item.source),
        gold=" / ".join(dict.fromkeys(one.item.answers)),
        cells=tuple(None if answer is None else make_cell(answer) for answer in given),
    )


def _flips(summary: Summary, regime: Regime) -> str:
    """Over all items and per seed: on how many Self-KD beats SFT, and the reverse; empty if not recorded."""
    one = compared(summary, regime.self_kd.name, regime.sft.name, OVERALL) if regime.sft and regime.self_kd else None
    counts = [
        f"{each.only_first:,} and {each.only_second:,} (seed {each.seed})"
        for each in (one.each_seed if one else ())
        if each.only_first is not None and each.only_second is not None
    ]
    if one is None or not counts:
        return ""
    return f"Of {one.n:,} items, Self-KD scores higher and lower than SFT on: {', '.join(counts)}."
