"""The think/answer format: `<think> reasoning </think> <answer> answer </answer>`, and one strict parser for it.

The pair of tags is that of SightSound-R1 (arXiv 2509.15661, section 2) and of R1-AQA's format with reasoning.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from earwise.data.cota import is_cota, parse_cota

TAGS: Final = ("think", "answer")

_TAG: Final = re.compile("(?i)<(/?)(think|thinking|reasoning|analysis)>")
_ANSWER_TAG: Final = re.compile("(?i)<(/?)answer>")
_COTA_ONLY: Final = ("<PLANNING>", "<RESPONSE>", "</RESPONSE>")


class Outcome(StrEnum):
    """Outcomes of parsing, each with its `reason`; only `OK` has an answer."""

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
    """A parsed text. `reasoning` and `answer` are stripped, and None unless the outcome is ok."""

    outcome: Outcome
    reasoning: str | None = None
    answer: str | None = None
    stray: bool = False
    """Whether there is text outside the two blocks. It is no outcome; a format reward can penalise it."""


def parse(text: str) -> Parsed:
    """Parse one answer. Tags are written exactly so, in lower case. The first of these that holds decides:

    1. A tag occurs more than once, even within the other block: doubled, because the intended answer is unknown. 2. A
    block is opened and not closed after that: unclosed (an answer truncated by `max_tokens`). 3. A tag is not there, or
    `<answer>` does not come after `</think>`: missing. 4. A block holds nothing but space: empty.
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
    """The text that `parse` splits into `reasoning` and `answer`: a training target."""
    return f"<think> {reasoning} </think> <answer> {answer} </answer>"


def said(text: str) -> str | None:
    """The answer that `text` gives, or None where it gives none. Every score and reward reads an output by this rule,
    so models that reason and models that do not are compared; the kits' profiles read as the kits do
    (`evaluate.reading`).

    1. In CoTA's format it is RESPONSE; None if the blocks are broken. 2. Reasoning goes: `<think>`, `<thinking>`,
    `<reasoning>` and `<analysis>` blocks, in any case. A closing tag without an opening one, which chat templates write
    into the prompt, takes with it all that stands before. 3. Of the rest, the text of its one `<answer>` block is the
    answer; without such a tag, all of it. 4. None where a reasoning never ends, where nothing but blanks comes after
    it, and where an answer block is empty, is repeated or lacks one of its tags.

    A text without any tag is its own answer, without the blanks around it, also where it is empty.
    """
    if is_cota(text) and any(mark in text for mark in _COTA_ONLY):
        return parse_cota(text).response
    rest = _without_reasoning(text)
    if rest is None:
        return None
    tags = list(_ANSWER_TAG.finditer(rest))
    if not tags:
        return rest.strip() or (None if rest != text else "")
    if [tag[1] for tag in tags] != ["", "/"]:
        return None
    return rest[tags[0].end() : tags[1].start()].strip() or None


def _without_reasoning(text: str) -> str | None:
    """`text` without its reasoning, None if one never ends. One pass: a model that repeats itself writes many tags."""
    kept, start, within = "", 0, ""
    for tag in _TAG.finditer(text):
        closing, name = tag[1], tag[2].lower()
        if within:
            if not (closing and name == within):
                continue
            within = ""
        elif closing:
            kept = ""
        else:
            kept, within = kept + text[start : tag.start()], name
        start = tag.end()
    return None if within else kept + text[start:]


def _marks(tag: str) -> tuple[str, str]:
    return f"<{tag}>", f"</{tag}>"
