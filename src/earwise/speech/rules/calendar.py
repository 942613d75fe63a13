"""Dates and times of day."""

from __future__ import annotations

import re
from typing import Final

from earwise.speech.rules.numbers import cardinal, ordinal, year

MONTHS: Final = (
    "January", "February", "March", "April", "May", "June", "July", "August", "September", "October", "November",
    "December",
)  # fmt: skip
_SHORT: Final = {month[:3]: month for month in MONTHS} | {"Sept": "September"}
_MONTH: Final = r"(?P<month>" + "|".join((*MONTHS, *(f"{short}\\.?" for short in ("Sept", *_SHORT)))) + r")"
_DAY: Final = r"(?P<day>0?[1-9]|[12]\d|3[01])(?:st|nd|rd|th)?"
_YEAR: Final = r"(?P<year>1[1-9]\d\d|20\d\d)"
_END: Final = r"(?![\w/]|[-.,:]\d)"

_MONTH_FIRST: Final = re.compile(rf"(?<!\w){_MONTH}\s{_DAY}(?:,?\s{_YEAR})?{_END}")
_DAY_FIRST: Final = re.compile(rf"(?<![\w/.,-])(?:the\s)?{_DAY}(?:\sof)?\s{_MONTH}(?:,?\s{_YEAR})?{_END}")
_MONTH_YEAR: Final = re.compile(rf"(?<!\w){_MONTH}\s(?={_YEAR}{_END})")
_ISO: Final = re.compile(rf"(?<![\w-]){_YEAR}[-/.](?P<month>0[1-9]|1[0-2])[-/.](?P<day>0[1-9]|[12]\d|3[01]){_END}")
_SLASHED: Final = re.compile(
    rf"(?<![\w/.-])(?P<first>\d{{1,2}})(?P<mark>[-/.])(?P<second>\d{{1,2}})(?P=mark)(?:{_YEAR}|(?P<short>\d\d)){_END}"
)

DATES: Final = (_ISO, _SLASHED)
"""Dates in digits; their hyphens are not minus signs."""

_HALF: Final = r"(?P<half>[aApP])\.?[mM](?:\.|(?!\w))"
_CLOCK: Final = re.compile(
    rf"(?<![\w:.,])(?P<hour>[01]?\d|2[0-4])[:.](?P<minute>[0-5]\d)(?::(?P<second>[0-5]\d))?\s?{_HALF}"
    r"|(?<![\w:.,])(?P<hour24>[01]?\d|2[0-4]):(?P<minute24>[0-5]\d)(?::(?P<second24>[0-5]\d))?(?![\w:]|\.\d)"
)
_HOUR: Final = re.compile(rf"(?<![\w:.,])(?P<hour>1[0-2]|0?[1-9])\s?{_HALF}")
_RATIO: Final = re.compile(r"(?<![\w:.])(\d{1,4}):(?=\d{1,4}(?![\w:]))")


def say_dates(text: str) -> str:
    """`10/12/2020` is "October twelfth, twenty twenty" (month first, unless the first number cannot be a month)."""
    text = _ISO.sub(lambda found: _date(int(found["month"]), int(found["day"]), found["year"]), text)
    text = _SLASHED.sub(_slashed, text)
    text = _MONTH_FIRST.sub(lambda found: _date(_month(found["month"]), int(found["day"]), found["year"]), text)
    text = _DAY_FIRST.sub(_day_first, text)
    return _MONTH_YEAR.sub(lambda found: f"{MONTHS[_month(found['month']) - 1]} ", text)


def _month(written: str) -> int:
    return [month[:3] for month in MONTHS].index(written[:3]) + 1


def _date(month: int, day: int, written_year: str | None) -> str:
    return f"{MONTHS[month - 1]} {ordinal(day)}" + (f", {year(int(written_year))}" if written_year else "")


def _day_first(found: re.Match[str]) -> str:
    words = f"the {ordinal(int(found['day']))} of {MONTHS[_month(found['month']) - 1]}"
    return words + (f", {year(int(found['year']))}" if found["year"] else "")


def _slashed(found: re.Match[str]) -> str:
    month, day = int(found["first"]), int(found["second"])
    if month > 12:
        month, day = day, month
    if not (1 <= month <= 12 and 1 <= day <= 31):
        return found[0]
    short = found["short"]
    full = found["year"] or (f"20{short}" if int(short) < 50 else f"19{short}")
    return _date(month, day, full)


def say_times(text: str) -> str:
    """`7:30pm` is "seven thirty P M", `12:00` "twelve o'clock", `16:9` "sixteen to nine"."""
    text = _CLOCK.sub(_clock, text)
    text = _HOUR.sub(lambda found: f"{cardinal(int(found['hour']))} {_half(found['half'])}", text)
    return _RATIO.sub(lambda found: f"{found[1]} to ", text)


def _half(letter: str) -> str:
    return f"{letter.upper()} M"


def _clock(found: re.Match[str]) -> str:
    hour, minute = int(found["hour"] or found["hour24"]), int(found["minute"] or found["minute24"])
    second, half = found["second"] or found["second24"], found["half"]
    words = cardinal(hour)
    if minute:
        words += f" {'oh ' if minute < 10 else ''}{cardinal(minute)}"
    elif not half:
        words += " o'clock"
    if second:
        words += f" and {cardinal(int(second))} seconds"
    return words + (f" {_half(half)}" if half else "")
