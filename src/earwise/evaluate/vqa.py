"""VQA accuracy with ten annotators (TextVQA), and its answer normalisation."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache
from typing import Final

from earwise.data.written_forms import one_form
from earwise.evaluate.contractions import CONTRACTIONS

_MARKS: Final = ';/[]"{}()=+\\_-><@`,?!'
_ANY_MARK: Final = re.compile("[" + re.escape(_MARKS) + "]")
_DIGIT_COMMA_DIGIT: Final = re.compile(r"\d,\d")
_DOT_UNLESS_NUMERIC: Final = re.compile(r"(?<!\d)\.(?!\d)")
_DOT_UNLESS_DIGIT_FOLLOWS: Final = re.compile(r"\.(?!\d)")
_NUMBERS: Final = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten")
_NUMBER_WORDS: Final = {word: str(number) for number, word in enumerate(_NUMBERS)} | {"none": "0"}
_ARTICLES: Final = frozenset({"a", "an", "the"})


KIT_DOTS: Final = 32
"""Full stops removed from a text by the kits and the released script: they pass the flag `re.UNICODE`, which is 32, as
the count of `re.sub`.
"""


def strip_punctuation(text: str, *, keep_final_dot: bool, dots: int = 0) -> str:
    """Marks beside a space vanish, others become a space; all vanish if a comma stands between digits. A full stop
    vanishes unless a digit follows it; `keep_final_dot` (VLMEvalKit) also keeps one after a digit. At most `dots`
    vanish, all with 0.
    """
    if _ANY_MARK.search(text):
        vanish = _DIGIT_COMMA_DIGIT.search(text) is not None
        out = text
        for mark in set(_ANY_MARK.findall(text)):
            out = out.replace(mark, "" if vanish or f"{mark} " in text or f" {mark}" in text else " ")
        text = out
    return (_DOT_UNLESS_NUMERIC if keep_final_dot else _DOT_UNLESS_DIGIT_FOLLOWS).sub("", text, count=dots)


@lru_cache(maxsize=65536)
def normalise_evalai(text: str, dots: int = 0) -> str:
    """The EvalAI answer processor (TextVQA, lmms-eval): first removes commas and question marks and splits off 's."""
    text = text.lower().replace(",", "").replace("?", "").replace("'s", " 's")
    return _normalise_words(strip_punctuation(_one_line(text), keep_final_dot=False, dots=dots))


@lru_cache(maxsize=65536)
def normalise_vlmevalkit(text: str) -> str:
    """VLMEvalKit's variant: commas are treated like other marks, a full stop after a digit stays, 32 others vanish."""
    return _normalise_words(strip_punctuation(_one_line(text), keep_final_dot=True, dots=KIT_DOTS))


def accuracy_strict(golds: Sequence[str], prediction: str, choices: Sequence[str]) -> float:
    """VQA accuracy: the mean over annotators of min(1, number of other annotators with this answer / 3). With k of 10
    annotators agreeing: .3, .6, .9, then 1. An item with fewer than 4 annotators needs all the others instead of 3;
    with one annotator it is a plain match.
    """
    normal, answer = [normalise_evalai(one_form(gold)) for gold in golds], normalise_evalai(one_form(prediction))
    if len(normal) == 1:
        return float(normal[0] == answer)
    return _accuracy(normal, answer, min(3, len(normal) - 1))


def accuracy_evalai(golds: Sequence[str], prediction: str, choices: Sequence[str]) -> float:
    """The released TextVQA script and lmms-eval: as strict, but always with 3 others, and 32 full stops vanish."""
    normal = [normalise_evalai(gold, KIT_DOTS) for gold in golds]
    return _accuracy(normal, normalise_evalai(prediction, KIT_DOTS), 3)


def accuracy_vlmevalkit(golds: Sequence[str], prediction: str, choices: Sequence[str]) -> float:
    """VLMEvalKit's `vqa_score`: its own normalisation, always with 3 others."""
    return _accuracy([normalise_vlmevalkit(gold) for gold in golds], normalise_vlmevalkit(prediction), 3)


def _accuracy(golds: Sequence[str], answer: str, needed: int) -> float:
    """An annotator who gave `answer` has one other fewer with that answer than the rest have."""
    count, agreeing = len(golds), golds.count(answer)
    seen_by_agreeing, seen_by_rest = min(1.0, max(0, agreeing - 1) / needed), min(1.0, agreeing / needed)
    return (agreeing * seen_by_agreeing + (count - agreeing) * seen_by_rest) / count


def _one_line(text: str) -> str:
    return text.replace("\n", " ").replace("\t", " ").strip()


def _normalise_words(text: str) -> str:
    words = (_NUMBER_WORDS.get(word, word) for word in text.lower().split())
    return " ".join(CONTRACTIONS.get(word, word) for word in words if word not in _ARTICLES)
