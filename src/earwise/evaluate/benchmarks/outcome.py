"""A benchmark's number from its item scores."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from earwise.errors import InputError
from earwise.evaluate.benchmarks.registry import find
from earwise.evaluate.benchmarks.scorers import read
from earwise.evaluate.gap import Metric, metric_interval
from earwise.evaluate.metrics import checked, mean, partners_by_item
from earwise.evaluate.yes_no import parse_strict
from earwise.records import Score


def metric(name: str, scores: Sequence[Score]) -> Metric:
    """The number of benchmark `name` as a function of item weights (`gap.Metric`), 0-100: `Benchmark.metric`, or 100
    times the mean score for an unknown name. A resample holds a cluster, and so every group that counts as one, a whole
    number of times. For MELD and IEMOCAP a score's kind is its gold emotion. Raises `InputError` for no scores, several
    models or views, a repeated item, and items of HallusionBench whose id does not end in their index.
    """
    benchmark = find(name)
    return checked(name, benchmark.metric if benchmark is not None else mean, scores)


def aggregate(name: str, scores: Sequence[Score]) -> float:
    """The benchmark's number, 0-100, over scores of one model under one view; see `metric`."""
    return float(metric(name, scores)(np.ones((1, len(scores))))[0])


def aggregate_interval(name: str, scores: Sequence[Score], seed: int = 0) -> tuple[float, float, float]:
    """`aggregate` with its 95 % interval over clusters, as (value, low, high)."""
    return metric_interval(metric(name, scores), [score.cluster for score in scores], seed, bounds=(0.0, 100.0))


def aggregate_gap(
    name: str, first: Sequence[Score], second: Sequence[Score], seed: int = 0
) -> tuple[float, float, float]:
    """`aggregate` of `first` minus that of `second`, on the same items, with its paired 95 % interval over clusters.
    For a mean this is 100 times `gap.paired_gap`. Raises `InputError` naming an item without partner.
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
    """Whether the share of yes answers is reported for benchmark `name`."""
    benchmark = find(name)
    return benchmark is not None and benchmark.yes_no


def yes_rate(name: str, scores: Sequence[Score], *, own: bool = False) -> float | None:
    """Percentage of all answers that say yes; None for other benchmarks than yes/no. `own` marks the user's own
    benchmark that is scored by `yes_no`.
    """
    if not own and not asks_yes_no(name):
        return None
    answers = (read("yes_no" if own else name, score.prediction, score.profile) for score in scores)
    return 100 * sum(answer is not None and parse_strict(answer) == "yes" for answer in answers) / len(scores)
