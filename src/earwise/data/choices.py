"""Option letters of multiple-choice items, and the form of their gold answer.

The convention for all items: `Item.question` contains no options, `Item.choices` has their texts in order, and
`Item.answers[0]` is the letter of the right option.
"""

from __future__ import annotations

import string
from collections.abc import Sequence
from typing import Final

from earwise.errors import InputError

LETTERS: Final = string.ascii_uppercase


def option_letters(choices: Sequence[str]) -> str:
    """The letters of `choices`, for example `"ABC"`; raises `InputError` for more than 26 options."""
    if len(choices) > len(LETTERS):
        raise InputError(f"{len(choices)} options, but letters reach only to Z", remedy="use at most 26 options")
    return LETTERS[: len(choices)]


def gold_letter(gold: str, choices: Sequence[str]) -> str | None:
    """The letter for `gold`: a letter of `choices` or, failing that, the exact text of exactly one choice; else None.

    A letter wins over a text: with the choices ("B", "A"), the gold answer "A" means the first option.
    """
    letters = option_letters(choices)
    if len(gold) == 1 and gold in letters:
        return gold
    places = [place for place, choice in enumerate(choices) if choice == gold]
    return letters[places[0]] if len(places) == 1 else None
