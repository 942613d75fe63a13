"""How VLMEvalKit and lmms-eval find the option letter in an answer; None replaces their random guesses."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

from earwise.data.choices import option_letters
from earwise.evaluate.multiple_choice import right_letter

_ABCD: Final = "ABCD"

_SPACED: Final = str.maketrans(dict.fromkeys(".()[],:;!*#{}", " "))
_SAID: Final = re.compile(r"answer\s+is\s+\**([A-D])\**", re.IGNORECASE)
_REFUSALS: Final = (
    "Failed to obtain answer via API",
    "Sorry, I can't help with images of people yet.",
    "I can't process this file.",
    "I'm sorry, but without the image provided",
    "Cannot determine the answer",
)

_PHRASES: Final = (
    "answer is",
    "the answer is",
    "correct answer is",
    "the correct answer is",
    "best answer is",
    "the best answer is",
    "correct option is",
    "the correct option is",
    "best option is",
    "the best option is",
    "choice is",
    "the choice is",
    "correct choice is",
    "the correct choice is",
    "i choose",
    "i select",
    "i pick",
    "my answer is",
    "my choice is",
    "옵션",
    "정답은",
    "답은",
    "답:",
    "答案是",
    "答案为",
    "选",
    "答えは",
)


def score_vlmevalkit(golds: Sequence[str], prediction: str, choices: Sequence[str]) -> float | None:
    """VLMEvalKit's multiple choice. For a row without options it finds nothing, not even an open answer: None."""
    if not choices:
        return None
    right = right_letter(golds[0], choices)
    answer = parse_vlmevalkit(prediction, choices, option_letters(choices))
    return None if answer is None else float(answer == right)


def score_lmms_eval(golds: Sequence[str], prediction: str, choices: Sequence[str]) -> float | None:
    """lmms-eval's RealWorldQA: for a gold letter A to D it looks for A to D, with any options. Any other gold
    answer, even the letter of a fifth option, is an open answer: compared in lower case, with the full stop removed
    from the prediction only.
    """
    gold = right_letter(golds[0], choices) if choices else golds[0].strip()
    if gold.upper() not in tuple(_ABCD):
        return float(prediction.lower().strip().rstrip(".") == gold.lower())
    answer = parse_lmms_eval(prediction, choices, _ABCD)
    return None if answer is None else float(answer == gold.upper())


def parse_vlmevalkit(prediction: str, choices: Sequence[str], letters: str) -> str | None:
    """VLMEvalKit's `can_infer` with `--judge exact_matching`. Marks become spaces. The letter is the only option letter
    in the text, first found among the last 4 words; else that of `answer is X`; else that of the only option whose text
    is part of an answer at most twice as long as all options together.
    """
    if any(refusal in prediction for refusal in _REFUSALS):
        return None
    words = prediction.translate(_SPACED).split()
    present = [letter for letter in letters if letter in words]
    if len(present) == 1 and words.index(present[0]) > len(words) - 5:
        return present[0]
    if not present and "Z" in words:
        return None
    if (said := _SAID.search(prediction)) and said[1].upper() in letters:
        return said[1].upper()
    text = prediction.lower()
    if len(text) > 2 * sum(map(len, choices)):
        return None
    within = [letter for letter, choice in zip(letters, choices, strict=False) if choice.lower() in text]
    return within[0] if len(within) == 1 else None


def parse_lmms_eval(prediction: str, choices: Sequence[str], letters: str) -> str | None:
    """lmms-eval's `extract_mcq_answer`: capital letters only; the most trusted writing wins, then the last place. Trust
    decreases in this order: at the start, at the end, after `answer is` and similar phrases, `(A)`, `A.`, `A:`, `A)`,
    `A `, anywhere.
    """
    text = prediction.strip()
    for mark in ",.!?;:'\"":
        text = text.strip(mark)
    if not text.strip():
        return None
    found = _candidates(f" {text} ", letters)
    if not found:
        found = [(0, text.rfind(letter), letter) for letter in letters if letter in text]
    return max(found)[2] if found else None


def _candidates(text: str, letters: str) -> list[tuple[int, int, str]]:
    """(trust, place, letter) of every writing of a letter in `text`, which begins and ends with a space."""
    found = []
    for trust, writing in ((6, "({})"), (5, "{}."), (4, "{}:"), (3, "{})"), (2, "{} ")):
        places = ((text.rfind(writing.format(letter)), letter) for letter in letters)
        found += [(trust, place, letter) for place, letter in places if place >= 0]
    lower = text.lower()
    for phrase in _PHRASES:
        if (start := lower.find(phrase)) >= 0:
            places = ((text.find(letter, start + len(phrase)), letter) for letter in letters)
            found += [(7, place, letter) for place, letter in places if place >= 0]
    bare = text.strip()
    if bare[0] in letters and not bare[1:2].isalpha():
        found.append((10, 0, bare[0]))
    if bare[-1] in letters and not bare[-2:-1].isalpha():
        found.append((9, len(text), bare[-1]))
    return found
