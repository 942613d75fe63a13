"""Multiple choice (RealWorldQA, MMAlign): the option letter that an answer means, or None.

None is never replaced by a guess: with two options, a random fallback would turn unparsed answers into 50 %.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import lru_cache
from typing import Final

from earwise.data.choices import LETTERS, gold_letter
from earwise.data.written_forms import one_form
from earwise.errors import InputError
from earwise.evaluate.denial import asserted
from earwise.evaluate.mentions import FREE, IN_WORDS, MARKED, SIGN, place_of, plain_letters, with_signs

Parser = Callable[[str, Sequence[str], str], str | None]
"""From a prediction, the option texts (may be empty) and the allowed letters to the letter or None."""

_ABCD: Final = "ABCD"
_ALONE: Final = re.compile(
    r"\W*(?:(?:the |my )?(?:correct |right |best |final )?(?:option|choice|answer)\b(?: is)?\W*)*([a-z])[^\w✗✘❌]*",
    re.IGNORECASE,
)
_QUIET: Final = rf"(?:(?!{SIGN})[^\w\n])*"
"""Marks and blanks within a line."""
_CLOSED: Final = r"[\s)\]*}\"'”]*"
# "A or B", "A/B", and "A, B" unless the comma begins another clause.
_JOIN: Final = (
    rf"{_CLOSED}(?:,?\s*\b(?:or|and)\b|[/&或和、]|,(?=\s*[(\[*]*{SIGN}{_CLOSED}(?:[.,;/&\n]|\Z|or\b|and\b)))[\s(\[*]*"
    r"(?:(?:the|an?|option)\s+)?"
)
_DECLARING: Final = (
    r"\b(?:answer|option|choice|solution)\b(?:\s+(?:to|for|here)\b(?:\s+\w+){0,4}?)?[\s*]*"
    r"(?:\b(?:is|would be|must be|should be|has to be)\b|[:=→]|->)"
    r"|\b(?:correct|right|best)\s+one\s+is\b|\\boxed\b"
    r"|\bI(?:\s+would|\s+will|['’]d|['’]ll)?\s+(?:choose|pick|select|go\s+(?:with|for))\b"
    r"|(?:答案|选项)\s*(?:应该|应)?\s*(?:是|为|选|:)|选(?:择|项)?|正解は|答えは|정답은|답은|답\s*:"
)
_ADVERB: Final = r"(?:(?:definitely|clearly|probably|likely|therefore|thus|indeed|option|choice|letter|the|an?)\b)?"
_DECLARED: Final = re.compile(
    rf"(?P<final>final\s+)?(?:{_DECLARING}){_QUIET}{_ADVERB}{_QUIET}(?P<named>{SIGN}(?:{_JOIN}{SIGN}){{0,4}})",
    re.IGNORECASE,
)
_AFFIRMED: Final = re.compile(
    rf"({SIGN}){_QUIET}(?:\b(?:is|would be|must be)\s+)?(?:(?:the|my)\s+)?(?:most\s+)?"
    r"(?:(?:(?:correct|right|true|yes)\b(?=[^\w ]|\s*\Z| (?:answer|option|choice|one|and|because|since|as|so|not)\b)"
    r"|best\s+(?:answer|option|choice)\b|answer\b)|正确|[✓✔✅])",
    re.IGNORECASE,
)
_LONE_LINE: Final = re.compile(rf"^{_QUIET}([{MARKED}{FREE}]){_QUIET}$", re.MULTILINE)
_FIRST: Final = re.compile(
    rf"{_QUIET}(?:(?:option|choice|answer){_QUIET})*(?:([{MARKED}])|([{FREE}])(?=\s?[.:,;]|\s(?:[-–]|because|since)\s))",
    re.IGNORECASE,
)
_IT_IS: Final = re.compile(rf"\b(?:it|this|that)(?:\s+is|['’]s)\s+(?:(?:the|an?)\s+)?([{IN_WORDS}])", re.IGNORECASE)


def parse_strict(prediction: str, choices: Sequence[str], letters: str) -> str | None:
    """Earwise's rule: a letter in any usual writing, or an option in words. The first of these that applies decides.

    1. The answer is only a letter: `b`, `A.`, `(A)`, `option a`, `The answer is B`, full-width `Ｂ`.
    2. It is the text of exactly one option, up to case, space and outer marks.

    Denied parts are then removed (`denial`): `not A`, `A is wrong`, `A: no` name nothing. Of the rest:

    3. It declares an option, by letter or in words: `The correct answer is **C**`, `I choose B`, `B is correct`,
       `\\boxed{B}`, `答案是B`, `选B`. Two different ones are None, unless one is the `final answer`.
    4. A line holds only a letter, with reasons on other lines. Two different ones are None.
    5. It starts with a marked letter (`B. Right`, `(A) the dog`, `a) the dog`) and marks no other: a list of all
       options is None, and so is `A, B`.
    6. It contains exactly one option letter (the article of `A dog` is none). Two are None, unless `it is` names one
       option in words.
    7. It contains the text of exactly one option in whole words. A text inside a longer matching text does not count.
    """
    prediction, choices = one_form(prediction), [one_form(choice) for choice in choices]
    text = plain_letters(prediction).strip()
    if letter := _captured(_ALONE.fullmatch(text), letters):
        return letter
    plain = _plain(text)
    if letter := _only(letters[place] for place, choice in enumerate(choices) if _plain(choice) == plain):
        return letter
    text = asserted(with_signs(prediction, choices, letters), SIGN)
    for named in (_declared(text), set(_LONE_LINE.findall(text))):
        if named:
            return _only(_letters(named, letters))
    if first := _first(text):
        return letters[place_of(first)]
    for kinds in (f"[{MARKED}{FREE}]", f"[{IN_WORDS}]"):
        if named := set(re.findall(kinds, text)):
            return _only(_letters(named, letters)) or _only(_letters(_IT_IS.findall(text), letters))
    return None


def _declared(text: str) -> set[str]:
    """Signs of the options that a text declares as its answer."""
    found = list(_DECLARED.finditer(text))
    if finals := [one for one in found if one["final"]]:
        found = finals
    named = {sign for one in found for sign in re.findall(SIGN, one["named"])}
    return named if finals else named | set(_AFFIRMED.findall(text))


def _first(text: str) -> str | None:
    """The sign of the marked letter that a text starts with, if it marks no other."""
    found = _FIRST.match(text)
    if found is None:
        return None
    first, rest = found[1] or found[2], text[found.end() :]
    others = set(re.findall(f"[{MARKED}]", rest)) | set(re.findall(rf"\A{_JOIN}([{MARKED}{FREE}])", rest))
    return first if {place_of(other) for other in others} <= {place_of(first)} else None


def _letters(signs: Iterable[str], letters: str) -> Iterator[str]:
    return (letters[place_of(sign)] for sign in signs)


def scorer(parse: Parser) -> Callable[[Sequence[str], str, Sequence[str]], float | None]:
    """A scorer that compares the letter found by `parse` with the gold answer (a letter, or the text of a choice).
    Without choices, a gold answer A to D allows these four letters. Any other gold answer is open (a number, a word)
    and compared as text, up to case, outer space and a final full stop.
    """

    def score_choice(golds: Sequence[str], prediction: str, choices: Sequence[str]) -> float | None:
        gold = golds[0].strip()
        if not choices and gold not in tuple(_ABCD):
            return float(prediction.lower().strip().rstrip(".") == gold.lower().rstrip("."))
        right = right_letter(gold, choices) if choices else gold
        answer = parse(prediction, choices, LETTERS[: len(choices)] if choices else _ABCD)
        return None if answer is None else float(answer == right)

    return score_choice


def right_letter(gold: str, choices: Sequence[str]) -> str:
    """The letter of `gold` among `choices`; raises `InputError` if there is none."""
    letter = gold_letter(gold.strip(), choices)
    if letter is None:
        raise InputError(f"the gold answer {gold!r} is not among the choices {list(choices)}")
    return letter


def _captured(match: re.Match[str] | None, letters: str) -> str | None:
    letter = next((group for group in match.groups() if group), "").upper() if match else ""
    return letter if letter and letter in letters else None


def _only(letters: Iterable[str]) -> str | None:
    different = set(letters)
    return different.pop() if len(different) == 1 else None


@lru_cache(maxsize=65536)
def _plain(text: str) -> str:
    """Case-folded and without outer marks, unless nothing else is left: an option may be `*`."""
    words = " ".join(plain_letters(text).casefold().split())
    return words.strip(" .,;:!?\"'“”’*()[]") or words
