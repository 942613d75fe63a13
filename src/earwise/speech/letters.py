"""Letters that engines read otherwise than they are meant: an `A` that is no article, and letters outside of ASCII."""

from __future__ import annotations

import re
import unicodedata
from typing import Final

LETTER_A: Final = re.compile(r"(?<![\w'\-])(?!(?:(?<=\A)|(?<=[.?!:] ))A [a-z])A(?![\w'\-])")
"""Each `A` that is a letter. It is taken for the article only where it starts a sentence and a word in small letters
follows; engines read it as the article wherever a word follows."""

_SOUNDS: Final = {"ß": "ss", "ẞ": "ss", "ð": "th", "Ð": "Th", "þ": "th", "Þ": "Th"}
"""Letters whose Unicode name is not what they sound like."""


def with_letters(spoken: str) -> str:
    """Write each `A` that is a letter as `ay`, which flite and festival say as the letter."""
    return LETTER_A.sub("ay", spoken)


def in_ascii(spoken: str) -> str:
    """Write letters outside of ASCII as English does, `café` as `cafe` and `Łódź` as `Lodz`; no letter is left out.

    For engines that read English in ASCII: flite and festival say nothing for a letter with an accent, or spell the
    word around it. A letter without a base letter becomes its Unicode name, as `λ` becomes `lamda`.
    """
    plain = (char for char in unicodedata.normalize("NFKD", spoken) if not unicodedata.combining(char))
    return "".join(char if char.isascii() else _named(char) for char in plain)


def _named(char: str) -> str:
    """`l` for `LATIN SMALL LETTER L WITH STROKE`, `Oe` for `LATIN CAPITAL LIGATURE OE`."""
    letter = _SOUNDS.get(char) or unicodedata.name(char, "").partition(" WITH ")[0].rpartition(" ")[2]
    return letter.capitalize() if char.isupper() else letter.lower()
