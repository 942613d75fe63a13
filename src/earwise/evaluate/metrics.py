"""Numbers as functions of item weights, so that any resample of the items can be scored; 0-100.

An answer that could not be parsed counts as 0.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence

import numpy as np

from earwise.errors import InputError
from earwise.evaluate.gap import Floats, Metric
from earwise.records import Score

MakeMetric = Callable[[Sequence[Score]], Metric]
"""From the scores of one model under one view to their number as a function of item weights (`gap.Metric`)."""


def mean(scores: Sequence[Score]) -> Metric:
    """100 times the mean score."""
    given = values(scores)
    return lambda weights: 100 * (weights @ given) / weights.sum(axis=1)


def mean_of_kinds(scores: Sequence[Score]) -> Metric:
    """The mean over kinds of their mean score; kinds that a resample lacks are left out."""
    given, kinds = values(scores), members([score.kind for score in scores])

    def accuracy(weights: Floats) -> Floats:
        asked, right = weights @ kinds, (weights * given) @ kinds
        present = asked > 0
        return 100 * np.where(present, right / np.maximum(asked, 1), 0).sum(axis=1) / present.sum(axis=1)

    return accuracy


def all_right(groups: Sequence[Hashable], scores: Sequence[Score]) -> Metric:
    """The share of groups with only right answers. A resample holds a group a whole number of times."""
    first, right = grouped(groups, values(scores))
    return lambda weights: 100 * (weights[:, first] @ right) / weights[:, first].sum(axis=1)


def whole(one: Metric, scores: Sequence[Score]) -> float:
    """The number of the scores themselves, each item once."""
    return float(one(np.ones((1, len(scores))))[0])


def shares(scores: Sequence[Score], groups: Sequence[str]) -> dict[str, float]:
    """100 times the mean score by group."""
    found: dict[str, list[float]] = {}
    for score, group in zip(scores, groups, strict=True):
        found.setdefault(group, []).append(score.value)
    return {group: 100 * float(np.mean(some)) for group, some in found.items()}


def values(scores: Sequence[Score]) -> Floats:
    """(items,) values of the scores."""
    return np.array([score.value for score in scores], dtype=np.float64)


def grouped(groups: Sequence[Hashable], given: Floats) -> tuple[np.ndarray, Floats]:
    """The place of each group's first item, and 1 for groups whose values are all 1, else 0."""
    places: dict[Hashable, list[int]] = {}
    for place, group in enumerate(groups):
        places.setdefault(group, []).append(place)
    first = np.array([some[0] for some in places.values()])
    return first, np.array([given[some].min() == 1 for some in places.values()], dtype=np.float64)


def members(kinds: Sequence[str]) -> Floats:
    """(items, kinds) indicator of each item's kind."""
    names = sorted(set(kinds))
    return np.array([[kind == name for name in names] for kind in kinds], dtype=np.float64)


def checked(name: str, make: MakeMetric, scores: Sequence[Score]) -> Metric:
    """`make(scores)`, after checks. Raises `InputError` for no scores, several models or views, or a repeated item."""
    if not scores:
        raise InputError("no scores to aggregate", record=name)
    if len({(score.model, score.view) for score in scores}) > 1 or len({s.item for s in scores}) < len(scores):
        raise InputError("scores of several models or views, or an item twice", record=name)
    return make(scores)


def partners_by_item(scores: Sequence[Score], name: str) -> Mapping[str, Score]:
    """The scores of benchmark `name` by item; raises `InputError` for an item that is scored twice."""
    partners: dict[str, Score] = {}
    for score in scores:
        if partners.setdefault(score.item, score) is not score:
            raise InputError(f"item {score.item} is scored twice", record=name)
    return partners
