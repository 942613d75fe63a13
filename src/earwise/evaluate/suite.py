"""The average over benchmarks: the plain mean of eight numbers, as arXiv 2503.00059 prints it (tables 1, 3 and 5)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

import numpy as np

from earwise.errors import InputError
from earwise.evaluate.gap import Bounds, Floats, Metric, ends, metric_draws
from earwise.evaluate.totals import metric, partners_by_item
from earwise.records import Score

COLUMNS: Final = (
    "mme",
    "realworldqa",
    "textvqa",
    "hallusionbench",
    "chartqa_human",
    "chartqa_augmented",
    "docvqa",
    "infovqa",
)
"""The eight benchmarks of the average."""

Cells = Mapping[str, Sequence[Score]]
"""Scores of one model under one view, by benchmark."""


def plain_mean(numbers: Mapping[str, float], columns: Sequence[str] = COLUMNS) -> float:
    """The mean of the benchmarks' numbers (0-100); raises `InputError` naming a column that has none."""
    if missing := [name for name in columns if name not in numbers]:
        raise InputError(
            f"no number for {', '.join(missing)}", remedy="an average over other benchmarks is another one"
        )
    return sum(numbers[name] for name in columns) / len(columns)


def average(cells: Cells, columns: Sequence[str] = COLUMNS, seed: int = 0) -> tuple[float, float, float]:
    """The mean of the columns' numbers and its 95 % interval, as (value, low, high), 0-100.

    Benchmarks share no items, so each is resampled by its own clusters, independently of the others; the interval is of
    these items only and does not count the choice of benchmarks.
    """
    metrics = {name: (metric(name, cells[name]), cells[name]) for name in _present(cells, columns)}
    return _interval(metrics, seed, (0.0, 100.0))


def average_gap(
    first: Cells, second: Cells, columns: Sequence[str] = COLUMNS, seed: int = 0
) -> tuple[float, float, float]:
    """`average` of `first` minus that of `second` over the same items, with its paired 95 % interval over clusters.

    Raises `InputError` naming a benchmark that is missing, or an item that only one side has.
    """
    differences: dict[str, tuple[Metric, Sequence[Score]]] = {}
    for name in _present(first, columns):
        partners = partners_by_item(second.get(name, ()), name)
        if alone := sorted({score.item for score in first[name]} ^ partners.keys()):
            raise InputError(f"item {alone[0]} is scored under one view only", record=name)
        one = metric(name, first[name])
        two = metric(name, [partners[score.item] for score in first[name]])
        differences[name] = (_minus(one, two), first[name])
    return _interval(differences, seed, (-100.0, 100.0))


def _minus(one: Metric, two: Metric) -> Metric:
    return lambda weights: one(weights) - two(weights)


def _present(cells: Cells, columns: Sequence[str]) -> Sequence[str]:
    if missing := [name for name in columns if not cells.get(name)]:
        raise InputError(f"no scores of {', '.join(missing)}", remedy="an average over other benchmarks is another one")
    return columns


def _interval(
    columns: Mapping[str, tuple[Metric, Sequence[Score]]], seed: int, bounds: Bounds
) -> tuple[float, float, float]:
    values, draws, counts = [], [], []
    for place, (one, scores) in enumerate(columns.values()):
        values.append(one(np.ones((1, len(scores))))[0])
        draws.append(metric_draws(one, [score.cluster for score in scores], (seed, place)))
        counts.append(len({score.cluster for score in scores}))
    means: Floats = np.mean(draws, axis=0)
    return float(np.mean(values)), *ends(means, min(counts), bounds)
