"""Removes what an answer denies: `not A`, `the dog is wrong` and `no anger here` name nothing.

Only plain denials are found: a denying word close to what is named, in the same clause.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Final

_CONTRACTED: Final = r"\w+n['’]t\b(?!\s+(?:it|he|she|they|that|this)\s*\?)"
"""`isn't`, but not the tag question `isn't it?`."""
_NOT: Final = (
    rf"(?:\bnot\b(?!\s+(?:only|just|merely)\b)|\b{_CONTRACTED}|\bcannot\b|\bnever\b|\bneither\b|\bnor\b"
    r"|\bhardly\b|\bwithout\b|\black(?:s|ing)?\b|\brather\s+than\b|\binstead\s+of\b|\bexcept\b|\bunlike\b"
    r"|\b(?:exclud|eliminat|reject|discard)(?:e|es|ed|ing|s)?\b|\brul(?:e|es|ed|ing)\s+out\b|不\s*是|不\s*选|并\s*非)"
)
"""Denies what comes after it."""
_FILL: Final = (
    r"(?:\s+(?!(?:but|so|therefore|thus|hence|because|since|then|though|although|while|however|and|it['’]s)\b)"
    r"[\w'’]+){0,6}?"
)
"""Words between a denial and what it denies; none of them may begin another clause."""
_JOIN: Final = r"\s*(?:,?\s*\b(?:or|and|nor)\b|[/&或和、])\s*"
_AUXILIARY: Final = (
    r"(?:(?:is|are|was|were|be|been|being|has|have|had|would|could|can|should|must|may|might|do|does|did|seems?|looks?"
    r"|sounds?|appears?|to|also|both|all|clearly|definitely|obviously|simply|completely|quite|probably|likely|very|then"
    r"|options?|choices?|answers?|an?|the)\b\s*)*"
)
_UNTRUE: Final = (
    r"(?:incorrect|wrong|false|untrue|excluded|eliminated|ruled\s+out|out|rejected|impossible|implausible|unlikely"
    r"|irrelevant|invalid|absent|missing)\b|[✗✘❌]|错误|不\s*对|不\s*正确|排除"
)
"""Denies what comes before it."""
_ANY: Final = re.compile(rf"{_NOT}|\bno\b|{_UNTRUE}", re.IGNORECASE)
_REPEATED: Final = re.compile(r"([^\w\s])\1{2,}")
_BLANKS: Final = re.compile(r"\s*\n\s*")


@lru_cache(maxsize=256)
def _patterns(named: str) -> tuple[re.Pattern[str], ...]:
    one = rf"[(\[*\"'“]{{0,3}}(?:(?:the|an?|option)\s+)?(?:{named})"
    # "A, B and C"; a comma alone may begin another clause. Bounded, because a model may repeat itself endlessly.
    some = rf"{one}(?:(?:\s*,\s*{one}){{0,4}}{_JOIN}{one}){{0,4}}"
    denied_before = rf"{_NOT}{_FILL}\s*{some}|\bno\b(?:\s+\w+){{0,3}}?\s+{some}"
    untrue = rf"{some}[\s.:,)*\]–—-]*{_AUXILIARY}(?:{_UNTRUE})"
    verb = rf"(?:not\b(?!\s+only\b)|{_CONTRACTED}|cannot\b|never\b|不\s*是)(?!\s*{one})"
    not_so = rf"{some}[\s:,)*\]–—-]*{_AUXILIARY}{verb}"
    no = rf"{some}\s*[\s:)*\]–—-]\s*no\b(?=\s*(?:[.,;!(\n]|\Z))|^[^\S\n]*{some}[.\s]*\bno\b(?=\s*(?:[.;!\n]|\Z))"
    return tuple(re.compile(each, re.IGNORECASE | re.MULTILINE) for each in (untrue, not_so, no, denied_before))


def asserted(text: str, named: str) -> str:
    """`text` without what it denies. `named`, a regular expression without groups, matches what an answer can name.
    With `\\b[AB]\\b`, `not A but B` keeps B; `A is wrong` and `neither A nor B` keep neither letter.
    """
    text = _BLANKS.sub("\n", _REPEATED.sub(r"\1", text))
    if not _ANY.search(text):
        return text
    for pattern in _patterns(named):
        text = pattern.sub(" ", text)
    return text
