"""MELD and IEMOCAP: which emotion a speaker expresses.

Reported are weighted and unweighted accuracy, and for MELD the weighted F1. With n_c utterances of gold emotion c, of
which t_c are recognised, and p_c answers that name c,

    WA = sum over c of t_c / sum over c of n_c                 (weighted accuracy: plain accuracy over utterances)
    UA = mean over c of t_c / n_c                              (unweighted accuracy: every emotion counts the same)
    F1 = sum over c of n_c F1_c / sum over c of n_c,  F1_c = 2 t_c / (n_c + p_c)

where c runs over the emotions that have utterances. An answer that names none is an error for its gold emotion and
counts in no p_c. "Weighted" means by the frequency of the emotions in the data: a model that always says "neutral" has
48 % WA in MELD's test, and 14 % UA.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Final

import numpy as np

from earwise.data.audit_emotions import (
    IEMOCAP_COUNTS,
    MELD_OTHERS,
    MELD_TEST,
    iemocap_extras,
    meld_extras,
    read_every_session,
)
from earwise.data.audit_scans import sounds_scan
from earwise.data.emotions import OPTIONS
from earwise.data.iemocap import TEST, read_iemocap
from earwise.data.meld import read_meld
from earwise.data.public_files import PublicFile
from earwise.errors import InputError
from earwise.evaluate import labels
from earwise.evaluate.benchmarks.benchmark import Benchmark, Rules, Total, option_text, plain
from earwise.evaluate.gap import Floats, Metric
from earwise.evaluate.metrics import mean, mean_of_kinds
from earwise.records import Item, Score
from earwise.traces.format import said

_LABELS: Final[Mapping[str, Mapping[str, str]]] = {"meld": labels.MELD, "iemocap": labels.IEMOCAP}
"""Benchmark -> word -> label."""


def weighted_f1(scores: Sequence[Score], benchmark: str) -> Metric:
    """F1 as a function of item weights (`gap.Metric`), 0-100. A score's kind is its gold emotion."""
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
    """The emotion that an answer names; None if it could not be parsed. Raises `InputError` if the answer, parsed
    again, does not give its score.
    """
    if score.invalid:
        return None
    if score.value == 1:
        return score.kind
    answer = said(score.prediction)
    emotion = labels.named_emotion(_LABELS[benchmark], answer, OPTIONS[benchmark]) if answer is not None else None
    if emotion is None or emotion == score.kind:
        what = (
            f"{score.prediction[:40]!r} is scored as another emotion than {score.kind!r}, and names {emotion or 'none'}"
        )
        raise InputError(what, record=score.item, remedy="evaluate again")
    return emotion


def _read_sessions(path: Path, sessions: Sequence[int]) -> list[Item]:
    return read_iemocap(path, sessions=sessions)


_ACCURACIES: Final = (Total("wa", "WA", mean), Total("ua", "", mean_of_kinds))

# The released scripts score logits, not text.
MELD: Final = Benchmark(
    name="meld",
    label="MELD, UA",
    file=PublicFile(
        "test_sent_emo.csv",
        sounds_scan(read_meld, meld_extras),
        counts=MELD_TEST,
        others=MELD_OTHERS,
        one_answer=True,
    ),
    read=plain(read_meld),
    rules=Rules("meld", {"strict": labels.emotion(labels.MELD)}),
    gold=option_text,
    metric=mean_of_kinds,
    totals=(*_ACCURACIES, Total("weighted_f1", "weighted F1", partial(weighted_f1, benchmark="meld"))),
    items_weigh_alike=False,
)
IEMOCAP: Final = Benchmark(
    name="iemocap",
    label="IEMOCAP, UA",
    file=PublicFile(
        "IEMOCAP_full_release",
        sounds_scan(read_every_session, iemocap_extras, folder=True),
        counts=IEMOCAP_COUNTS,
        folder=True,
        one_answer=True,
    ),
    read=_read_sessions,
    rules=Rules("iemocap", {"strict": labels.emotion(labels.IEMOCAP)}),
    gold=option_text,
    metric=mean_of_kinds,
    totals=_ACCURACIES,
    items_weigh_alike=False,
    options=TEST,
    table="iemocap",
)
