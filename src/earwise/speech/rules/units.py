"""Units of measurement."""

from __future__ import annotations

import re
from typing import Final

from earwise.speech.rules.numbers import cardinal, is_one, number
from earwise.speech.rules.quantities import NUMBER, START, minus

_UNITS: Final[dict[str, tuple[str, str]]] = {
    written: (one, many)
    for names, one, many in (
        ("km kms", "kilometer", "kilometers"),
        ("m", "meter", "meters"),
        ("cm", "centimeter", "centimeters"),
        ("mm", "millimeter", "millimeters"),
        ("µm μm", "micrometer", "micrometers"),
        ("nm", "nanometer", "nanometers"),
        ("mi", "mile", "miles"),
        ("ft", "foot", "feet"),
        ("yd yds", "yard", "yards"),
        ("kg kgs", "kilogram", "kilograms"),
        ("g", "gram", "grams"),
        ("mg", "milligram", "milligrams"),
        ("lb lbs", "pound", "pounds"),
        ("oz", "ounce", "ounces"),
        ("L l", "liter", "liters"),
        ("ml mL", "milliliter", "milliliters"),
        ("gal", "gallon", "gallons"),
        ("h hr hrs", "hour", "hours"),
        ("min mins", "minute", "minutes"),
        ("sec secs", "second", "seconds"),
        ("ms", "millisecond", "milliseconds"),
        ("Hz", "hertz", "hertz"),
        ("kHz", "kilohertz", "kilohertz"),
        ("MHz", "megahertz", "megahertz"),
        ("GHz", "gigahertz", "gigahertz"),
        ("W", "watt", "watts"),
        ("kW", "kilowatt", "kilowatts"),
        ("MW", "megawatt", "megawatts"),
        ("GW", "gigawatt", "gigawatts"),
        ("kWh", "kilowatt hour", "kilowatt hours"),
        ("V", "volt", "volts"),
        ("Ω", "ohm", "ohms"),
        ("kΩ", "kiloohm", "kiloohms"),
        ("mAh", "milliamp hour", "milliamp hours"),
        ("KB kB", "kilobyte", "kilobytes"),
        ("MB", "megabyte", "megabytes"),
        ("GB", "gigabyte", "gigabytes"),
        ("TB", "terabyte", "terabytes"),
        ("Mbps", "megabit per second", "megabits per second"),
        ("Gbps", "gigabit per second", "gigabits per second"),
        ("mph", "mile per hour", "miles per hour"),
        ("kph kmh", "kilometer per hour", "kilometers per hour"),
        ("mpg", "mile per gallon", "miles per gallon"),
        ("rpm RPM", "revolution per minute", "revolutions per minute"),
        ("bpm BPM", "beat per minute", "beats per minute"),
        ("fps FPS", "frame per second", "frames per second"),
        ("dpi DPI", "dot per inch", "dots per inch"),
        ("px", "pixel", "pixels"),
        ("dB", "decibel", "decibels"),
        ("kPa", "kilopascal", "kilopascals"),
        ("kcal", "kilocalorie", "kilocalories"),
        ("cal", "calorie", "calories"),
        ("kJ", "kilojoule", "kilojoules"),
        ("ha", "hectare", "hectares"),
        ("°C", "degree Celsius", "degrees Celsius"),
        ("°F", "degree Fahrenheit", "degrees Fahrenheit"),
        ("°", "degree", "degrees"),
    )
    for written in names.split()
}
_PER: Final = {"h": "hour", "hr": "hour", "s": "second", "sec": "second", "min": "minute", "day": "day", "L": "liter",
               "l": "liter", "kg": "kilogram", "g": "gram", "km": "kilometer", "m": "meter", "dl": "deciliter",
               "dL": "deciliter", "ml": "milliliter", "mL": "milliliter"}  # fmt: skip
_POWERS: Final = {"2": "square", "3": "cubic"}


def _one_of(names: dict[str, object]) -> str:
    return "|".join(re.escape(name) for name in sorted(names, key=len, reverse=True))


_UNIT: Final = (
    rf"(?P<prefix>sq\.?\s|cu\.?\s)?(?P<unit>{_one_of(dict(_UNITS))})(?:\^?(?P<power>[23])(?!\w))?"
    rf"(?:/(?P<per>{_one_of(dict(_PER))})(?:\^?(?P<per_power>[23])(?!\w))?)?(?![\w°^/])"
)
_MEASURE: Final = re.compile(rf"{START}(?P<sign>-?)(?P<number>{NUMBER})(?P<gap>\s?-?){_UNIT}")
_ALONE: Final = re.compile(
    r"(?<![\w./])(?=(?:km|kg|cm|mm|mph|kph|kmh|kWh|GHz|MHz|°C|°F)(?![\w^])|(?:km|mi|m|mg|ft|g|L|l)(?:/[a-zL]|\^?[23]\b))"
    + _UNIT
)
_FEET_INCHES: Final = re.compile(r"(?<![\w'\"])([1-9])'\s?(\d|1[01])(?:\"|(?![\w'\"]))(?!\w)")


def say_units(text: str) -> str:
    """`60 km/h` is "sixty kilometers per hour", `5 m²` "five square meters", `6'2"` "six feet two inches"."""
    text = _FEET_INCHES.sub(lambda found: f"{cardinal(int(found[1]))} feet {_inches(int(found[2]))} ", text)
    return _ALONE.sub(lambda found: f" {_unit_words(found, singular=False)} ", _MEASURE.sub(_measure, text))


def _inches(value: int) -> str:
    return f"{cardinal(value)} inch{'' if value == 1 else 'es'}"


def _measure(found: re.Match[str]) -> str:
    joined = found["gap"] == "-"  # "a 5-km run" takes the singular
    unit = _unit_words(found, singular=is_one(found["number"]) or joined)
    return f"{minus(found['sign'])}{number(found['number'])} {unit} "


def _unit_words(found: re.Match[str], *, singular: bool) -> str:
    words = _UNITS[found["unit"]][0 if singular else 1]
    power = {"s": "square", "c": "cubic"}.get((found["prefix"] or " ")[0]) or _POWERS.get(found["power"] or "")
    words = f"{power} {words}" if power else words
    if found["per"]:
        per_power = _POWERS.get(found["per_power"] or "")
        words += f" per {per_power + ' ' if per_power else ''}{_PER[found['per']]}"
    return words
