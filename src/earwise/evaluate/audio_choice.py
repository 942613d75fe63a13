"""Multiple choice about sounds (MMAU, MMAR, AVQA): gold answers are texts or places of options.

The released scorer of MMAU and MMAR compares sets of words. So it accepts `From near to far` for `From far to near`,
and rejects a letter alone; the strict rule does neither.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache
from typing import Final

from earwise.data.choices import LETTERS, gold_letter
from earwise.data.written_forms import one_form
from earwise.errors import InputError
from earwise.evaluate.multiple_choice import parse_strict

_TOKEN: Final = re.compile(r"\w+")
_EDGES: Final = ",.!?;:'"
_ABCD: Final = "ABCD"
_LONG: Final = 5
"""Longer answers, in words, may name an option by its text (lmms-eval's MMAR)."""


def strict(golds: Sequence[str], prediction: str, choices: Sequence[str]) -> float | None:
    """The option that the answer names, by text or by letter (`multiple_choice.parse_strict`), compared with the gold
    option. An answer that is the text of an option means that option, even if the text is a letter (a chord). Options
    with the same text are one answer, by any of their letters.
    """
    said, texts = one_form(prediction), [one_form(choice).strip() for choice in choices]
    if not said.strip():
        return None
    right = _letter(one_form(golds[0]), texts)
    # Later copies are hidden, so that a text does not stand for two letters.
    distinct = [text if texts.index(text) == place else "" for place, text in enumerate(texts)]
    answer = _letter_of_text(said, texts) or parse_strict(said, distinct, LETTERS[: len(texts)])
    return None if answer is None else float(texts[LETTERS.index(answer)] == texts[LETTERS.index(right)])


def strict_index(golds: Sequence[str], prediction: str, choices: Sequence[str]) -> float | None:
    """AVQA: as `strict`, but a gold answer in digits is the option's place from 0, as in its files (`"2"` is C)."""
    gold = golds[0].strip()
    if gold.isdecimal() and int(gold) >= len(choices):
        raise InputError(f"the gold answer is option {gold} of {len(choices)}", remedy="options count from 0")
    return strict((choices[int(gold)],) if gold.isdecimal() else golds, prediction, choices)


def official(golds: Sequence[str], prediction: str, choices: Sequence[str]) -> float:
    """The released `string_match` of MMAU and MMAR, on sets of lower-cased words. An answer is right if it has every
    word of the gold option, and no word that only a wrong option has.
    """
    said, answer = _words(prediction), _words(_text(golds[0], choices))
    if not said or not answer <= said:
        return 0.0
    return float(not any((_words(choice) - answer) & said for choice in choices))


def lmms_eval_mmau(golds: Sequence[str], prediction: str, choices: Sequence[str]) -> float | None:
    """lmms-eval's MMAU: letters A to D as `(A)`, else ` A `, else `A.`. None where the kit draws a random letter, and
    for a letter without an option, on which the kit fails.
    """
    text = f" {_stripped(prediction)} "
    found: list[str] = []
    for writing in ("({})", " {} ", "{}."):
        found = found or [letter for letter in _ABCD if writing.format(letter) in text]
    if not found:
        return None
    # The kit takes the letter whose last free-standing place comes last; the first letter wins a tie.
    place = LETTERS.index(max(found, key=lambda letter: text.rfind(f" {letter} ")))
    if place >= len(choices):
        return None
    return float(choices[place].strip().lower() == _text(golds[0], choices).strip().lower())


def lmms_eval_mmar(golds: Sequence[str], prediction: str, choices: Sequence[str]) -> float | None:
    """lmms-eval's MMAR: `(A)`, else `A `, else `A.`, else in longer answers an option's text; the last one counts. None
    where the kit draws a random letter.
    """
    right, text = _letter(golds[0], choices), f" {_stripped(prediction)} "
    letters = LETTERS[: len(choices)]
    for written, sought in (("({})", "({})"), ("{} ", " {} "), ("{}.", " {} ")):
        found = [letter for letter in letters if written.format(letter) in text]
        if found:
            return float(max(found, key=lambda letter: text.rfind(sought.format(letter))) == right)
    if len(text.split()) <= _LONG:
        return None
    lower = text.lower()
    places = {letter: lower.rfind(choice.lower()) for letter, choice in zip(letters, choices, strict=True)}
    named = [letter for letter, place in places.items() if place >= 0]
    return float(max(named, key=lambda letter: places[letter]) == right) if named else None


def _letter(gold: str, choices: Sequence[str]) -> str:
    """Letter of the gold option, by its text if possible, because these files give texts."""
    letter = _letter_of_text(gold, choices) or gold_letter(gold.strip(), choices)
    if letter is None:
        raise InputError(f"the gold answer {gold!r} is not among the choices {list(choices)}")
    return letter


def _letter_of_text(text: str, choices: Sequence[str]) -> str | None:
    places = [place for place, choice in enumerate(choices) if choice.strip() == text.strip()]
    return LETTERS[places[0]] if places else None


def _text(gold: str, choices: Sequence[str]) -> str:
    """The text of the gold option, given as text or letter."""
    if gold in choices or not choices:
        return gold
    letter = gold_letter(gold.strip(), choices)
    return gold if letter is None else choices[LETTERS.index(letter)]


@lru_cache(maxsize=65536)
def _words(text: str) -> frozenset[str]:
    return frozenset(_TOKEN.findall(text.lower()))


def _stripped(prediction: str) -> str:
    for mark in _EDGES:
        prediction = prediction.strip(mark)
    return prediction
