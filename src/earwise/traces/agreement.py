"""Whether the samples of one item agree on an answer (self-consistency, SightSound-R1 section 2).

Answers are compared in a canonical form: the letter of a choice, or a text without case, marks and spelled numbers.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from earwise.data.choices import LETTERS, option_letters
from earwise.errors import InputError

_LETTER: Final = re.compile(r"(?:(?:option|choice|answer)\s+)?\(?([a-z])\)?[.:]?", re.IGNORECASE)
_MARKED: Final = re.compile(r"(?:(?:option|choice)\s+)?\(?([a-z])[.):]+\s+(.+)", re.IGNORECASE | re.DOTALL)
_EDGES: Final = " .,;:!?\"'“”’*()[]"
_ARTICLES: Final = ("a ", "an ", "the ")
_NUMBERS: Final = {
    word: str(number)
    for number, word in enumerate(
        "zero one two three four five six seven eight nine ten eleven twelve".split()  # noqa: SIM905
    )
}


def canonical(answer: str, choices: Sequence[str] = ()) -> str | None:
    """The canonical form of an answer; None if it names no choice of an item that has some.

    With choices, the letter: said as such (`b`, `(B)`, `Option B.`), as the text of exactly one choice, or as both
    (`B. the dog`), which must be the same one. Without, the text in lower case, without outer marks and article,
    underscores as spaces and numbers up to twelve in digits: `Acoustic_guitar.` is `acoustic guitar`, `Two` is `2`.
    """
    if not choices:
        return _plain(answer) or None
    letters = option_letters(choices)
    named = [letter for letter, choice in zip(letters, choices, strict=True) if _plain(choice) == _plain(answer)]
    if len(named) == 1:  # a text first: the choices may be letters themselves (chords)
        return named[0]
    if alone := _LETTER.fullmatch(answer.strip()):
        return _among(alone[1], letters)
    if marked := _MARKED.fullmatch(answer.strip()):
        letter = _among(marked[1], letters)
        same = letter is not None and _plain(choices[LETTERS.index(letter)]) == _plain(marked[2])
        return letter if same else None
    return None


class Disagreement(StrEnum):
    """Reasons for missing agreement among an item's samples."""

    NO_ANSWER = "a sample has no answer"
    DIFFERENT = "the samples give different answers"
    TOO_FEW = "the most frequent answer is too rare"
    TIED = "two answers are equally frequent"


@dataclass(frozen=True)
class Agreement:
    """The agreed answer of n samples, or the reason why there is none."""

    answer: str | None
    share: float
    """Share of all n samples with the most frequent answer."""
    reason: Disagreement | None = None


def unanimous(answers: Sequence[str | None]) -> Agreement:
    """The published rule: all n samples give the same answer. A sample without an answer (None) breaks agreement."""
    top, share, _ = _counted(answers)
    if None in answers:
        return Agreement(None, share, Disagreement.NO_ANSWER)
    return Agreement(top, share) if share == 1 else Agreement(None, share, Disagreement.DIFFERENT)


def majority(answers: Sequence[str | None], threshold: float = 0.5) -> Agreement:
    """The most frequent answer, if a share of at least `threshold` of all n samples gives it and no other is as
    frequent. Samples without answer count among the n.
    """
    if not 0 < threshold <= 1:
        raise InputError(f"the threshold of a majority is above 0 and at most 1, not {threshold:g}")
    top, share, tied = _counted(answers)
    if top is None:
        return Agreement(None, share, Disagreement.NO_ANSWER)
    if tied:
        return Agreement(None, share, Disagreement.TIED)
    return Agreement(top, share) if share >= threshold else Agreement(None, share, Disagreement.TOO_FEW)


def _counted(answers: Sequence[str | None]) -> tuple[str | None, float, bool]:
    """The most frequent answer, its share of all samples, and whether another answer is as frequent."""
    if not answers:
        raise InputError("no samples to agree")
    counts = Counter(answer for answer in answers if answer is not None).most_common(2)
    if not counts:
        return None, 0.0, False
    (top, most), *others = counts
    return top, most / len(answers), bool(others) and others[0][1] == most


def _among(letter: str, letters: str) -> str | None:
    return letter.upper() if letter.upper() in letters else None


def _plain(text: str) -> str:
    words = " ".join(text.replace("_", " ").casefold().split()).strip(_EDGES)
    for article in _ARTICLES:
        words = words.removeprefix(article)
    return " ".join(_NUMBERS.get(word, word) for word in words.split())
