"""Letters that engines misread: an `A` that is not an article, and letters outside of ASCII."""

from __future__ import annotations

import re
import unicodedata
from typing import Final

LETTER_A: Final = re.compile(r"(?<![\w'\-])(?!(?:(?<=\A)|(?<=[.?!:] ))A [a-z])A(?![\w'\-])")
"""Each `A` that is a letter. Engines read every `A` before a word as the article; here it is the article only at the
start of a sentence and before a word in small letters."""

_SOUNDS: Final = {"ß": "ss", "ẞ": "ss", "ð": "th", "Ð": "Th", "þ": "th", "Þ": "Th"}
"""Letters whose Unicode name differs from their sound."""


def with_letters(spoken: str) -> str:
    """Write each `A` that is a letter as `ay`, which flite and festival read as the letter."""
    return LETTER_A.sub("ay", spoken)


def in_ascii(spoken: str) -> str:
    """Write letters outside of ASCII as English does: `café` as `cafe`, `Łódź` as `Lodz`. No letter is dropped.

    flite and festival skip letters with an accent, or spell the word around them. A letter without a base letter
    becomes its Unicode name: `λ` becomes `lamda`.
    """
    plain = (char for char in unicodedata.normalize("NFKD", spoken) if not unicodedata.combining(char))
    return "".join(char if char.isascii() else _named(char) for char in plain)


def _named(char: str) -> str:
    """`l` for `LATIN SMALL LETTER L WITH STROKE`, `Oe` for `LATIN CAPITAL LIGATURE OE`."""
    letter = _SOUNDS.get(char) or unicodedata.name(char, "").partition(" WITH ")[0].rpartition(" ")[2]
    return letter.capitalize() if char.isupper() else letter.lower()
