"""Yes/no answers (MME, HallusionBench): which of the two an answer means, or None.

The rules differ on purpose: a kit's number can only be compared using its own parser.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Final, Literal

from earwise.data.written_forms import one_form
from earwise.errors import InputError
from earwise.evaluate.vqa import KIT_DOTS, strip_punctuation

Answer = Literal["yes", "no"]
Parser = Callable[[str], Answer | None]

_WORD: Final = re.compile(r"[^\W\d_]+(?:['’][^\W\d_]+)*")
_BOTH: Final = re.compile(r"\W*(?:yes\s*(?:\bor\b|\band\b|[/|&])\s*no|no\s*(?:\bor\b|\band\b|[/|&])\s*yes)\b")
_DENIED: Final = re.compile(
    r"\b(?:not|never|cannot|neither|nor|[a-z]+n['’]t)\s+(?:\w+\s+){0,3}?(?:a\s+)?[\"'“*]*(?:yes|no)\b"
)
_LETTER: Final[dict[str, Answer]] = {"y": "yes", "n": "no"}
_GOLD: Final[dict[str, Answer]] = {"yes": "yes", "no": "no", "1": "yes", "0": "no"}


def parse_strict(prediction: str) -> Answer | None:
    """Earwise's rule: the first word decides if it is yes or no; else the one of the two that occurs. A lone `y` or `n`
    counts. `Yes, there is no dog` is yes; `The answer is no.` is no. `Not sure`, `Nope`, `Yes or no`, `Yes and no`,
    `Yes/No`, `I cannot say yes` and an answer with both words after another word are None.
    """
    text = _DENIED.sub(" ", one_form(prediction).lower())
    words = _WORD.findall(text)
    if not words:
        return None
    if words in (["yes", "no"], ["no", "yes"]) or _BOTH.match(text):
        return None
    if words[0] in ("yes", "no"):
        return words[0]
    if len(words) == 1:
        return _LETTER.get(words[0])
    return _only_one(words)


def parse_vlmevalkit(prediction: str) -> Answer | None:
    """VLMEvalKit without a judge (`--judge exact_matching`): exactly one of the words yes and no occurs. Only 32 full
    stops vanish, so the `no.` at the end of a longer chain is not recognised.
    """
    return _only_one(strip_punctuation(prediction.lower(), keep_final_dot=True, dots=KIT_DOTS).split())


def parse_lmms_eval(prediction: str) -> Answer | None:
    """lmms-eval's MME, without full stops: yes, no, y or n alone, else `yes`, then `no`, within the first 4 characters.
    So `Not sure` and `Nope` are no, and `The answer is no.` is None.
    """
    text = prediction.lower().strip().replace(".", "")
    if len(text) == 1:
        return _LETTER.get(text)
    return _within_four(text)


def parse_official(prediction: str) -> Answer | None:
    """MME's own script: `yes`, then `no`, within the first 4 characters of the lower-cased answer, blanks counted."""
    return _within_four(prediction.lower())


def scorer(parse: Parser) -> Callable[[Sequence[str], str, Sequence[str]], float | None]:
    """A scorer that compares the result of `parse` with the gold answer (yes/no, or 1/0 as in HallusionBench)."""

    def score_yes_no(golds: Sequence[str], prediction: str, choices: Sequence[str]) -> float | None:
        gold = _GOLD.get(golds[0].strip().lower().rstrip("."))
        if gold is None:
            raise InputError(f"the gold answer of a yes/no question is {golds[0]!r}", remedy="it must be yes or no")
        answer = parse(prediction)
        return None if answer is None else float(answer == gold)

    return score_yes_no


def _only_one(words: Sequence[str]) -> Answer | None:
    yes, no = "yes" in words, "no" in words
    return None if yes == no else "yes" if yes else "no"


def _within_four(text: str) -> Answer | None:
    start = text[:4]
    return "yes" if "yes" in start else "no" if "no" in start else None
