"""One scorer for every view: a benchmark's rules, in one of four profiles, applied to one answer.

`strict` is the official definition; if that leaves the reading of free text open, it is a documented rule of ours.
`vlmevalkit` and `lmms_eval` reproduce these kits without a judge and without random options. `official` is
bug-compatible with the released script. A benchmark lacks a profile that cannot be computed.
"""

from __future__ import annotations

from collections.abc import Sequence

from earwise.errors import InputError
from earwise.evaluate.benchmarks.rules import PROFILES as PROFILES
from earwise.evaluate.benchmarks.scorers import SCORERS as SCORERS
from earwise.evaluate.benchmarks.scorers import SPLITS as SPLITS
from earwise.evaluate.benchmarks.scorers import find_scorer as find_scorer
from earwise.evaluate.benchmarks.scorers import read as read


def score(
    benchmark: str,
    gold: str | Sequence[str],
    prediction: str,
    choices: Sequence[str] | None = None,
    profile: str = "strict",
) -> float | None:
    """Score one output: a value in [0, 1], or None if it could not be parsed (counts as wrong and is reported).

    `prediction` is the whole output: reasoning and answer tags are read as in the profile (`reading`). `benchmark` is
    the name of a benchmark or of rules (`registry.RULES`). `gold` is one answer or all accepted ones (TextVQA: one per
    annotator). With `choices` it is a letter or the text of a choice, for AVQA also its place from 0. An open answer is
    None only if there is no answer (an endless `<think>`).
    Raises `InputError` for an unknown benchmark or profile, naming the nearest, and for an impossible gold answer.
    """
    golds = (gold,) if isinstance(gold, str) else gold
    if not golds:
        raise InputError("no gold answer", record=benchmark)
    return find_scorer(benchmark, profile)(golds, prediction, choices or ())
