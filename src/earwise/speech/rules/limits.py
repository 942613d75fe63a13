"""Texts that cannot be spoken without changing the question, with the reason."""

from __future__ import annotations

import re
import unicodedata
from typing import Final

from earwise.speech.rules.symbols import GREEK, typed_tag

MAX_DIGITS: Final = 8
"""Digits in a row without a separator. Listeners cannot remember more, and recognisers rarely get all of them."""

_URL: Final = re.compile(r"(?i)\b(?:https?|ftp)://|\bwww\.\w")
_EMAIL: Final = re.compile(r"\S@[\w-]+\.\w")
_LATEX: Final = re.compile(r"\\[a-zA-Z]+|\\[()\[\]]|\$\$|\$[^$\d][^$]*[\\^_{}][^$]*\$")
_MATH: Final = re.compile(r"[∑∏∫√∂∇∞∈∉∀∃⊂⊆∪∩∧∨¬⟨⟩ℝℤℕ]")
_UNIT_POWER: Final = re.compile(r"(?<![A-Za-z])(?:[kcmµμn]?m|ft|mi|yd|in)\^[23](?!\w)")
_SCRIPTED: Final = re.compile(r"\d\s?\*\*\s?\d|[\w)\]]\^[\w({-]|(?<![\w_])[A-Za-z]{1,2}_\{?[A-Za-z0-9]")
_CODE: Final = re.compile(r"\w\[[^\]\s]*\]|\w\([\"')]|[{};]\s*\n|</?[a-z]+\s*/?>|[A-Za-z0-9]_+[A-Za-z0-9]|==|!=")
_LONG_DIGITS: Final = re.compile(rf"\d{{{MAX_DIGITS + 1},}}")


def why_unspeakable(text: str) -> str | None:
    """The reason why `text` (without tags, plain characters) cannot be spoken, or None."""
    if not any(char.isalnum() for char in text):
        return "empty text" if not text.strip() else "no word in the text"
    if _URL.search(text):
        return "holds a URL"
    if _EMAIL.search(text):
        return "holds an e-mail address"
    if (tag := typed_tag(text)) is not None:
        return f"holds the tag {tag}"
    foreign = next((char for char in text if _is_foreign(char)), None)
    if foreign is not None:
        return f"not in Latin script: {foreign!r} ({unicodedata.name(foreign, 'unnamed')})"
    if found := _LONG_DIGITS.search(text):
        return f"holds a string of {len(found[0])} digits, more than {MAX_DIGITS}"
    without_units = _UNIT_POWER.sub("", text)
    if _LATEX.search(without_units) or _MATH.search(without_units) or _SCRIPTED.search(without_units):
        return "holds a formula"
    if _CODE.search(without_units):
        return "holds program code"
    return None


def unsaid(spoken: str) -> str | None:
    """The reason if a finished spoken form still has characters without a spoken form, or None."""
    for char in spoken:
        if not (char in " ,.;:?!'-" or (char.isalpha() and not _is_foreign(char)) or unicodedata.combining(char)):
            return f"{char!r} ({unicodedata.name(char, 'unnamed')}) has no spoken form"
    return None


def _is_foreign(char: str) -> bool:
    if not char.isalpha() or char in GREEK:
        return False
    return not unicodedata.name(char, "").startswith(("LATIN", "FEMININE", "MASCULINE"))
