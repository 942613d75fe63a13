"""Minus signs, scientific notation and powers of ten.

A hyphen is a minus, a range (`5-10`), a score (`3-2`) or part of a name (`747-400`). It is spoken wherever two numbers
would run together: `20-5` is not "twenty five".
"""

from __future__ import annotations

import re
from typing import Final

from earwise.speech.rules.calendar import DATES
from earwise.speech.rules.numbers import cardinal, number
from earwise.speech.rules.quantities import NUMBER, PHONE, SIGNS

_VARIABLE: Final = r"(?:\d{0,3}[abcnpqtuvwxyz](?![\w'’])|[α-ω](?![^\W\d_]))"
_AMOUNT: Final = rf"{SIGNS}?(?:\d{{1,3}}/\d{{1,3}}|{NUMBER})"
_AFTER_AMOUNT: Final = rf"(?:\s?(?:%|°[CF]?|{SIGNS}))?"
_UNIT: Final = r"(?:[kcmnµμ]?m|[km]?g|lbs?|oz|[mM]?[lL]|hrs?|h|min|sec|s|[kMG]?Hz|k?W|mph|ft|in|[A-Za-z]{3,}s)"
_LEFT: Final = (
    rf"(?P<left>(?<![\w.,:/])(?<![A-Za-z]-)(?:{_VARIABLE}|(?P<low>{_AMOUNT}){_AFTER_AMOUNT}(?P<unit>\s{_UNIT}\b)?)|\))"
)
_RIGHT: Final = rf"(?=(?P<right>-?(?:{_VARIABLE}|(?P<high>{_AMOUNT})(?![\d:]|[.,]\d))|\(\s?-?[\w{SIGNS[1:-1]}]))"
_HYPHEN: Final = re.compile(rf"{_LEFT}(?P<before>\s?)[-–](?P<after>\s?){_RIGHT}")

_ORDER: Final = r"\b(?:calculate|compute|subtract|evaluate|solve|simplify|minus|work\s+out|how\s+much\s+is)\b"
_ASKED: Final = re.compile(
    rf"(?i)(?:{_ORDER}[^.?!]{{0,60}}|\b(?:what|how\s+much)(?:['’]s|\s+is|\s+does)\s|[=+×÷±]\s?)\Z"
)
_WORKED_OUT: Final = re.compile(r"(?i)[^\w?.]*(?:[=+×÷≠<>≤≥]|equals?\b|in\s+total\b|is\b)")
_SCORE: Final = re.compile(
    r"(?i)\b(?:scor\w*|won|wins?|lost|los[es]\w*|beat\w*|defeat\w*|draw|tied?|record|lead|led|ahead)\b"
    r"[^.?!\d]{0,40}\Z"
)
_NAME: Final = re.compile(
    r"(?i:\b(?:model|room|flight|route|page|pages|chapter|number|no|section|version)\.?\s)\Z"
    r"|(?<![.?!] )\b(?!(?:Is|Are|Was|If|Can|Do|Does|The|From|In|On|At|To|And|Or|So|Then|Only|About|With|By|For)\b)"
    r"[A-Z]\w+\s\Z"
)
_PLANE: Final = re.compile(r"[a-z][- ](?:plane|axis|axes|graph|plot|coordinates?)\b")
_SCIENTIFIC: Final = re.compile(r"(?<![\w.,-])(-?)(\d+\.\d+|\d)(?:[eE]([+-]\d{1,3})|e(\d{1,2}))(?!\w|\.\d)")
_MONEY_SIGN: Final = re.compile(rf"(?<!\d)(?<!\d )({SIGNS})\s?-\s?(?=[\d.])")
_UNARY: Final = re.compile(rf"(?:\A|(?<=[\s(\[=,:]))-(?={_VARIABLE}|{SIGNS}\d)")
_SECOND_SIGN: Final = re.compile(r"(?<=[+*×÷=])-(?=\(?\s?[\d.])")
_GRADE: Final = re.compile(r"(?<![\w'-])(AB|[A-FO])-(?=[\s.,;:?!)]|\Z)")
_TIMES: Final = re.compile(r"(?<=\d:\d\d)(\s?(?:[aApP]\.?[mM]\.?)?)\s?[-–]\s?(?=\d{1,2}:\d\d)")


def say_scientific(text: str) -> str:
    """`1e-3` is "one times ten to the minus three", `2.5E+10` "two point five times ten to the ten"."""
    return _SCIENTIFIC.sub(_scientific, text)


def _scientific(found: re.Match[str]) -> str:
    power = int(found[3] or found[4])
    sign = "minus " if found[1] else ""
    return f"{sign}{number(found[2])} times ten to the {cardinal(power)}"


def say_minus(text: str) -> str:
    """`10 - 4` and `What is 10-4?` are "10 minus 4", `x - 1` "x minus 1", `$-5` "minus 5 dollars", `A-` "A minus".

    A rising pair is a range unless it is calculated: `5-10` stays, but not `What is 5-10?` and `5-10 = -5`. A score is
    "3 to 2"; a name (`747-400`, `Boeing 747-8`), a date and a telephone number stay.
    """
    text = _GRADE.sub(r"\1 minus ", _MONEY_SIGN.sub(r"-\1", text))
    text = _TIMES.sub(r"\1 to ", text)
    kept = [found.span() for pattern in (PHONE, *DATES) for found in pattern.finditer(text)]

    def say(found: re.Match[str]) -> str:
        if any(start < found.end() and found.start() < end for start, end in kept):
            return found[0]
        return found["left"] + (_said(found) or found["before"] + "-" + found["after"])

    text = _HYPHEN.sub(say, text)
    return _UNARY.sub("minus ", _SECOND_SIGN.sub(" minus ", text))


def _said(found: re.Match[str]) -> str | None:
    """The word for the hyphen, or None for ranges and names, which have their own rules."""
    text, start, end = found.string, found.start(), found.end("right")
    before, after = text[max(0, start - 80) : start], text[end : end + 80]
    if found["low"] is None or found["high"] is None:
        return None if _PLANE.match(found.string, found.end()) else " minus "
    if _ASKED.search(before) or _WORKED_OUT.match(after):
        return " minus "
    spaced = bool(found["before"] or found["after"])
    low, high = _value(found["low"]), _value(found["high"])
    chain = re.search(r"[\d)][-–]\Z", before) or re.match(r"[-–]\d", after)
    if low <= high or _is_short_year(found["low"], found["high"]):
        return " to " if "/" in found["low"] or (spaced and found["unit"]) else None
    if spaced:
        return " minus "
    if chain or _NAME.search(before) or re.fullmatch(r"\d{3}-\d{3}", f"{found['low']}-{found['high']}"):
        return None
    return " to " if _SCORE.search(before) else " minus "


def _value(amount: str) -> float:
    top, _, bottom = re.sub(r"[^\d./]", "", amount).rstrip(".").partition("/")
    return float(top) / float(bottom or 1) if float(bottom or 1) else 0.0


def _is_short_year(low: str, high: str) -> bool:
    """Whether a falling pair is a range of years, `1998-99`."""
    return (low + high).isdigit() and (len(low), len(high)) == (4, 2)
