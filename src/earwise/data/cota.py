"""CoTA, the reasoning data of Audio-Reasoner (arXiv 2503.02318), and the format of its answers.

    <THINK> <PLANNING> .. </PLANNING> <CAPTION> .. </CAPTION> <REASONING> .. </REASONING>
    <SUMMARY> .. </SUMMARY> </THINK> <RESPONSE> .. </RESPONSE>

A record is one sound, one question and one answer in either format of ms-swift, with which Audio-Reasoner was trained:
`{"messages": [{"role": "user", "content": "<audio>What ..?"}, {"role": "assistant", "content": ..}], "audios":
[PATH]}`, with or without a system message, or `{"query": .., "response": .., "audios": [PATH]}`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any, Final

from earwise.data.drops import Drops
from earwise.data.json_records import accepted_records
from earwise.data.media import resolve
from earwise.errors import InputError
from earwise.records import Item

STAGES: Final = ("PLANNING", "CAPTION", "REASONING", "SUMMARY")
"""Blocks of THINK, in order."""
BLOCKS: Final = ("THINK", *STAGES, "RESPONSE")
_MARKS: Final = (
    "<THINK>",
    *(mark for stage in STAGES for mark in (f"<{stage}>", f"</{stage}>")),
    "</THINK>",
    "<RESPONSE>",
    "</RESPONSE>",
)
"""All tags in the required order."""
_TAG: Final = re.compile(r"\s*<audio>\s*")


class Outcome(StrEnum):
    """The outcome of parsing an answer; only `OK` has blocks."""

    OK = "ok"
    DOUBLED = "doubled"
    UNCLOSED = "unclosed"
    MISSING = "missing"
    DISORDERED = "disordered"
    EMPTY = "empty"

    @property
    def reason(self) -> str:
        """The outcome in words."""
        return _REASONS[self]


_REASONS: Final = {
    Outcome.OK: "four stages of thought and one response after them",
    Outcome.DOUBLED: "a tag stands twice",
    Outcome.UNCLOSED: "a block is opened and not closed",
    Outcome.MISSING: "a block is not there",
    Outcome.DISORDERED: "the blocks stand in another order",
    Outcome.EMPTY: "a block holds nothing but space",
}


@dataclass(frozen=True)
class Parsed:
    """The blocks of an answer, stripped; all None unless the outcome is ok."""

    outcome: Outcome
    planning: str | None = None
    caption: str | None = None
    reasoning: str | None = None
    summary: str | None = None
    response: str | None = None


def parse_cota(text: str) -> Parsed:
    """Parse one answer. Tags must be in upper case; text between blocks is allowed.

    The first failure decides: a tag occurs twice (doubled), an opened block is not closed (unclosed), a tag is absent
    (missing), tags are in another order (disordered), a block is blank (empty).
    """
    if any(text.count(mark) > 1 for mark in _MARKS):
        return Parsed(Outcome.DOUBLED)
    place = {mark: text.find(mark) for mark in _MARKS}
    if any(place[f"<{block}>"] >= 0 and place[f"</{block}>"] < place[f"<{block}>"] for block in BLOCKS):
        return Parsed(Outcome.UNCLOSED)
    if min(place.values()) < 0:
        return Parsed(Outcome.MISSING)
    if sorted(_MARKS, key=place.__getitem__) != list(_MARKS):
        return Parsed(Outcome.DISORDERED)
    inside = {
        block.lower(): text[place[f"<{block}>"] + len(f"<{block}>") : place[f"</{block}>"]].strip()
        for block in (*STAGES, "RESPONSE")
    }
    return Parsed(Outcome.OK, **inside) if all(inside.values()) else Parsed(Outcome.EMPTY)


def is_cota(text: str) -> bool:
    """Whether `text` has tags of this format, well formed or not."""
    return any(mark in text for mark in ("<THINK>", "</THINK>", "<RESPONSE>", "</RESPONSE>"))


class CotaFile:
    """The usable records of a file, each a tuple of one item with the whole answer; each is read on access.

    Opening reads the file once. Records with a badly formatted answer, without exactly one sound, or with a missing
    sound file are left out and counted in `drops`.

    Args:
        path: a JSON array, or one JSON object per line.
        audio: folder of the sound paths.
        name: the items' `source`, and the beginning of their ids.
        media: the sound folder in the items' paths.

    Raises `InputError` naming file and record for a record of another format or a path that leaves the folder, and for
    a file without a usable record.
    """

    def __init__(self, path: str | Path, audio: str | Path, name: str = "cota", media: str = "") -> None:
        self.path, self.audio = Path(path), Path(audio)
        self.drops = Drops()
        self._name, self._media = name, media
        self._numbers, self._records = accepted_records(self.path, self._accepts)
        if not self._numbers:
            raise InputError(f"no usable record: {next(self.drops.lines(), 'no records')}", file=self.path)

    def __len__(self) -> int:
        return len(self._records)

    def __getitem__(self, index: int) -> tuple[Item, ...]:
        number = self._numbers[index]
        asked = _Asked.parse(number, self._records[index], self.path)
        sound = asked.sounds[0]
        item = Item(
            id=f"{self._name}-{number:07d}",
            source=self._name,
            question=asked.question,
            answers=(asked.answer,),
            audio=f"{self._media}/{sound}" if self._media else sound,
            cluster=sound,
        )
        return (item,)

    def _accepts(self, number: int, record: dict[str, Any]) -> bool:
        asked = _Asked.parse(number, record, self.path)
        reason = self._why_not(asked)
        if reason is not None:
            self.drops.add(reason, asked.record)
        return reason is None

    def _why_not(self, asked: _Asked) -> str | None:
        if len(asked.sounds) != 1:
            return "several sounds" if asked.sounds else "no sound"
        if not asked.question:
            return "no question"
        parsed = parse_cota(asked.answer)
        if parsed.outcome is not Outcome.OK:
            return f"the answer breaks the format: {parsed.outcome.reason}"
        sound = resolve(self.audio, asked.sounds[0], file=self.path, record=asked.record)
        return None if sound.is_file() else "sound file missing"


@dataclass(frozen=True)
class _Asked:
    record: str
    """The record's name in messages."""
    question: str
    answer: str
    sounds: tuple[str, ...]

    @classmethod
    def parse(cls, number: int, record: dict[str, Any], path: Path) -> _Asked:
        """Raises `InputError` naming file and record if it has neither format."""
        named = f"record {number}" + (f" ({record['id']})" if "id" in record else "")
        question, answer = _talk(record)
        sounds = record.get("audios")
        if question is None or answer is None:
            what = "neither 'messages' of a user and an assistant nor 'query' and 'response'"
            raise InputError(what, file=path, record=named, remedy="give one question and one answer")
        if not isinstance(sounds, list) or not all(isinstance(sound, str) for sound in sounds):
            raise InputError("no list of paths in 'audios'", file=path, record=named)
        return cls(named, _TAG.sub(" ", question).strip(), answer.strip(), tuple(sounds))


def _talk(record: dict[str, Any]) -> tuple[str | None, str | None]:
    """Question and answer of a record; None for values that are not texts."""
    turns = record.get("messages")
    if turns is None:
        texts = [record.get("query"), record.get("response")]
    elif isinstance(turns, list) and all(isinstance(turn, dict) for turn in turns):
        dialogue = [turn for turn in turns if turn.get("role") != "system"]
        if [turn.get("role") for turn in dialogue] != ["user", "assistant"]:
            return None, None
        texts = [turn.get("content") for turn in dialogue]
    else:
        return None, None
    question, answer = (text if isinstance(text, str) else None for text in texts)
    return question, answer
