"""Numbers in words, American style without "and": 123 is "one hundred twenty three"."""

from __future__ import annotations

from typing import Final

_SMALL_WORDS: Final = (
    "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen "
    "eighteen nineteen"
)
SMALL: Final = tuple(_SMALL_WORDS.split())
TENS: Final = ("", "", "twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety")
SCALES: Final = (
    (10**12, "trillion"),
    (10**9, "billion"),
    (10**6, "million"),
    (10**3, "thousand"),
    (10**2, "hundred"),
)
LARGEST: Final = 10**15 - 1

_IRREGULAR_ORDINALS: Final = {
    "one": "first",
    "two": "second",
    "three": "third",
    "five": "fifth",
    "eight": "eighth",
    "nine": "ninth",
    "twelve": "twelfth",
}
_DENOMINATORS: Final = {2: "half", 4: "quarter"}


def cardinal(value: int) -> str:
    """A whole number from `-LARGEST` to `LARGEST` in words: -42 is "minus forty two"."""
    if abs(value) > LARGEST:
        raise ValueError(f"{value} is beyond the trillions")
    if value < 0:
        return f"minus {cardinal(-value)}"
    if value < 20:
        return SMALL[value]
    if value < 100:
        tens, rest = divmod(value, 10)
        return TENS[tens] + (f" {SMALL[rest]}" if rest else "")
    scale, name = next(pair for pair in SCALES if value >= pair[0])
    head, rest = divmod(value, scale)
    return f"{cardinal(head)} {name}" + (f" {cardinal(rest)}" if rest else "")


def ordinal(value: int) -> str:
    """21 is "twenty first"."""
    *head, last = cardinal(value).split()
    if last in _IRREGULAR_ORDINALS:
        last = _IRREGULAR_ORDINALS[last]
    else:
        last = last[:-1] + "ieth" if last.endswith("y") else last + "th"
    return " ".join([*head, last])


def year(value: int) -> str:
    """The spoken form of a year from 1100 to 2099.

    1999 is "nineteen ninety nine", 1905 "nineteen oh five", 2008 "two thousand eight", 2024 "twenty twenty four".
    """
    century, rest = divmod(value, 100)
    if 2000 <= value < 2010:
        return cardinal(value)
    if rest == 0:
        return f"{cardinal(century)} hundred"
    return f"{cardinal(century)} {'oh ' if rest < 10 else ''}{cardinal(rest)}"


def decade(first_year: int) -> str:
    """1990 is "nineteen nineties", 90 is "nineties", 2000 is "two thousands"."""
    return plural(year(first_year) if first_year >= 100 else cardinal(first_year))


def plural(words: str) -> str:
    """The plural of a number in words: "nineties", "sixes", "thousands"."""
    if words.endswith("y"):
        return words[:-1] + "ies"
    return words + ("es" if words.endswith("x") else "s")


def digits(text: str) -> str:
    """The digits of `text` one by one: "007" is "zero zero seven"."""
    return " ".join(SMALL[int(char)] for char in text)


def number(text: str) -> str:
    """A written number in words: "1,234" "-3.14" ".5" "007".

    A whole number with a leading zero, or beyond the trillions, is read digit by digit.
    """
    sign, text = ("minus ", text[1:]) if text[0] == "-" else ("", text)
    whole, point, fraction = text.replace(",", "").partition(".")
    if point:
        return f"{sign}{number(whole or '0')} point {digits(fraction)}"
    if (len(whole) > 1 and whole[0] == "0") or len(whole) > len(str(LARGEST)):
        return sign + digits(whole)
    return sign + cardinal(int(whole))


def is_one(text: str) -> bool:
    """Whether a written number takes the singular."""
    return text == "1"


def fraction(numerator: int, denominator: int) -> str:
    """1/2 is "one half", 3/4 "three quarters", 2/3 "two thirds"."""
    name = _DENOMINATORS.get(denominator) or ordinal(denominator)
    if numerator == 1:
        return f"one {name}"
    return f"{cardinal(numerator)} {'halves' if name == 'half' else name + 's'}"
