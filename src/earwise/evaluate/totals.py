"""A benchmark's number as a function of item weights, so that any resample of its items can be scored.

| benchmark | number, 0-100 |
|---|---|
| `mme` | mean over categories of (acc + acc+) / 2; of all 14 this is (perception + cognition) / 28 |
| `hallusionbench` | mean of aAcc, fAcc and qAcc |
| `meld`, `iemocap` | unweighted accuracy: the mean over emotions of the share that is recognised |
| everything else | 100 times the mean score |

An answer that could not be parsed counts as 0 everywhere.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence
from typing import Final

import numpy as np

from earwise.data.aro import Type
from earwise.data.aro_relations import SYMMETRIC
from earwise.data.tsv import hallusion_place
from earwise.errors import InputError
from earwise.evaluate.gap import Floats, Metric
from earwise.records import Score

PERCEPTION: Final = (
    "existence",
    "count",
    "position",
    "color",
    "posters",
    "celebrity",
    "scene",
    "landmark",
    "artwork",
    "OCR",
)
COGNITION: Final = ("commonsense_reasoning", "numerical_calculation", "text_translation", "code_reasoning")

ATTRIBUTE_CASES: Final = 25
"""ARO scores pairs of attributes that have at least so many cases."""


def metric(name: str, scores: Sequence[Score]) -> Metric:
    """The number of benchmark `name`, as the table above says, as a function of item weights (`gap.Metric`), 0-100.

    A resample holds a cluster, hence every group that is counted as one, a whole number of times. For MELD and IEMOCAP
    the kind of a score is its gold emotion. Raises `InputError` for no scores, several models or views, an item twice,
    and items of HallusionBench whose id does not end in their index.
    """
    if not scores:
        raise InputError("no scores to aggregate", record=name)
    if len({(score.model, score.view) for score in scores}) > 1 or len({s.item for s in scores}) < len(scores):
        raise InputError("scores of several models or views, or an item twice", record=name)
    return _METRICS.get(name, _mean)(scores)


def partners_by_item(scores: Sequence[Score], name: str) -> dict[str, Score]:
    """The scores of benchmark `name` by item, for pairs; raises `InputError` for an item that is scored twice."""
    partners: dict[str, Score] = {}
    for score in scores:
        if partners.setdefault(score.item, score) is not score:
            raise InputError(f"item {score.item} is scored twice", record=name)
    return partners


def mme_totals(scores: Sequence[Score]) -> dict[str, float]:
    """`perception` (0-2000) and `cognition` (0-800) of MME, as its own tables print them.

    Raises `InputError` if a category has no scores: a total over fewer is another number.
    """
    values = {}
    for part, kinds in (("perception", PERCEPTION), ("cognition", COGNITION)):
        by_kind = {kind: [score for score in scores if score.kind == kind] for kind in kinds}
        if missing := [kind for kind, some in by_kind.items() if not some]:
            raise InputError(f"no scores of the categories {', '.join(missing)}", record="mme")
        values[part] = sum(2 * _whole(metric("mme", some), some) for some in by_kind.values())
    return values


def hallusion_parts(scores: Sequence[Score]) -> dict[str, float]:
    """aAcc, fAcc and qAcc of HallusionBench, 0-100: right questions; figures, and questions over all figures of a set,
    with every answer right.
    """
    return {part: _whole(one, scores) for part, one in _hallusion_metrics(scores).items()}


def music_avqa_parts(scores: Sequence[Score]) -> dict[str, float]:
    """Accuracy, 0-100, over all questions of MUSIC-AVQA on audio, on what is seen, and on both; every question counts
    the same. A modality without scores is left out.
    """
    return _shares(scores, [score.kind.rpartition(" ")[0] for score in scores])


def music_avqa_columns(scores: Sequence[Score]) -> dict[str, float]:
    """Accuracy, 0-100, of Temporal, Comparative, Counting and Existential questions of MUSIC-AVQA, whatever they are
    about, and of all these as `all`: the columns of arXiv 2509.15661, which asks no questions on location.
    """
    asked = [score for score in scores if not score.kind.endswith(" Location")]
    return _shares(asked, [score.kind.rpartition(" ")[2] for score in asked]) | {"all": _whole(_mean(asked), asked)}


def _shares(scores: Sequence[Score], groups: Sequence[str]) -> dict[str, float]:
    values: dict[str, list[float]] = {}
    for score, group in zip(scores, groups, strict=True):
        values.setdefault(group, []).append(score.value)
    return {group: 100 * float(np.mean(some)) for group, some in values.items()}


def aro_score(scores: Sequence[Score], type_: Type) -> float:
    """The score of ARO itself, 0-100: the mean over relations or pairs of attributes of their accuracy.

    Symmetric relations, and pairs of attributes with fewer than 25 cases, do not count. MMAlign is the mean over items
    instead. Raises `InputError` if nothing is left.
    """
    kinds: dict[str, list[float]] = {}
    for score in scores:
        kinds.setdefault(score.kind, []).append(score.value)
    counted = [
        float(np.mean(values))
        for kind, values in kinds.items()
        if (kind not in SYMMETRIC if type_ == "relation" else len(values) >= ATTRIBUTE_CASES)
    ]
    if not counted:
        raise InputError(f"no {type_} that ARO counts", record=f"{len(scores)} scores")
    return 100 * float(np.mean(counted))


def _whole(one: Metric, scores: Sequence[Score]) -> float:
    return float(one(np.ones((1, len(scores))))[0])


def _values(scores: Sequence[Score]) -> Floats:
    return np.array([score.value for score in scores], dtype=np.float64)


def _mean(scores: Sequence[Score]) -> Metric:
    values = _values(scores)
    return lambda weights: 100 * (weights @ values) / weights.sum(axis=1)


def _unweighted(scores: Sequence[Score]) -> Metric:
    """The mean over kinds of their mean score; a kind that a resample does not hold does not count in it."""
    values, kinds = _values(scores), _members([score.kind for score in scores])

    def accuracy(weights: Floats) -> Floats:
        asked, right = weights @ kinds, (weights * values) @ kinds
        present = asked > 0
        return 100 * np.where(present, right / np.maximum(asked, 1), 0).sum(axis=1) / present.sum(axis=1)

    return accuracy


def _mme(scores: Sequence[Score]) -> Metric:
    values, kinds = _values(scores), _members([score.kind for score in scores])
    first, all_right = _groups([score.cluster for score in scores], values)

    def total(weights: Floats) -> Floats:
        per_image = weights[:, first]
        asked, shown = weights @ kinds, per_image @ kinds[first]
        right, perfect = (weights * values) @ kinds, (per_image * all_right) @ kinds[first]
        present = asked > 0
        summed = np.where(present, right / np.maximum(asked, 1) + perfect / np.maximum(shown, 1), 0).sum(axis=1)
        return 100 * summed / present.sum(axis=1) / 2

    return total


def _hallusion(scores: Sequence[Score]) -> Metric:
    parts = list(_hallusion_metrics(scores).values())
    return lambda weights: np.mean([one(weights) for one in parts], axis=0)


def _hallusion_metrics(scores: Sequence[Score]) -> dict[str, Metric]:
    places = [hallusion_place(score.item.rpartition("-")[2]) for score in scores]
    figures = [(s.kind, set_, figure) for s, (set_, figure, _) in zip(scores, places, strict=True)]
    questions = [(s.kind, set_, question) for s, (set_, _, question) in zip(scores, places, strict=True)]
    return {"aAcc": _mean(scores), "fAcc": _all_right(figures, scores), "qAcc": _all_right(questions, scores)}


def _all_right(groups: Sequence[Hashable], scores: Sequence[Score]) -> Metric:
    first, all_right = _groups(groups, _values(scores))
    return lambda weights: 100 * (weights[:, first] @ all_right) / weights[:, first].sum(axis=1)


def _groups(groups: Sequence[Hashable], values: Floats) -> tuple[np.ndarray, Floats]:
    """Place of each group's first item, and 1 for groups with all values 1, else 0."""
    places: dict[Hashable, list[int]] = {}
    for place, group in enumerate(groups):
        places.setdefault(group, []).append(place)
    first = np.array([some[0] for some in places.values()])
    return first, np.array([values[some].min() == 1 for some in places.values()], dtype=np.float64)


def _members(kinds: Sequence[str]) -> Floats:
    """Which kind each item is of, shape (items, kinds)."""
    names = sorted(set(kinds))
    return np.array([[kind == name for name in names] for kind in kinds], dtype=np.float64)


_METRICS: Final[Mapping[str, Callable[[Sequence[Score]], Metric]]] = {
    "mme": _mme,
    "hallusionbench": _hallusion,
    "meld": _unweighted,
    "iemocap": _unweighted,
}
