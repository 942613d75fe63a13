"""A benchmark's number over several seeds, and differences of such numbers, with 95 % intervals.

Seeds are averaged item by item before resampling, so an interval is about items, not about training runs.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from earwise.evaluate.benchmarks.outcome import metric
from earwise.evaluate.benchmarks.registry import find
from earwise.evaluate.gap import Floats, Metric, Z, agree, ends, metric_draws, metric_interval, share_unseen
from earwise.evaluate.suite import COLUMNS
from earwise.evaluate.yes_no import parse_strict
from earwise.records import Score

MEAN: Final = "mean"
"""The plain mean over the scored benchmarks among the paper's eight (`suite.COLUMNS`)."""

Cells = Sequence[Sequence[Score]]
"""Scores of one model under one view by seed, all of the same items in the same order."""
Totals = dict[str, dict[str, Any]]


@dataclass(frozen=True)
class Estimate:
    """A number or difference, 0-100, with the ends of its 95 % interval (`gap.ends`) and its standard error. The
    standard error is the standard deviation of the resamples; if all resamples agree, it follows from the interval.
    """

    value: float
    low: float
    high: float
    se: float


def estimate(benchmark: str, cells: Cells, minus: Cells | None = None) -> Estimate:
    """The number of `benchmark`, mean over seeds, optionally less that of `minus`, which holds the same items. Clusters
    are resampled, both sides alike. The benchmarks of `MEAN` share no items, so each is resampled by itself.
    """
    values, draws, counts = [], [], []
    for place, (name, members) in enumerate(_columns(benchmark, cells[0])):
        one = _over_seeds(name, cells, members)
        if minus is not None:
            one = _less(one, _over_seeds(name, minus, members))
        seed = (0, place) if benchmark == MEAN else 0
        groups = clusters([cells[0][m] for m in members])
        counts.append(len(set(groups)))
        draws.append(metric_draws(one, groups, seed))
        values.append(float(one(np.ones((1, len(members))))[0]))
    means: Floats = np.mean(draws, axis=0)
    low, high = ends(means, min(counts), (0.0 if minus is None else -100.0, 100.0))
    se = (high - low) / (2 * Z) if agree(means) else float(np.std(means, ddof=1))
    return Estimate(float(np.mean(values)), low, high, se)


def share(benchmark: str, cells: Cells, of: Cells) -> Estimate:
    """The number of `benchmark` (not `MEAN`) as a percentage of that of `of`, which holds the same items. Clusters are
    resampled, both sides alike, without resamples in which `of` has 0. If all resamples agree, the interval allows for
    unseen clusters (`gap.share_unseen`) with the extreme values on both sides. Raises `ZeroDivisionError` if `of` has
    0.
    """
    members = range(len(cells[0]))
    part, whole = _over_seeds(benchmark, cells, members), _over_seeds(benchmark, of, members)
    ones, groups = np.ones((1, len(members))), clusters(cells[0])
    value = 100 * float(part(ones)[0]) / float(whole(ones)[0])
    parts, wholes = metric_draws(part, groups), metric_draws(whole, groups)
    draws = 100 * parts[wholes > 0] / wholes[wholes > 0]
    low, high = ends(draws, len(set(groups)), None)
    if not agree(draws):
        return Estimate(value, low, high, float(np.std(draws, ddof=1)))
    other, seen, base = share_unseen(len(set(groups))), float(part(ones)[0]), float(whole(ones)[0])
    low = 100 * (1 - other) * seen / ((1 - other) * base + other * 100)
    high = 100 * ((1 - other) * seen + other * 100) / ((1 - other) * base)
    return Estimate(value, low, high, (high - low) / (2 * Z))


def number(benchmark: str, cell: Sequence[Score]) -> float:
    """The number of `benchmark` for one seed, 0-100."""
    columns = _columns(benchmark, cell)
    ones = [_over_seeds(name, [cell], members)(np.ones((1, len(members))))[0] for name, members in columns]
    return float(np.mean(ones))


def other_totals(benchmark: str, cells: Cells) -> Totals:
    """`{NAME: {"value", "ci95", "by_seed"}}`, 0-100: the numbers reported for `benchmark` beside its score. Seeds are
    averaged; intervals are a bootstrap over clusters, with the same resamples for every number.
    """
    found = find(benchmark)
    groups = clusters(cells[0])
    return {
        total.name: _over_metrics([total.metric(cell) for cell in cells], groups)
        for total in (found.totals if found is not None else ())
    }


def columns_of(cell: Sequence[Score]) -> list[str]:
    """The benchmarks that `MEAN` averages for these scores, in the order of `suite.COLUMNS`."""
    return [name for name, _ in _columns(MEAN, cell)]


def yes_interval(cells: Cells) -> tuple[float, float]:
    """95 % interval of the share of yes answers (0-1), mean over seeds, over clusters."""
    yes = np.mean([[parse_strict(score.prediction) == "yes" for score in cell] for cell in cells], axis=0)
    groups = clusters(cells[0])
    draws = metric_draws(lambda weights: (weights @ yes) / weights.sum(axis=1), groups)
    return ends(draws, len(set(groups)), (0.0, 1.0))


def clusters(cell: Sequence[Score]) -> list[str]:
    """The cluster of each score, distinct across benchmarks."""
    return [f"{score.source}/{score.cluster}" for score in cell]


def _columns(benchmark: str, cell: Sequence[Score]) -> list[tuple[str, list[int]]]:
    """The numbers that are averaged, with the places of their scores; a single benchmark is its only column."""
    if benchmark != MEAN:
        return [(benchmark, list(range(len(cell))))]
    places = {name: [n for n, score in enumerate(cell) if score.source == name] for name in COLUMNS}
    return [(name, members) for name, members in places.items() if members]


def _over_seeds(name: str, cells: Cells, members: Sequence[int]) -> Metric:
    """The mean over seeds, as a function of the members' weights."""
    metrics = [metric(name, _distinct([cell[m] for m in members])) for cell in cells]
    return lambda weights: np.mean([one(weights) for one in metrics], axis=0)


def _less(one: Metric, two: Metric) -> Metric:
    return lambda weights: one(weights) - two(weights)


def _distinct(cell: Sequence[Score]) -> Sequence[Score]:
    """Item ids made unique across benchmarks: two public files may both count from 1."""
    if len({score.source for score in cell}) == 1:
        return cell
    return [score.model_copy(update={"item": f"{score.source}/{score.item}"}) for score in cell]


def _over_metrics(metrics: Sequence[Metric], groups: Sequence[str]) -> dict[str, Any]:
    """A number over seeds with its interval and each seed's value."""
    value, low, high = metric_interval(
        lambda weights: np.mean([one(weights) for one in metrics], axis=0), groups, bounds=(0.0, 100.0)
    )
    whole = np.ones((1, len(groups)))
    return {"value": value, "ci95": [low, high], "by_seed": [float(one(whole)[0]) for one in metrics]}
