"""Answers that are numbers, with any unit or thousands separator."""

from __future__ import annotations

import re
from collections.abc import Sequence
from decimal import Decimal
from functools import lru_cache
from typing import Final

from earwise.data.written_forms import one_form
from earwise.errors import InputError

_WRITTEN: Final = re.compile(r"(?<![\w.,])[-+]?\.?\d[\d.,]*(?:[eE][-+]?\d+)?")
_NUMBER: Final = re.compile(r"[-+]?(?:(?:\d{1,3}(?:,\d{3})+|\d+)(?:\.\d*)?|\.\d+)(?:[eE][-+]?\d{1,3})?")
_WORDS: Final = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten")
_SAID: Final = re.compile(rf"\b(?:{'|'.join(_WORDS)})\b", re.IGNORECASE)


def number(golds: Sequence[str], prediction: str, choices: Sequence[str]) -> float | None:
    """1 if the answer's number equals that of a gold answer; None if the answer has no number, or different numbers.
    `$1,234.50`, `1234.5 dollars` and `+1234.50` are one number; `14 %` is 14. Raises `InputError` for a gold answer
    that is not one number.
    """
    wanted = [number_in(gold) for gold in golds]
    if None in wanted:
        what = f"the gold answer {golds[wanted.index(None)]!r} is not one number"
        raise InputError(what, remedy="score this benchmark by 'exact' or 'contains'")
    value = number_in(prediction)
    return None if value is None else float(value in wanted)


@lru_cache(maxsize=65536)
def number_in(text: str) -> Decimal | None:
    """The one number in a text: in digits or, in a text without digits, in words up to ten. None if there is none, if
    there are different ones, or if one is ambiguous (`3,5`).
    """
    plain = one_form(text)
    written = [found.rstrip(".,") for found in _WRITTEN.findall(plain)]
    if not all(map(_NUMBER.fullmatch, written)):
        return None
    values = {Decimal(one.replace(",", "")) for one in written}
    if not values:
        values = {Decimal(_WORDS.index(word.lower())) for word in _SAID.findall(plain)}
    return values.pop() if len(values) == 1 else None
