"""One form of a text that can be written in several, and the words in it: what is compared before texts are.

Light on purpose: readers, word error rates and strict scorers all use it. Profiles of other kits do not, because they
must give what these kits give.
"""

from __future__ import annotations

import re
import unicodedata
from typing import Final

_STRAIGHT: Final = dict.fromkeys("\u2018\u2019\u201b\u02bc", "'") | dict.fromkeys("\u201c\u201d\u201f", '"')
"""Typographic apostrophes and quotation marks -> what a keyboard writes."""
_HYPHEN: Final = dict.fromkeys("\u2010\u2011\u2212", "-")
"""Hyphen, hyphen without a break and minus sign; a keyboard has one sign for the three. Dashes are other signs."""
_WIDTHS: Final = {
    chr(code): chr(int(parts[1], 16))
    for code in (0x3000, *range(0xFF01, 0xFFEF))
    if (parts := unicodedata.decomposition(chr(code)).split()) and parts[0] in ("<wide>", "<narrow>")
}
"""Full-width and half-width forms of East Asian fonts -> the character itself."""
_TABLE: Final = str.maketrans(_STRAIGHT | _HYPHEN | _WIDTHS)
_WORD: Final = re.compile(r"[^\W_]+(?:['-][^\W_]+)*")
_UNJOINED: Final = re.compile(r"[^\W_]+(?:'[^\W_]+)*")


def one_form(text: str) -> str:
    """`text` in Unicode's form NFC, with straight apostrophes and quotation marks, plain hyphens and usual widths.

    `cafe` with an accent of its own becomes `café`, a curly apostrophe becomes `'`. Nothing else changes: case, marks
    and signs such as `²` stay.
    """
    return text if text.isascii() else unicodedata.normalize("NFC", text.translate(_TABLE))


def words_of(text: str, *, hyphens: bool = True) -> list[str]:
    """The words of a text in lower case, without punctuation, in one form; `hyphens` joins `well-known`.

    Signs that combine with the letter before them (vowels of Devanagari and Thai) stay in it, and so do the joiners of
    Persian.
    """
    lower = one_form(one_form(text).lower())
    marks = set() if lower.isascii() else {sign for sign in lower if _is_mark(sign)}
    if not marks:
        return (_WORD if hyphens else _UNJOINED).findall(lower)
    signs, joined = re.escape("".join(sorted(marks))), "['-]" if hyphens else "'"
    return re.findall(rf"[^\W_](?:[^\W_]|[{signs}])*(?:{joined}(?:[^\W_]|[{signs}])+)*", lower)


def _is_mark(sign: str) -> bool:
    return unicodedata.category(sign).startswith("M") or sign in "\u200c\u200d"
