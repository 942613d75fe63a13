"""From item scores to a benchmark's numbers."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from earwise.errors import InputError
from earwise.evaluate.benchmarks.numbers import metric
from earwise.evaluate.benchmarks.registry import find
from earwise.evaluate.benchmarks.scorers import read
from earwise.evaluate.gap import metric_interval
from earwise.evaluate.metrics import partners_by_item
from earwise.evaluate.yes_no import parse_strict
from earwise.records import Score


def aggregate(name: str, scores: Sequence[Score]) -> float:
    """The benchmark's number, 0-100, over scores of one model under one view; `totals.metric` has the formulas."""
    return float(metric(name, scores)(np.ones((1, len(scores))))[0])


def aggregate_interval(name: str, scores: Sequence[Score], seed: int = 0) -> tuple[float, float, float]:
    """`aggregate` with its 95 % interval over clusters, as (value, low, high)."""
    return metric_interval(metric(name, scores), [score.cluster for score in scores], seed, bounds=(0.0, 100.0))


def aggregate_gap(
    name: str, first: Sequence[Score], second: Sequence[Score], seed: int = 0
) -> tuple[float, float, float]:
    """Difference of `aggregate` between two views of the same items, with its paired 95 % interval over clusters.

    For numbers that are means this is `gap.paired_gap` times 100; otherwise the difference of the totals. Raises
    `InputError` naming an item that only one side has.
    """
    partners = partners_by_item(second, name)
    if alone := sorted({score.item for score in first} ^ partners.keys()):
        raise InputError("scored under one view only", record=f"item {alone[0]}", remedy="score the same items twice")
    one, two = metric(name, first), metric(name, [partners[score.item] for score in first])
    groups = [score.cluster for score in first]
    return metric_interval(lambda weights: one(weights) - two(weights), groups, seed, bounds=(-100.0, 100.0))


def by_kind(name: str, scores: Sequence[Score]) -> dict[str, float]:
    """`aggregate` within each question kind, category or relation, in alphabetical order."""
    kinds = sorted({score.kind for score in scores})
    return {kind: aggregate(name, [score for score in scores if score.kind == kind]) for kind in kinds}


def invalid_rate(scores: Sequence[Score]) -> float:
    """Percentage of answers that could not be parsed (and count as wrong)."""
    return 100 * sum(score.invalid for score in scores) / len(scores)


def asks_yes_no(name: str) -> bool:
    """Whether the share of answers that say yes is reported of benchmark `name`."""
    benchmark = find(name)
    return benchmark is not None and benchmark.yes_no


def yes_rate(name: str, scores: Sequence[Score], *, own: bool = False) -> float | None:
    """Percentage of answers that say yes, of all answers; None if the benchmark does not ask yes/no questions.

    With `own` it is a benchmark of one's own that is scored by `yes_no`.
    """
    if not own and not asks_yes_no(name):
        return None
    answers = (read("yes_no" if own else name, score.prediction, score.profile) for score in scores)
    return 100 * sum(answer is not None and parse_strict(answer) == "yes" for answer in answers) / len(scores)
