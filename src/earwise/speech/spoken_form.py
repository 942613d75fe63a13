"""Text to spoken form: the words of a written question when it is read aloud.

The function is versioned, because the spoken form is part of the measurement: "$3.5M" spoken as "dollar three point
five em" would count as a loss of hearing. The result holds only Latin letters, spaces, `' -` inside words and the marks
`, . ; : ? !`; spelled letters are single capitals. Text that cannot be spoken is refused with a reason (`unspeakable`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from earwise.data.suffixes import split_suffix
from earwise.io.limits import MAX_SPOKEN_CHARS
from earwise.speech.rules.arithmetic import say_minus, say_scientific
from earwise.speech.rules.calendar import say_dates, say_times
from earwise.speech.rules.letters import say_abbreviations, say_acronyms, say_identifiers, say_roman
from earwise.speech.rules.limits import unsaid, why_unspeakable
from earwise.speech.rules.options import add_choices, say_options, sentence, without_own_marks
from earwise.speech.rules.quantities import (
    say_currency,
    say_decades,
    say_fractions,
    say_numbers,
    say_ordinals,
    say_percent,
    say_ranges,
    say_versions,
)
from earwise.speech.rules.symbols import (
    end_lines,
    plain_characters,
    say_greek,
    say_symbols,
    say_symbols_beside_digits,
    tidy,
    without_tags,
)
from earwise.speech.rules.units import say_units

FORM_VERSION: Final = "en-2"
"""Language and version of the rules; raised with every change of a spoken form."""

__all__ = ["FORM_VERSION", "SpokenForm", "split_suffix", "spoken_form"]


@dataclass(frozen=True)
class SpokenForm:
    """A spoken form. `text` is empty if and only if `unspeakable` gives a reason."""

    text: str
    version: str
    unspeakable: str | None


_RULES: Final[tuple[Callable[[str], str], ...]] = (
    end_lines,
    say_scientific,
    say_minus,
    say_ranges,
    say_symbols_beside_digits,
    say_currency,
    say_percent,
    say_dates,
    say_times,
    say_units,
    say_abbreviations,
    say_roman,
    say_greek,
    say_fractions,
    say_ordinals,
    say_decades,
    say_versions,
    say_identifiers,
    say_numbers,
    say_symbols,
    say_acronyms,
    tidy,
)
"""Rules that need digits and signs come first, rules for single words and marks last."""

_QUESTION_RULES: Final = (lambda text: split_suffix(text)[0], say_options, *_RULES)
_MAX_PASSES: Final = 6


def spoken_form(text: str, choices: Sequence[str] = (), *, suffix: str = "") -> SpokenForm:
    """The spoken form of a question, its options and, if given, its answer-format request.

    `Is it 60 km/h?` becomes `Is it sixty kilometers per hour?`; `choices` add `Option A: ... Option B: ...`.
    Placeholders of media and known answer-format requests in `text` are left out; `suffix` comes last. The spoken form
    of a spoken form (without a suffix) is itself.
    """
    if (length := len(text) + sum(map(len, choices)) + len(suffix)) > MAX_SPOKEN_CHARS:
        return SpokenForm(
            "", FORM_VERSION, f"{length:,} characters, more than the {MAX_SPOKEN_CHARS:,} that are spoken"
        )
    question, *rest = (plain_characters(without_tags(part)) for part in (text, *choices, suffix))
    options, request = without_own_marks(rest[:-1]), rest[-1]
    for place, part in enumerate((question, *options, request)):
        reason = why_unspeakable(part)
        if reason is not None and (part.strip() or place <= len(options)):
            where = "" if place == 0 else f"option {place}: " if place <= len(options) else "suffix: "
            return SpokenForm("", FORM_VERSION, where + reason)
    said = _settle(question, _QUESTION_RULES)
    if options:
        said = _settle(add_choices(said, [_settle(option, _RULES) for option in options]), _QUESTION_RULES)
    if request.strip():
        said = f"{sentence(said)} {_settle(request, _RULES)}".strip()
    reason = unsaid(said) or (None if said else "no word in the text")
    return SpokenForm("" if reason else said, FORM_VERSION, reason)


def _settle(text: str, rules: tuple[Callable[[str], str], ...]) -> str:
    """Apply all rules until nothing changes, because a rule may leave text for an earlier rule."""
    for _ in range(_MAX_PASSES):
        before = text
        for rule in rules:
            text = rule(text)
        if text == before:
            return text
    raise AssertionError(f"the rules do not settle on {before!r}")
