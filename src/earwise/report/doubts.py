"""What to look at before a result is believed: typed scores of about nothing or of guessing, with some answers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from earwise.report.summary import Doubt, Summary, as_summary

LONGEST: Final = 60
"""Characters of an answer that are shown."""


@dataclass(frozen=True)
class DoubtNote:
    """One result that is doubted, in words, and its answers."""

    text: str
    rows: tuple[tuple[str, str, str], ...]
    """Item, answer and gold answer."""


def doubt_notes(summary: Summary | Mapping[str, object]) -> list[DoubtNote]:
    """What is doubted about a run; nothing where every typed score is above guessing."""
    return [
        DoubtNote(_text(one), tuple((each.item, _short(each.answer), _short(each.gold)) for each in one.examples))
        for one in as_summary(summary).doubts
    ]


def doubt_lines(summary: Summary | Mapping[str, object]) -> list[str]:
    """The same as lines of a console."""
    lines = []
    for note in doubt_notes(summary):
        lines.append(f"doubtful: {note.text}")
        lines += [f"  {item}: answered {answer!r}, gold {gold!r}" for item, answer, gold in note.rows]
    return lines


def _text(one: Doubt) -> str:
    found = f"{one.model} on {one.benchmark} ({one.view}): {one.right:.1f} % of {one.n:,} typed answers are right"
    what = "about none" if one.chance is None or one.right <= 1 else f"guessing gets {one.chance:.1f} %"
    return f"{found}, {what}: check the file's columns, the scoring and the answers"


def _short(text: str) -> str:
    text = " ".join(text.split())
    return text if len(text) <= LONGEST else f"{text[: LONGEST - 1]}\N{HORIZONTAL ELLIPSIS}"
