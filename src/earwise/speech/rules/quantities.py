"""Numbers with a sign or suffix (currency, percent, fractions, ordinals), then plain numbers."""

from __future__ import annotations

import re
from typing import Final

from earwise.speech.rules.numbers import cardinal, decade, digits, fraction, is_one, number, ordinal, plural, year

NUMBER: Final = r"(?:\d{1,3}(?:,\d{3})+|\d+)(?:\.\d+)?|\.\d+"
"""A written number without its sign."""

START: Final = r"(?<![\w.,])"
"""The preceding character is no letter, digit or part of a number."""

_CURRENCIES: Final[dict[str, tuple[str, str, str, str]]] = {
    "$": ("dollar", "dollars", "cent", "cents"),
    "€": ("euro", "euros", "cent", "cents"),
    "£": ("pound", "pounds", "penny", "pence"),
    "¥": ("yen", "yen", "", ""),
    "₹": ("rupee", "rupees", "paisa", "paise"),
    "₩": ("won", "won", "", ""),
    "¢": ("cent", "cents", "", ""),
}
SIGNS: Final = "[" + "".join(_CURRENCIES) + "]"
_SCALE_WORDS: Final = {
    "k": "thousand",
    "K": "thousand",
    "M": "million",
    "m": "million",
    "mn": "million",
    "B": "billion",
    "b": "billion",
    "bn": "billion",
    "T": "trillion",
    "tn": "trillion",
}
_SCALE: Final = r"(?P<scale>\s?(?:thousand|million|billion|trillion)\b|(?:mn|bn|tn|[kKMmBbT])\b)?"
_MONEY_BEFORE: Final = re.compile(
    rf"{START}(?P<sign>-?)(?P<land>US|AU|CA|NZ|HK|A|C)?(?P<currency>{SIGNS})\s?(?P<number>{NUMBER}){_SCALE}"
)
_MONEY_AFTER: Final = re.compile(
    rf"{START}(?P<sign>-?)(?P<number>{NUMBER}){_SCALE}\s?(?P<land>)(?P<currency>{SIGNS})(?!\w)"
)

_PERCENT: Final = re.compile(rf"{START}(-?)({NUMBER})\s?%")
_MIXED: Final = re.compile(r"(?<![\w./,])(?:(\d{1,3})[ -])?(\d{1,2})/(\d{1,3})(?![\w/]|\.\d|,\d)")
_ORDINAL: Final = re.compile(r"(?<![\w.])(\d{1,3}(?:,\d{3})+|\d{1,9})(?:st|nd|rd|th|ST|ND|RD|TH)(?!\w)")
_DECADE: Final = re.compile(r"(?<![\w.])'?((?:1[1-9]|20)\d0|[2-9]0)'?s(?!\w)")
_AFTER_NUMBER: Final = r"%|°[CF]?|\s?[aApP]\.?[mM]\b\.?"
_RANGE: Final = re.compile(
    rf"(?<![\w.,:/-])(?P<low>{SIGNS}?(?:{NUMBER})(?:{_AFTER_NUMBER})?)(?P<gap>\s?)[-–](?P=gap)"
    rf"(?=(?P<high>{SIGNS}?(?:{NUMBER}))(?:{_AFTER_NUMBER}|:\d\d|\s?(?:[kcm]?m|kg|lbs?|ft)\b|(?![\w-]|[.,/:]\d)))"
)
_PLURAL: Final = re.compile(rf"{START}({NUMBER})'?s(?!\w)")
_VERSION: Final = re.compile(r"(?<![\w.])\d{1,3}(?:\.\d{1,4}){2,}(?![\w])(?!\.\d)")
_SCALED: Final = re.compile(r"(?<![\w.,])(\d+\.\d+)(K|k|M|B|bn)(?!\w)")
PHONE: Final = re.compile(r"(?<![\w-])(?:\(\d{3}\)\s?|\d{3}-)?\d{3}-\d{4}(?![\w-])")
_SIGNED: Final = re.compile(rf"(?:(?<=\s)|(?<=[(\[=:,])|\A)-(?=(?:{NUMBER})(?!\w))")
_NUMBER: Final = re.compile(rf"(?<![\w.])(?:{NUMBER})(?!\w)")


def say_currency(text: str) -> str:
    """`$3.5M` is "three point five million dollars", `$3.50` "three dollars and fifty cents"."""
    return _MONEY_AFTER.sub(_money, _MONEY_BEFORE.sub(_money, text))


def _money(found: re.Match[str]) -> str:
    one, many, small_one, small_many = _CURRENCIES[found["currency"]]
    if found["land"]:
        one, many = (f"{' '.join(found['land'])} {word}" for word in (one, many))
    sign, written = minus(found["sign"]), found["number"]
    scale = (found["scale"] or "").strip()
    whole, _, cents = written.replace(",", "").partition(".")
    if scale:
        return f"{sign}{number(written)} {_SCALE_WORDS.get(scale, scale)} {many} "
    if len(cents) == 2 and small_one:
        parts = [f"{number(whole)} {one if is_one(whole) else many}"] if int(whole or "0") else []
        if int(cents) or not parts:
            parts.append(f"{cardinal(int(cents))} {small_one if int(cents) == 1 else small_many}")
        return sign + " and ".join(parts) + " "
    return f"{sign}{number(written)} {one if is_one(written) else many} "


def say_percent(text: str) -> str:
    """`25%` is "twenty five percent"."""
    return _PERCENT.sub(lambda found: f"{minus(found[1])}{number(found[2])} percent ", text)


def say_fractions(text: str) -> str:
    """`3/4` is "three quarters", `1 1/2` "one and one half", `16/9` "sixteen over nine"."""
    return _MIXED.sub(_fraction, text)


def _fraction(found: re.Match[str]) -> str:
    whole, top, bottom = found[1], int(found[2]), int(found[3])
    if (found[2], found[3]) == ("24", "7") and not whole:
        return "twenty four seven"
    if 0 < top < bottom <= 10 or (0 < top < bottom and bottom in (12, 16, 20, 32, 64, 100)):
        return (f"{cardinal(int(whole))} and " if whole else "") + fraction(top, bottom)
    return (f"{cardinal(int(whole))} " if whole else "") + f"{cardinal(top)} over {cardinal(bottom)}"


def say_ordinals(text: str) -> str:
    """`21st` is "twenty first"."""
    return _ORDINAL.sub(lambda found: ordinal(int(found[1].replace(",", ""))), text)


def say_ranges(text: str) -> str:
    """Read telephone numbers in groups of digits; `5-10` is "5 to 10", `$10-$20` "$10 to $20", `747-400` "747 400"."""
    text = PHONE.sub(lambda found: ", ".join(digits(part) for part in re.findall(r"\d+", found[0])), text)
    return _RANGE.sub(_range, text)


def _range(found: re.Match[str]) -> str:
    low, high = (re.sub(r"[^\d.]", "", found[name]).rstrip(".") for name in ("low", "high"))
    short_year_or_time = (len(low) == 4 and len(high) == 2) or found["low"][-1] in "mM."
    return found["low"] + (" to " if float(high) >= float(low) or short_year_or_time else " ")


def say_decades(text: str) -> str:
    """`1990s` is "nineteen nineties", `'90s` "nineties", `1,000s` "thousands"."""
    text = _DECADE.sub(lambda found: decade(int(found[1])), text)
    return _PLURAL.sub(lambda found: plural(number(found[1])).removeprefix("one "), text)


def say_versions(text: str) -> str:
    """`1.2.3` is "one point two point three"."""
    return _VERSION.sub(lambda found: " point ".join(number(part) for part in found[0].split(".")), text)


def say_numbers(text: str) -> str:
    """Read all remaining numbers, including years."""
    text = _SCALED.sub(lambda found: f"{number(found[1])} {_SCALE_WORDS[found[2]]}", text)
    return _NUMBER.sub(_plain, _SIGNED.sub("minus ", text))


def _plain(found: re.Match[str]) -> str:
    text = found[0]
    if len(text) == 4 and text.isdigit() and 1100 <= int(text) < 2100:
        return year(int(text))
    return number(text)


def minus(sign: str) -> str:
    """A written sign in words."""
    return "minus " if sign else ""
