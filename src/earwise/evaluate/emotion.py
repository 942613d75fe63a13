"""What is reported of recognised emotions: weighted and unweighted accuracy, and MELD's weighted F1.

With n_c utterances of gold emotion c, of which t_c are recognised, and p_c answers that name c,

    WA = sum over c of t_c / sum over c of n_c                 (weighted accuracy: plain accuracy over utterances)
    UA = mean over c of t_c / n_c                              (unweighted accuracy: every emotion counts the same)
    F1 = sum over c of n_c F1_c / sum over c of n_c,  F1_c = 2 t_c / (n_c + p_c)

where c runs over the emotions that have utterances. An answer that names none is an error of its gold emotion and
counts in no p_c. "Weighted" is weighted by how frequent the emotions are in the data: a model that always says
"neutral" has 48 % WA in MELD's test, and 14 % UA.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

import numpy as np

from earwise.data.emotions import OPTIONS
from earwise.errors import InputError
from earwise.evaluate.estimates import Cells, clusters
from earwise.evaluate.gap import Floats, Metric, metric_interval
from earwise.evaluate.labels import IEMOCAP, MELD, named_emotion
from earwise.evaluate.totals import metric
from earwise.records import Score
from earwise.traces.format import said

LABELS: Final[Mapping[str, Mapping[str, str]]] = {"meld": MELD, "iemocap": IEMOCAP}
"""Benchmark -> what the words of its answers mean."""

Totals = dict[str, dict[str, Any]]


def emotion_totals(benchmark: str, cells: Cells) -> Totals:
    """`{"wa", "ua", "weighted_f1": {"value", "ci95", "by_seed"}}`, 0-100; the last one for MELD only.

    `cells` holds for each seed the scores of one model under one view. Seeds are averaged; intervals are a bootstrap
    over clusters, which are dialogues, the same resamples for every number. Raises `InputError` for a benchmark without
    emotions and for an answer that is scored otherwise than it reads.
    """
    if benchmark not in LABELS:
        raise InputError("no benchmark of emotions", record=benchmark, remedy=f"known: {', '.join(LABELS)}")
    metrics: dict[str, Callable[[Sequence[Score]], Metric]] = {
        "wa": weighted_accuracy,
        "ua": lambda scores: metric(benchmark, scores),
    }
    if benchmark == "meld":
        metrics["weighted_f1"] = lambda scores: weighted_f1(benchmark, scores)
    return {name: _told([make(cell) for cell in cells], clusters(cells[0])) for name, make in metrics.items()}


def weighted_accuracy(scores: Sequence[Score]) -> Metric:
    """WA as a function of item weights (`gap.Metric`), 0-100."""
    values = np.array([score.value for score in scores], dtype=np.float64)
    return lambda weights: 100 * (weights @ values) / weights.sum(axis=1)


def weighted_f1(benchmark: str, scores: Sequence[Score]) -> Metric:
    """F1 as a function of item weights (`gap.Metric`), 0-100. The kind of a score is its gold emotion."""
    gold, answered = [score.kind for score in scores], [named(benchmark, score) for score in scores]
    emotions = sorted({*gold})
    is_gold = np.array([[one == emotion for emotion in emotions] for one in gold], dtype=np.float64)
    is_named = np.array([[one == emotion for emotion in emotions] for one in answered], dtype=np.float64)

    def f1(weights: Floats) -> Floats:
        asked, told = weights @ is_gold, weights @ is_named
        right = weights @ (is_gold * is_named)
        of_each = 2 * right / np.maximum(asked + told, 1)
        return 100 * np.asarray((asked * of_each).sum(axis=1) / asked.sum(axis=1), dtype=np.float64)

    return f1


def named(benchmark: str, score: Score) -> str | None:
    """The emotion that an answer names; None if it could not be parsed.

    Raises `InputError` if the answer, read again, does not give the value that it was scored with.
    """
    if score.invalid:
        return None
    if score.value == 1:
        return score.kind
    answer = said(score.prediction)
    emotion = named_emotion(LABELS[benchmark], answer, OPTIONS[benchmark]) if answer is not None else None
    if emotion is None or emotion == score.kind:
        what = (
            f"{score.prediction[:40]!r} is scored as another emotion than {score.kind!r}, and names {emotion or 'none'}"
        )
        raise InputError(what, record=score.item, remedy="evaluate again")
    return emotion


def _told(metrics: Sequence[Metric], groups: Sequence[str]) -> dict[str, Any]:
    """A number over seeds with its interval, and each seed's own."""
    value, low, high = metric_interval(
        lambda weights: np.mean([one(weights) for one in metrics], axis=0), groups, bounds=(0.0, 100.0)
    )
    whole = np.ones((1, len(groups)))
    return {"value": value, "ci95": [low, high], "by_seed": [float(one(whole)[0]) for one in metrics]}
