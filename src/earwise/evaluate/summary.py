"""From item scores to `summary.json`: scores with intervals, gaps between views, differences between models, voices.

Scores of several seeds are averaged item by item before resampling, so an interval is about items; `by_seed` keeps each
seed's number.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import numpy as np
from scipy import stats

from earwise.errors import InputError
from earwise.evaluate.benchmarks.outcome import asks_yes_no, by_kind, invalid_rate, yes_rate
from earwise.evaluate.benchmarks.registry import find
from earwise.evaluate.estimates import MEAN, Cells, clusters, columns_of, estimate, number, other_totals, yes_interval
from earwise.evaluate.gap import paired_gap
from earwise.evaluate.outcomes import OVERALL as OVERALL
from earwise.evaluate.suite import COLUMNS
from earwise.evaluate.yes_no import parse_strict
from earwise.records import Score, View
from earwise.views import SPOKEN_VIEWS

KIND_ITEMS = 20
"""A relation of MMAlign with fewer items gets no interval, which would span most of the scale."""

STEPS: Mapping[str, tuple[View, View]] = {
    "normalisation": ("image_text", "image_spoken_form"),
    "hearing": ("image_spoken_form", "image_speech"),
}
"""The two steps of the gap between a written and a heard question: the loss from words in place of digits and signs,
and the loss from hearing the words. They add up to the whole gap.
"""

Json = dict[str, Any]


@dataclass(frozen=True)
class ScoreTable:
    """Scores by (seed, model, benchmark, view), each list sorted by item. `OVERALL` is a benchmark too, and so is
    `MEAN` if two or more of its benchmarks were scored.
    """

    cells: Mapping[tuple[int, str, str, View], list[Score]]
    seeds: tuple[int, ...]

    @classmethod
    def of(cls, scores: Mapping[int, Sequence[Score]], shared: str) -> ScoreTable:
        """Index `scores[seed]`. Every model without typed scores of its own shares those of the base, model `shared`:
        frozen weights give the same answers.
        """
        cells: dict[tuple[int, str, str, View], list[Score]] = {}
        averaged = set(COLUMNS) & {score.source for many in scores.values() for score in many}
        for seed, many in scores.items():
            models = list(dict.fromkeys(score.model for score in many))
            own = {(score.model, score.view) for score in many}
            for score in many:
                totals = [OVERALL, MEAN] if len(averaged) > 1 and score.source in averaged else [OVERALL]
                lent = score.model == shared and score.view not in SPOKEN_VIEWS
                without = [model for model in models if (model, score.view) not in own] if lent else []
                for model in (score.model, *without):
                    for benchmark in (score.source, *totals):
                        cells.setdefault((seed, model, benchmark, score.view), []).append(score)
        for cell in cells.values():
            cell.sort(key=lambda score: (score.source, score.item))
        return cls(cells, tuple(scores))

    def get(self, model: str, benchmark: str, view: View) -> list[list[Score]]:
        """The sorted scores by seed; empty if a seed has none. Raises `InputError` if seeds scored different items."""
        cells = [self.cells.get((seed, model, benchmark, view), []) for seed in self.seeds]
        if not all(cells):
            return []
        if any([s.item for s in cell] != [s.item for s in cells[0]] for cell in cells):
            raise InputError(f"seeds have scored different items of {benchmark}", record=model, remedy="evaluate again")
        return cells

    @property
    def models(self) -> list[str]:
        """Names in order of first appearance."""
        return list(dict.fromkeys(model for _, model, _, _ in self.cells))

    @property
    def benchmarks(self) -> list[str]:
        """Names in order of first appearance, with `MEAN` and `OVERALL` last."""
        names = dict.fromkeys(benchmark for _, _, benchmark, _ in self.cells)
        return sorted(names, key=lambda name: (name == OVERALL, name == MEAN))

    def views(self, model: str, benchmark: str) -> list[View]:
        """The views that `model` was scored under."""
        return list(dict.fromkeys(v for _, m, b, v in self.cells if (m, b) == (model, benchmark)))


def summarise_models(
    table: ScoreTable,
    text_view: View,
    speech_view: View,
    pairs: Mapping[str, tuple[View, View]] = MappingProxyType({}),
    yes_no: Collection[str] = (),
) -> dict[str, dict[str, Json]]:
    """`{MODEL: {BENCHMARK: {"n", "views", "gap", "gaps", "kinds", ...}}}`; scores are 0-100, rates are shares.
    Benchmarks are in the order of `ScoreTable.benchmarks`. `MEAN` has `columns`, the benchmarks that it averages.
    Yes/no benchmarks, including those of `yes_no`, have `yes_truth`, the share of gold answers that are yes. MMAlign
    has `kind_ci95`. Views of benchmarks with other numbers than a score have `totals`.
    """
    truths = {name: _yes_truth(table, name) for name in table.benchmarks if name in yes_no or asks_yes_no(name)}
    return {
        model: {
            benchmark: _benchmark(
                table, model, benchmark, *pairs.get(benchmark, (text_view, speech_view)), benchmark in yes_no
            )
            | ({"yes_truth": truths[benchmark]} if benchmark in truths else {})
            for benchmark in table.benchmarks
            if table.views(model, benchmark)
        }
        for model in table.models
    }


def _benchmark(
    table: ScoreTable, model: str, benchmark: str, text_view: View, speech_view: View, own_yes_no: bool
) -> Json:
    views = {view: table.get(model, benchmark, view) for view in table.views(model, benchmark)}
    views = {view: cells for view, cells in views.items() if cells}
    first = next(iter(views.values()))
    result: Json = {
        "n": len(views.get(speech_view, first)[0]),
        "views": {view: _view(benchmark, cells, own_yes_no) for view, cells in views.items()},
        "gap": None,
        "gaps": {
            step: difference(benchmark, views[before], views[after])
            for step, (before, after) in STEPS.items()
            if _can_be_paired(views, before, after)
        },
        "kinds": _kinds(benchmark, views),
    }
    if _can_be_paired(views, text_view, speech_view) and text_view != speech_view:
        result["gap"] = difference(benchmark, views[text_view], views[speech_view])
    if benchmark == MEAN:
        result["columns"] = columns_of(first[0])
    if (known := find(benchmark)) is not None and known.kind_intervals:
        both = {view: cells for view, cells in views.items() if view in (text_view, speech_view)}
        result["kind_ci95"] = _kind_intervals(benchmark, both)
    return result


def _can_be_paired(views: Mapping[View, list[list[Score]]], one: View, other: View) -> bool:
    """Whether both views were asked, of at least one common item."""
    return one in views and other in views and bool(_in_both(views[one], views[other])[0])


def _in_both(some: list[list[Score]], others: list[list[Score]]) -> list[list[Score]]:
    """The scores of `some` whose items `others` also have."""
    known = {(score.source, score.item) for score in others[0]}
    return [[score for score in cell if (score.source, score.item) in known] for cell in some]


def _view(benchmark: str, cells: Cells, own_yes_no: bool) -> Json:
    one = estimate(benchmark, cells)
    found = other_totals(benchmark, cells)
    totals = {"totals": found} if found else {}
    yes = [yes_rate(benchmark, cell, own=own_yes_no) for cell in cells]
    return {
        "score": one.value,
        "ci95": [one.low, one.high],
        "invalid_rate": float(np.mean([invalid_rate(cell) for cell in cells])) / 100,
        "yes_rate": None if None in yes else float(np.mean([rate for rate in yes if rate is not None])) / 100,
        "yes_ci95": None if None in yes else list(yes_interval(cells)),
        "by_seed": [number(benchmark, cell) for cell in cells],
        **totals,
    }


def _yes_truth(table: ScoreTable, benchmark: str) -> Json | None:
    """The share of gold answers that are yes, and of how many items this is known; None if of none. Scores hold no gold
    answer, but a parsed answer implies it: a right yes or a wrong no means yes.
    """
    votes: dict[str, int] = {}
    for (_, _, name, _), cell in table.cells.items():
        for score in cell if name == benchmark else []:
            said = parse_strict(score.prediction)
            if said and not score.invalid:
                votes[score.item] = votes.get(score.item, 0) + (1 if (said == "yes") == (score.value == 1) else -1)
    return {"share": sum(vote > 0 for vote in votes.values()) / len(votes), "n": len(votes)} if votes else None


def _kinds(benchmark: str, views: Mapping[View, list[list[Score]]]) -> dict[str, Json]:
    """The score of each question kind under each view, mean over seeds."""
    if benchmark in (OVERALL, MEAN):
        return {}
    kinds: dict[str, Json] = {}
    for view, cells in views.items():
        per_seed = [by_kind(benchmark, cell) for cell in cells]
        for kind in per_seed[0]:
            row = kinds.setdefault(kind, {"n": sum(score.kind == kind for score in cells[0])})
            row[view] = float(np.mean([numbers[kind] for numbers in per_seed]))
    return kinds


def _kind_intervals(benchmark: str, views: Mapping[View, list[list[Score]]]) -> dict[str, Json]:
    """95 % intervals under each view of the kinds with at least `KIND_ITEMS` items and two clusters."""
    intervals: dict[str, Json] = {}
    for view, cells in views.items():
        for kind in sorted({score.kind for score in cells[0]}):
            some = [[score for score in cell if score.kind == kind] for cell in cells]
            if len(some[0]) >= KIND_ITEMS and len(set(clusters(some[0]))) > 1:
                one = estimate(benchmark, some)
                intervals.setdefault(kind, {})[view] = [one.low, one.high]
    return intervals


def compare(table: ScoreTable, pairs: Sequence[tuple[str, str]], benchmark: str, view: View) -> list[Json]:
    """The difference of each pair, first minus second, on the same items under `view`, over all seeds and per seed."""
    found = []
    for a, b in pairs:
        first, second = table.get(a, benchmark, view), table.get(b, benchmark, view)
        if not first or not second or not _in_both(first, second)[0]:
            continue
        row = {"a": a, "b": b, "benchmark": benchmark, "view": view, "n": len(first[0])}
        each = [
            {"seed": seed, **difference(benchmark, [one], [two])}
            for seed, one, two in zip(table.seeds, first, second, strict=True)
        ]
        found.append({**row, **difference(benchmark, first, second), "each_seed": each})
    return found


def difference(benchmark: str, first: list[list[Score]], second: list[list[Score]]) -> Json:
    """First minus second in points, paired by item: value, interval, p, and flips for a single seed. For several
    benchmarks together only common items count, because a benchmark may have views of its own.
    """
    if benchmark in (OVERALL, MEAN):
        first, second = _in_both(first, second), _in_both(second, first)
    if [s.item for s in first[0]] != [s.item for s in second[0]]:
        raise InputError(f"two views of {benchmark} were scored on different items", remedy="evaluate again")
    one = estimate(benchmark, first, second)
    gap = paired_gap(_item_means(first), _item_means(second), clusters(first[0]))
    p = gap.mcnemar_p if gap.mcnemar_p is not None else _z_test(gap.value, gap.se)
    known = find(benchmark)
    if benchmark == MEAN or (known is not None and not known.items_weigh_alike):
        # Here benchmarks or emotions have equal weights, not items.
        p = _z_test(one.value, one.se)
    result: Json = {"value": one.value, "ci95": [one.low, one.high], "p": p}
    result["by_seed"] = [number(benchmark, x) - number(benchmark, y) for x, y in zip(first, second, strict=True)]
    if len(first) == 1:
        result |= {"only_first": gap.only_a, "only_second": gap.only_b}
    return result


def _z_test(value: float, se: float) -> float:
    """Two-sided p of a difference with clustered standard error `se`, for scores other than 0 and 1."""
    if se == 0:
        return float(value == 0)
    return float(2 * stats.norm.sf(abs(value) / se))


def per_voice(table: ScoreTable, view: View) -> dict[str, dict[str, Json]]:
    """`{MODEL: {VOICE: {"score", "n"}}}` over all items, mean over seeds; `n` counts items."""
    result: dict[str, dict[str, Json]] = {}
    for model in table.models:
        cells = table.get(model, OVERALL, view)
        by_voice: dict[str, list[float]] = {}
        for score in (score for cell in cells for score in cell):
            if score.voice is not None:
                by_voice.setdefault(score.voice, []).append(score.value)
        if by_voice:
            result[model] = {
                voice: {"score": 100 * float(np.mean(values)), "n": len(values) // len(cells)}
                for voice, values in sorted(by_voice.items())
            }
    return result


def _item_means(cells: list[list[Score]]) -> list[float]:
    return np.mean([[score.value for score in cell] for cell in cells], axis=0).tolist()
