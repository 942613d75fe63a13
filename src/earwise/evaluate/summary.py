"""From item scores to `summary.json`: scores with intervals, gaps between views, differences between models, voices.

Scores of several seeds are averaged item by item before anything is resampled, so an interval speaks of items;
`by_seed` keeps each seed's own number beside the mean.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import stats

from earwise.errors import InputError
from earwise.evaluate.benchmarks import by_kind, invalid_rate, yes_rate
from earwise.evaluate.gap import Floats, Metric, metric_interval, paired_gap
from earwise.evaluate.totals import metric
from earwise.records import Score, View

OVERALL = "all"
"""All items of all benchmarks together, as if they were one."""

STEPS: Mapping[str, tuple[View, View]] = {
    "normalisation": ("image_text", "image_spoken_form"),
    "hearing": ("image_spoken_form", "image_speech"),
}
"""The two steps of the gap between a question as it is written and as it is heard: what is lost because words are said
in place of digits and signs, and what is lost because they must be heard. Together they are the whole gap.
"""

Json = dict[str, Any]


@dataclass(frozen=True)
class ScoreTable:
    """Scores by (seed, model, benchmark, view), each list sorted by item; `OVERALL` is a benchmark too."""

    cells: Mapping[tuple[int, str, str, View], list[Score]]
    seeds: tuple[int, ...]

    @classmethod
    def of(cls, scores: Mapping[int, Sequence[Score]], shared: str) -> ScoreTable:
        """Index `scores[seed]`; the scores of model `shared` (the base's typed answers) are given to every model."""
        cells: dict[tuple[int, str, str, View], list[Score]] = {}
        for seed, many in scores.items():
            models = list(dict.fromkeys(score.model for score in many))
            for score in many:
                for model in models if score.model == shared else [score.model]:
                    for benchmark in (OVERALL, score.source):
                        cells.setdefault((seed, model, benchmark, score.view), []).append(score)
        for cell in cells.values():
            cell.sort(key=lambda score: (score.source, score.item))
        return cls(cells, tuple(scores))

    def get(self, model: str, benchmark: str, view: View) -> list[list[Score]]:
        """Per seed the sorted scores; empty if any seed has none. All seeds must have scored the same items."""
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
        """Names in order of first appearance, `OVERALL` first."""
        names = dict.fromkeys(benchmark for _, _, benchmark, _ in self.cells)
        return sorted(names, key=lambda name: name != OVERALL)

    def views(self, model: str, benchmark: str) -> list[View]:
        """Views that `model` was scored under."""
        return list(dict.fromkeys(v for _, m, b, v in self.cells if (m, b) == (model, benchmark)))


def summarise_models(table: ScoreTable, text_view: View, speech_view: View) -> dict[str, dict[str, Json]]:
    """`{MODEL: {BENCHMARK: {"n", "views", "gap", "gaps", "kinds"}}}`; scores are 0-100, rates are shares."""
    return {
        model: {
            benchmark: _benchmark(table, model, benchmark, text_view, speech_view)
            for benchmark in table.benchmarks
            if table.views(model, benchmark)
        }
        for model in table.models
    }


def _benchmark(table: ScoreTable, model: str, benchmark: str, text_view: View, speech_view: View) -> Json:
    views = {view: table.get(model, benchmark, view) for view in table.views(model, benchmark)}
    views = {view: cells for view, cells in views.items() if cells}
    first = next(iter(views.values()))
    result: Json = {
        "n": len(first[0]),
        "views": {view: _view(benchmark, cells) for view, cells in views.items()},
        "gap": None,
        "gaps": {
            step: _difference(benchmark, views[before], views[after])
            for step, (before, after) in STEPS.items()
            if before in views and after in views
        },
        "kinds": _kinds(benchmark, views),
    }
    if text_view in views and speech_view in views:
        result["gap"] = _difference(benchmark, views[text_view], views[speech_view])
    return result


def _view(benchmark: str, cells: list[list[Score]]) -> Json:
    value, low, high = metric_interval(_mean_metric(benchmark, cells), _clusters(cells[0]))
    yes = [yes_rate(benchmark, cell) for cell in cells]
    return {
        "score": value,
        "ci95": [low, high],
        "invalid_rate": float(np.mean([invalid_rate(cell) for cell in cells])) / 100,
        "yes_rate": None if None in yes else float(np.mean([rate for rate in yes if rate is not None])) / 100,
        "by_seed": [_number(benchmark, cell) for cell in cells],
    }


def _kinds(benchmark: str, views: Mapping[View, list[list[Score]]]) -> dict[str, Json]:
    """Score of each question kind under each view, mean over seeds."""
    if benchmark == OVERALL:
        return {}
    kinds: dict[str, Json] = {}
    for view, cells in views.items():
        per_seed = [by_kind(benchmark, cell) for cell in cells]
        for kind in per_seed[0]:
            row = kinds.setdefault(kind, {"n": sum(score.kind == kind for score in cells[0])})
            row[view] = float(np.mean([numbers[kind] for numbers in per_seed]))
    return kinds


def compare(table: ScoreTable, pairs: Sequence[tuple[str, str]], benchmark: str, view: View) -> list[Json]:
    """Each pair's difference, first minus second, on the same items under `view`, with its interval, also per seed."""
    found = []
    for a, b in pairs:
        first, second = table.get(a, benchmark, view), table.get(b, benchmark, view)
        if not first or not second:
            continue
        row = {"a": a, "b": b, "benchmark": benchmark, "view": view, "n": len(first[0])}
        each = [
            {"seed": seed, **_difference(benchmark, [one], [two])}
            for seed, one, two in zip(table.seeds, first, second, strict=True)
        ]
        found.append({**row, **_difference(benchmark, first, second), "each_seed": each})
    return found


def _difference(benchmark: str, first: list[list[Score]], second: list[list[Score]]) -> Json:
    """First minus second in points, paired by item: value, interval, p, and flips where one seed is compared."""
    if [s.item for s in first[0]] != [s.item for s in second[0]]:
        raise InputError(f"two views of {benchmark} were scored on different items", remedy="evaluate again")
    one, two = _mean_metric(benchmark, first), _mean_metric(benchmark, second)
    clusters = _clusters(first[0])
    value, low, high = metric_interval(lambda weights: one(weights) - two(weights), clusters)
    gap = paired_gap(_item_means(first), _item_means(second), clusters)
    p = gap.mcnemar_p if gap.mcnemar_p is not None else _z_test(gap.value, gap.se)
    result: Json = {"value": value, "ci95": [low, high], "p": p, "by_seed": []}
    result["by_seed"] = [_number(benchmark, x) - _number(benchmark, y) for x, y in zip(first, second, strict=True)]
    if len(first) == 1:
        result |= {"only_first": gap.only_a, "only_second": gap.only_b}
    return result


def _z_test(value: float, se: float) -> float:
    """Two-sided p of a difference with clustered standard error `se`, for scores that are not 0 or 1."""
    return 1.0 if se == 0 else float(2 * stats.norm.sf(abs(value) / se))


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


def _mean_metric(benchmark: str, cells: list[list[Score]]) -> Metric:
    """The benchmark's number, averaged over seeds, as a function of item weights."""
    metrics = [metric(benchmark, _distinct(cell)) for cell in cells]

    def mean(weights: Floats) -> Floats:
        return np.mean([one(weights) for one in metrics], axis=0)

    return mean


def _number(benchmark: str, cell: list[Score]) -> float:
    return float(metric(benchmark, _distinct(cell))(np.ones((1, len(cell))))[0])


def _distinct(cell: list[Score]) -> list[Score]:
    """Item ids made unique across benchmarks: two public files may both count from 1."""
    return [score.model_copy(update={"item": f"{score.source}/{score.item}"}) for score in cell]


def _clusters(cell: list[Score]) -> list[str]:
    return [f"{score.source}/{score.cluster}" for score in cell]


def _item_means(cells: list[list[Score]]) -> list[float]:
    return np.mean([[score.value for score in cell] for cell in cells], axis=0).tolist()
