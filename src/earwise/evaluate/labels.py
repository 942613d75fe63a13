"""Answers from a closed vocabulary: MUSIC-AVQA's answers, and the emotions of MELD and IEMOCAP.

The released scorers take the largest logit, which does not apply to free text, so the rules are earwise's. An answer
outside the vocabulary is None: wrong, and counted as unparsed.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from typing import Final

from earwise.data.choices import LETTERS, gold_letter
from earwise.data.written_forms import one_form
from earwise.errors import InputError
from earwise.evaluate.denial import asserted
from earwise.evaluate.multiple_choice import parse_strict

_NUMBERS: Final = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten")
_INSTRUMENTS: Final = """accordion; acoustic guitar; bagpipe; banjo; bass; bassoon; cello; clarinet; congas; drum;
electric bass; erhu; flute; guzheng; piano; pipa; saxophone; suona; trumpet; tuba; ukulele; violin; xylophone"""
_OTHER: Final = "yes; no; more than ten; left; right; middle; simultaneously; indoor; outdoor"

VOCABULARY: Final = frozenset(
    " ".join(answer.split()) for answer in (*_NUMBERS, *_INSTRUMENTS.split(";"), *_OTHER.split(";"))
)
"""Answers of MUSIC-AVQA as `normalise` writes them: 43, of which published lists hold 41 or 42. A word too many turns
an unparsed wrong answer into a parsed one, and changes no score.
"""

MELD: Final[Mapping[str, str]] = {
    "neutral": "neutral",
    "joy": "joy",
    "joyful": "joy",
    "happy": "joy",
    "happiness": "joy",
    "anger": "anger",
    "angry": "anger",
    "surprise": "surprise",
    "surprised": "surprise",
    "sadness": "sadness",
    "sad": "sadness",
    "disgust": "disgust",
    "disgusted": "disgust",
    "fear": "fear",
    "fearful": "fear",
    "afraid": "fear",
}
"""Word -> one of MELD's seven labels."""

IEMOCAP: Final[Mapping[str, str]] = {
    "neu": "neu",
    "neutral": "neu",
    "hap": "hap",
    "happy": "hap",
    "happiness": "hap",
    "exc": "hap",
    "excited": "hap",
    "excitement": "hap",
    "ang": "ang",
    "angry": "ang",
    "anger": "ang",
    "sad": "sad",
    "sadness": "sad",
}
"""Word -> one of the four usual classes; excitement counts as happiness."""

_WORD: Final = re.compile(r"[^\W\d_]+")
_DIGITS: Final = {str(number): word for number, word in enumerate(_NUMBERS)}
_MARKS: Final = " \t\n.,;:!?\"'()[]*。，！？"


@lru_cache(maxsize=65536)
def normalise(text: str) -> str:
    """Lower case, `_` as space, without outer marks (also full-width) and leading article, 0 to 10 in words."""
    words = one_form(text).lower().replace("_", " ").strip(_MARKS).split()
    if len(words) > 1 and words[0] in ("a", "an", "the"):
        words = words[1:]
    return " ".join(_DIGITS.get(word, word) for word in words)


def music_avqa(golds: Sequence[str], prediction: str, choices: Sequence[str]) -> float | None:
    """1 if the normalised answers are equal; None if the answer is outside the vocabulary."""
    answer, gold = normalise(prediction), normalise(golds[0])
    if answer == gold:
        return 1.0
    return 0.0 if answer in VOCABULARY else None


def emotion(labels: Mapping[str, str]) -> Callable[[Sequence[str], str, Sequence[str]], float | None]:
    """A scorer that compares `named_emotion` with the gold emotion, given as a word or as an option's letter."""

    def score_emotion(golds: Sequence[str], prediction: str, choices: Sequence[str]) -> float | None:
        word = golds[0].strip()
        letter = gold_letter(word, choices) if choices else None
        gold = labels.get((choices[LETTERS.index(letter)] if letter else word).lower())
        if gold is None:
            remedy = f"known: {', '.join(dict.fromkeys(labels.values()))}"
            raise InputError(f"unknown emotion {golds[0]!r}", remedy=remedy)
        named = named_emotion(labels, prediction, choices)
        return None if named is None else float(named == gold)

    return score_emotion


def named_emotion(labels: Mapping[str, str], prediction: str, choices: Sequence[str] = ()) -> str | None:
    """The label that an answer names: the words of `labels` in it must all mean one label, else None. Denied words do
    not count: `not happy` names nothing, `sad rather than angry` is sad. An answer without such a word may give the
    letter of an option, in any writing that `multiple_choice.parse_strict` reads.
    """
    prediction = one_form(prediction)
    said = _WORD.findall(prediction.lower())
    words = _WORD.findall(asserted(prediction.lower(), rf"\b(?:{'|'.join(labels)})\b"))
    if choices and not any(word in labels for word in said):
        letter = parse_strict(prediction, choices, LETTERS[: len(choices)])
        words = [choices[LETTERS.index(letter)].lower()] if letter else []
    named = {labels[word] for word in words if word in labels}
    return named.pop() if len(named) == 1 else None
