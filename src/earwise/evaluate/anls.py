"""Average normalised Levenshtein similarity (DocVQA, InfographicVQA)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from rapidfuzz.distance import Levenshtein

from earwise.data.written_forms import one_form

THRESHOLD: Final = 0.5


def anls_strict(golds: Sequence[str], prediction: str, choices: Sequence[str]) -> float:
    """The definition (Biten et al. 2019): s = 1 - NL of the nearest gold answer, 0 where NL >= 0.5. NL is the edit
    distance divided by the longer length, both of the lower-cased text in one written form with single spaces.
    """
    distance = min(_distance(one_form(gold), one_form(prediction), raw_length=False) for gold in golds)
    return 1 - distance if distance < THRESHOLD else 0.0


def anls_kits(golds: Sequence[str], prediction: str, choices: Sequence[str]) -> float:
    """The released script, lmms-eval and VLMEvalKit: s = 0.5 counts, and lengths are those of the raw texts in upper
    case, where `ß` and ligatures are longer (`Groß` has five letters).
    """
    similarity = 1 - min(_distance(gold, prediction, raw_length=True) for gold in golds)
    return similarity if similarity >= THRESHOLD else 0.0


def _distance(gold: str, prediction: str, *, raw_length: bool) -> float:
    one, two = " ".join(gold.lower().split()), " ".join(prediction.lower().split())
    longest = max(len(gold.upper()), len(prediction.upper())) if raw_length else max(len(one), len(two))
    return Levenshtein.distance(one, two) / longest if longest else 0.0
