"""Normalisation of texts before they are compared, and their words.

Readers, word error rates and strict scorers use it. The scorer profiles of other kits do not, because they must give
the results of these kits.
"""

from __future__ import annotations

import re
import unicodedata
from typing import Final

_STRAIGHT: Final = dict.fromkeys("\u2018\u2019\u201b\u02bc", "'") | dict.fromkeys("\u201c\u201d\u201f", '"')
"""Typographic apostrophes and quotation marks -> the plain ones."""
_HYPHEN: Final = dict.fromkeys("\u2010\u2011\u2212", "-")
"""Hyphen, non-breaking hyphen and minus sign -> the keyboard's hyphen. Dashes do not change."""
_WIDTHS: Final = {
    chr(code): chr(int(parts[1], 16))
    for code in (0x3000, *range(0xFF01, 0xFFEF))
    if (parts := unicodedata.decomposition(chr(code)).split()) and parts[0] in ("<wide>", "<narrow>")
}
"""Full-width and half-width forms of East Asian fonts -> the normal character."""
_TABLE: Final = str.maketrans(_STRAIGHT | _HYPHEN | _WIDTHS)
_WORD: Final = re.compile(r"[^\W_]+(?:['-][^\W_]+)*")
_UNJOINED: Final = re.compile(r"[^\W_]+(?:'[^\W_]+)*")


def one_form(text: str) -> str:
    """`text` in Unicode's form NFC, with straight apostrophes and quotation marks, plain hyphens and normal widths.

    `cafe` with a separate accent becomes `café`. Case, punctuation and signs such as `²` do not change.
    """
    return text if text.isascii() else unicodedata.normalize("NFC", text.translate(_TABLE))


def words_of(text: str, *, hyphens: bool = True) -> list[str]:
    """The normalised words of a text in lower case, without punctuation; `hyphens` joins `well-known`.

    Combining signs (vowels of Devanagari and Thai) and the joiners of Persian stay in their word.
    """
    lower = one_form(one_form(text).lower())
    marks = set() if lower.isascii() else {sign for sign in lower if _is_mark(sign)}
    if not marks:
        return (_WORD if hyphens else _UNJOINED).findall(lower)
    signs, joined = re.escape("".join(sorted(marks))), "['-]" if hyphens else "'"
    return re.findall(rf"[^\W_](?:[^\W_]|[{signs}])*(?:{joined}(?:[^\W_]|[{signs}])+)*", lower)


def _is_mark(sign: str) -> bool:
    return unicodedata.category(sign).startswith("M") or sign in "\u200c\u200d"
