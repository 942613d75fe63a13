"""Rules for the user's own item sets: exact match after normalisation, and word accuracy of transcripts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from rapidfuzz.distance import Levenshtein

from earwise.data.written_forms import one_form, words_of
from earwise.evaluate.multiple_choice import parse_strict, scorer

_OUTER: Final = " \t\n.,;:!?\"'“”’*()[]"

_score_choice: Final = scorer(parse_strict)


def exact(golds: Sequence[str], prediction: str, choices: Sequence[str]) -> float | None:
    """1 if the answer equals a gold answer up to case, written form, spaces and outer marks. For items with choices,
    the letters are compared.
    """
    if choices:
        return _score_choice(golds, prediction, choices)
    plain = _plain(prediction)
    return float(plain != "" and any(_plain(gold) == plain for gold in golds))


def contains(golds: Sequence[str], prediction: str, choices: Sequence[str]) -> float:
    """1 if a gold answer occurs in the answer as whole words, in lower case, one written form, and without marks.
    Denials are not recognised: `not red` contains `red`.
    """
    said = f" {' '.join(words_of(prediction))} "
    wanted = [" ".join(words_of(gold)) for gold in golds]
    return float(any(gold and f" {gold} " in said for gold in wanted))


def word_accuracy(golds: Sequence[str], prediction: str, choices: Sequence[str]) -> float:
    """1 - word error rate of a transcript against the nearest gold answer, at least 0; words in lower case without
    marks. Per item, so that views can be paired; a corpus error rate is the ratio of summed edits to summed words
    instead.
    """
    heard = words_of(prediction, hyphens=False)
    references = [words_of(gold, hyphens=False) for gold in golds]
    rates = [Levenshtein.distance(words, heard) / max(1, len(words)) for words in references]
    return max(0.0, 1 - min(rates))


def _plain(text: str) -> str:
    words = " ".join(one_form(text).casefold().split())
    return words.strip(_OUTER) or words
