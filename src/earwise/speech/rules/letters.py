"""Identifiers, acronyms, dotted abbreviations. Spelled letters become single capitals."""

from __future__ import annotations

import re
from typing import Final

from earwise.speech.rules.numbers import cardinal, digits, number, ordinal

_SPELLED_WORDS: Final = """
AA AAA ABA ABC ADHD AI AKA ALS AM AMA AOL API ATM ATV BA BAC BBC BBQ CAD CEO CET EDT CFO CIA CIO CNN COO CPA CPU DA
DIY DJ DNA DOA DUI EA ECG EEG EKG EMT EPA ESPN EST ETA EU EV FAA FAQ FBI FDA FIA FY GDP GE GI GMO GPA GPU HBO HIV HQ
IBM ICU ID IDE IMDB IO IOS IP IPA IPO IQ IRS ISBN ISP ITV IVF KIA LA LAPD LED LSU MA MBA MIA MIT MLA MRI NAACP NBA
NCAA NYU OCR OLED OS PA PDA PE PO PSA RNA ROI SUV TA TBA UAE UAV UC UCLA UFC UFO UI UK UN UNC UPC UPS UTC URL US USA
USB USC USD USDA USMC USPS UV VA VIP VOA VPN
"""
SPELLED: Final = frozenset(_SPELLED_WORDS.split())
"""Spelled acronyms with a vowel; acronyms without a vowel are always spelled. Other words in capitals are read, as
words of a sign ("STOP") or as names (NASA, UNICEF).
"""

_ROMAN_NUMERALS: Final = "I II III IV V VI VII VIII IX X XI XII XIII XIV XV XVI XVII XVIII XIX XX"
_ROMAN: Final = {roman: value for value, roman in enumerate(_ROMAN_NUMERALS.split(), start=1)}
_NUMBERED: Final = (
    "Chapter|Part|Act|Scene|Volume|Vol|Book|Phase|Section|Type|Class|Level|Stage|Grade|Figure|War|Bowl|Tier"
)
_RULERS: Final = (
    "Henry|Louis|Elizabeth|Charles|George|James|Edward|William|Richard|Paul|Benedict|Pius|Philip|Napoleon|Ramses|"
    "Alexander|Catherine|Peter|Nicholas|Frederick|Leo|John|Gregory|Innocent|Ivan|Wilhelm|Mary|Thutmose"
)
_ROMAN_WORD: Final = "|".join(sorted((roman for roman in _ROMAN if len(roman) > 1), key=len, reverse=True))
_ROMAN_PART: Final = re.compile(rf"\b({_NUMBERED}) ({_ROMAN_WORD}|I|V|X)(?![\w'-])")
_ROMAN_RULER: Final = re.compile(rf"\b({_RULERS}) ({_ROMAN_WORD})(?![\w'-])")

_ABBREVIATIONS: Final[tuple[tuple[re.Pattern[str], str], ...]] = tuple(
    (re.compile(rf"(?<![\w.]){pattern}"), words)
    for pattern, words in (
        (r"[eE]\.\s?g\.", "for example"),
        (r"[iI]\.\s?e\.", "that is"),
        (r"[eE]tc\.(?=\s*[a-z,;?!])", "et cetera"),
        (r"[eE]tc\b\.?", "et cetera."),
        (r"[vV]s\b\.?", "versus"),
        (r"Mr\.", "Mister"),
        (r"Mrs\.", "Missus"),
        (r"Ms\.", "Miss"),
        (r"Dr\.(?=\s[A-Z])", "Doctor"),
        (r"St\.(?=\s[A-Z])", "Saint"),
        (r"[nN]o\.\s?(?=\d)", "number "),
        (r"№\s?(?=\d)", "number "),
        (r"[aA]pprox\.", "approximately"),
        (r"[fF]ig\.\s?(?=\d)", "figure "),
    )
)
_DOTTED: Final = re.compile(r"(?<![\w.])(?:[A-Za-z]\.){2,}(?:[A-Za-z](?![\w']))?")
_IDENTIFIER: Final = re.compile(r"(?<![\w'.-])(?=[\w-]*[A-Za-z])(?=[\w-]*\d)[A-Za-z0-9]+(?:-[A-Za-z0-9]+)*(?![\w-])")
_RUN: Final = re.compile(r"[A-Za-z]+|\d+")
_CAPITALS: Final = re.compile(r"(?<![\w'])([A-Z]{2,})(s|'s)?(?![\w'])")
_HAS_LOWER: Final = re.compile(r"[a-z]")


def say_roman(text: str) -> str:
    """Read Roman numerals where they are clear: "Chapter IV" and "Henry VIII"; all others stay."""
    text = _ROMAN_PART.sub(lambda found: f"{found[1]} {cardinal(_ROMAN[found[2]])}", text)
    return _ROMAN_RULER.sub(lambda found: f"{found[1]} the {ordinal(_ROMAN[found[2]])}", text)


def say_abbreviations(text: str) -> str:
    """`e.g.` is "for example", `Mr.` "Mister", `U.S.` "U S"."""
    for pattern, words in _ABBREVIATIONS:
        text = pattern.sub(words, text)
    return _DOTTED.sub(_dotted, text)


def _dotted(found: re.Match[str]) -> str:
    spelled = spell(found[0].replace(".", ""))
    rest = found.string[found.end() :]
    return spelled + ("." if re.match(r"\s*\Z|\s+[A-Z]", rest) and len(spelled) < 4 and rest.strip() == "" else "")


def say_identifiers(text: str) -> str:
    """`BX-7431` is "B X seven four three one", `CO2` "C O two", `A12` "A twelve"."""
    return _IDENTIFIER.sub(lambda found: " ".join(_run(run[0]) for run in _RUN.finditer(found[0])), text)


def _run(run: str) -> str:
    if run.isdigit():
        return number(run) if len(run) <= 2 else digits(run)
    if run.isupper():
        return spell(run) if len(run) <= 4 else run.lower()
    # Small letters are a word ("iphone12") unless they have no vowel ("mp4") or stand alone ("x2").
    return run if len(run) > 3 or (len(run) > 1 and _VOWEL.search(run)) else spell(run)


_VOWEL: Final = re.compile(r"[AEIOUYaeiouy]")


def say_acronyms(text: str) -> str:
    """`DVDs` is "D V D's", `USA` "U S A", `STOP` "stop"; Roman numerals stay. Words of a text in capitals are read."""
    if not _HAS_LOWER.search(text) and len(text.split()) > 3:
        return _CAPITALS.sub(lambda found: _shouted(found[0]), text)
    return _CAPITALS.sub(_acronym, text)


def _shouted(word: str) -> str:
    return word.lower() if _VOWEL.search(word) else spell(word)


def _acronym(found: re.Match[str]) -> str:
    word, plural = found[1], "'s" if found[2] else ""
    if word in _ROMAN:
        return found[0]
    if word in SPELLED or (len(word) <= 5 and not _VOWEL.search(word)):
        return spell(word) + plural
    return word.lower() + (found[2] or "")


def spell(letters: str) -> str:
    """`abc` is "A B C"."""
    return " ".join(letters.upper())
