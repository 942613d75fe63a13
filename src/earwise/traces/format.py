"""The think/answer format: `<think> reasoning </think> <answer> answer </answer>`, and one strict parser for it.

The pair of tags is that of SightSound-R1 (arXiv 2509.15661, section 2) and of R1-AQA's format with reasoning.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from earwise.data.cota import is_cota, parse_cota

TAGS: Final = ("think", "answer")


class Outcome(StrEnum):
    """How a text was parsed, each with its `reason`; only `OK` has an answer."""

    OK = "ok"
    MISSING = "missing"
    DOUBLED = "doubled"
    UNCLOSED = "unclosed"
    EMPTY = "empty"

    @property
    def reason(self) -> str:
        """What the outcome means, in words."""
        return _REASONS[self]


_REASONS: Final = {
    Outcome.OK: "one reasoning and one answer after it",
    Outcome.MISSING: "a block is not there, or the answer does not come after the reasoning",
    Outcome.DOUBLED: "a tag stands twice",
    Outcome.UNCLOSED: "a block is opened and not closed",
    Outcome.EMPTY: "a block holds nothing but space",
}


@dataclass(frozen=True)
class Parsed:
    """What a text says. `reasoning` and `answer` are stripped, and None unless the outcome is ok."""

    outcome: Outcome
    reasoning: str | None = None
    answer: str | None = None
    stray: bool = False
    """Whether there is text outside the two blocks. It hides nothing, so it is no outcome; a format reward can mind."""


def parse(text: str) -> Parsed:
    """Parse one answer. Tags are written exactly so, in lower case. The first of these that holds decides:

    1. A tag occurs more than once, be it within the other block: doubled. What is the answer then is anyone's guess.
    2. A block is opened and not closed after that: unclosed (an answer that `max_tokens` cut off).
    3. A tag is not there, or `<answer>` does not come after `</think>`: missing.
    4. A block holds nothing but space: empty.
    """
    places = [[text.find(mark) for mark in _marks(tag)] for tag in TAGS]
    if any(text.count(mark) > 1 for tag in TAGS for mark in _marks(tag)):
        return Parsed(Outcome.DOUBLED)
    if any(opened >= 0 and closed < opened for opened, closed in places):
        return Parsed(Outcome.UNCLOSED)
    (think, thought), (answer, answered) = places
    if min(think, answer) < 0 or answer < thought:
        return Parsed(Outcome.MISSING)
    reasoning = text[think + len("<think>") : thought].strip()
    said = text[answer + len("<answer>") : answered].strip()
    if not reasoning or not said:
        return Parsed(Outcome.EMPTY)
    outside = text[:think] + text[thought + len("</think>") : answer] + text[answered + len("</answer>") :]
    return Parsed(Outcome.OK, reasoning, said, stray=bool(outside.strip()))


def render(reasoning: str, answer: str) -> str:
    """The text that `parse` takes apart into `reasoning` and `answer`: what a student learns to write."""
    return f"<think> {reasoning} </think> <answer> {answer} </answer>"


def said(text: str) -> str | None:
    """The answer that `text` gives: that of its answer block, or of RESPONSE in CoTA's format, or all of it where it
    has no tag; None where it cannot be told. So models that reason and models that do not are scored by one rule.
    """
    if is_cota(text):
        return parse_cota(text).response
    if not any(mark in text for tag in TAGS for mark in _marks(tag)):
        return text.strip()
    return parse(text).answer


def _marks(tag: str) -> tuple[str, str]:
    return f"<{tag}>", f"</{tag}>"
