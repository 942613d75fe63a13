"""Reader of conversations in the format of llava-1.5-mix-665k.

A record is `{"id", "image", "conversations": [{"from": "human", "value": "<image>What ...?"}, {"from": "gpt", ...}]}`;
without `image` it is text only. Each question with its answer becomes one `Item`. The items of a record keep their
order and share `meta["conversation"]`, so that they can be shown as one dialogue.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal

from earwise.data.drops import Drops
from earwise.data.json_records import accepted_records
from earwise.data.media import resolve
from earwise.data.meta import CONVERSATION as CONVERSATION
from earwise.data.meta import TYPED as TYPED
from earwise.data.suffixes import split_suffix
from earwise.errors import InputError
from earwise.records import Item

Spoken = Literal["all", "first", "last"] | float
"""The spoken questions of a conversation; a number is the share of questions, drawn by seed."""

_SIDES: Final = {"human": "human", "user": "human", "gpt": "gpt", "assistant": "gpt", "system": "system"}
_TAG: Final = re.compile(r"\s*<image>\s*")


@dataclass(frozen=True)
class LlavaOptions:
    """Options of a file of conversations."""

    name: str = "llava"
    """The items' `source`, and the beginning of their ids."""
    media: str = ""
    """The image folder in the items' paths; empty if the paths are relative to the item file."""
    text_only: bool = True
    """Whether to keep records without an image."""
    max_turns: int | None = None
    """How many questions of a conversation are kept, from the first one."""
    spoken: Spoken = "all"
    seed: int = 0
    """Seed of the draws of spoken questions."""


class LlavaFile:
    """The usable conversations of a file, as tuples of items; each is read on access.

    Opening reads the file once. Records with a missing image, several images, or tags that do not match the image are
    left out and counted in `drops`. A question without an answer ends its conversation.

    Args:
        path: a JSON array, or one JSON object per line.
        images: folder of the image paths.
        options: options of reading.

    Raises `InputError` naming file and record for a record that is not a conversation (it begins with the assistant,
    one side has two turns in a row, keys are missing, or an image path leaves the folder), and for a file without a
    usable record.
    """

    def __init__(self, path: str | Path, images: str | Path, options: LlavaOptions = LlavaOptions()) -> None:
        self.path, self.images, self.options = Path(path), Path(images), options
        self.drops = Drops()
        self._numbers, self._records = accepted_records(self.path, self._accepts)
        if not self._numbers:
            raise InputError(f"no usable conversation: {next(self.drops.lines(), 'no records')}", file=self.path)

    def __len__(self) -> int:
        return len(self._records)

    def __getitem__(self, index: int) -> tuple[Item, ...]:
        return self._items(_Talk.parse(self._numbers[index], self._records[index], self.path))

    def _accepts(self, number: int, record: dict[str, Any]) -> bool:
        talk = _Talk.parse(number, record, self.path)
        reason = self._why_not(talk)
        if reason is not None:
            self.drops.add(reason, talk.record)
        elif self._is_cut(talk):
            self.drops.add("end of a conversation, from a turn without text or answer on", talk.record)
        return reason is None

    def _why_not(self, talk: _Talk) -> str | None:
        if talk.several:
            return "several images or a video"
        if talk.image is None and not self.options.text_only:
            return "text only"
        if talk.system:
            return "a system prompt of its own"
        first, *later = (question.count("<image>") for question in talk.questions)
        if sum(later):
            return "an <image> tag in a later turn"
        if first > 1:
            return "several <image> tags"
        if talk.image is None:
            return "an <image> tag without an image" if first else self._why_empty(talk)
        if not resolve(self.images, talk.image, file=self.path, record=talk.record).is_file():
            return "image file missing"
        return self._why_empty(talk)

    def _why_empty(self, talk: _Talk) -> str | None:
        return None if talk.turns() else "no question with an answer"

    def _is_cut(self, talk: _Talk) -> bool:
        """Whether an unusable turn removes a question that the limit on turns would keep."""
        wanted = len(talk.questions) if self.options.max_turns is None else self.options.max_turns
        return len(talk.turns()) < min(wanted, len(talk.questions))

    def _items(self, talk: _Talk) -> tuple[Item, ...]:
        own, image = self.options, talk.image
        name = f"{own.name}-{talk.number:07d}"
        turns = talk.turns()[: own.max_turns]
        spoken = spoken_turns(len(turns), own.spoken, own.seed, name)
        items = []
        for turn, (text, answer) in enumerate(turns):
            question, suffix = split_suffix(text)
            typed = {} if turn in spoken else {TYPED: True}
            item = Item(
                id=f"{name}-{turn}",
                source=own.name,
                question=question,
                suffix=suffix,
                answers=(answer,),
                image=None if image is None else f"{own.media}/{image}".removeprefix("/"),
                cluster=name if image is None else f"{own.name}/{image}",
                kind="text" if image is None else image.partition("/")[0] if "/" in image else "",
                meta={"record": talk.record, CONVERSATION: name, **typed},
            )
            items.append(item)
        return tuple(items)


@dataclass(frozen=True)
class _Talk:
    number: int
    record: str
    """The record's name in messages."""
    image: str | None
    several: bool
    system: bool
    questions: tuple[str, ...]
    answers: tuple[str, ...]

    @classmethod
    def parse(cls, number: int, record: dict[str, Any], path: Path) -> _Talk:
        """Raises `InputError` naming file and record if it is not a conversation."""
        named = f"record {number}" + (f" ({record['id']})" if "id" in record else "")
        sides = _sides(record.get("conversations"), path, named)
        system = sides[0][0] == "system"
        talk = sides[1:] if system else sides
        if talk and talk[0][0] == "gpt":
            what = "the conversation begins with the assistant"
            raise InputError(what, file=path, record=named, remedy="remove its first turn")
        for place, (side, _) in enumerate(talk):
            expected = ("human", "gpt")[place % 2]
            if side != expected:
                what = f"turn {place + system} is by {side!r}, it should be by {expected!r}"
                raise InputError(what, file=path, record=named, remedy="the two take turns")
        image = record.get("image") or None
        images = image if isinstance(image, list) else [image] if image else []
        if not all(isinstance(each, str) for each in images):
            raise InputError("'image' is not a path", file=path, record=named)
        several = len(images) > 1 or "video" in record
        questions, answers = ([value for side, value in talk if side == wanted] for wanted in ("human", "gpt"))
        return cls(number, named, images[0] if images else None, several, system, (*questions,), (*answers,))

    def turns(self) -> list[tuple[str, str]]:
        """Questions with their answers, up to the first one without a text or an answer."""
        turns = []
        for question, answer in zip(self.questions, self.answers, strict=False):
            text = _TAG.sub(" ", question).strip()
            if not text or not answer.strip():
                break
            turns.append((text, answer.strip()))
        return turns


def _sides(turns: Any, path: Path, named: str) -> list[tuple[str, str]]:
    if not isinstance(turns, list) or not turns:
        raise InputError("no list of 'conversations'", file=path, record=named, remedy="give LLaVA's form")
    sides = []
    for place, turn in enumerate(turns):
        side = _SIDES.get(str(turn.get("from"))) if isinstance(turn, dict) else None
        if side is None or not isinstance(turn.get("value"), str):
            what = f"turn {place} is not {{'from', 'value'}} with one of {', '.join(_SIDES)}"
            raise InputError(what, file=path, record=named)
        sides.append((side, turn["value"]))
    return sides


def spoken_turns(count: int, spoken: Spoken, seed: int, conversation: str) -> frozenset[int]:
    """Numbers of the spoken questions among the `count` questions of a conversation; there is at least one.

    With a share, each question is drawn by the seed and the conversation's name. If no question is drawn, the one with
    the smallest draw is spoken.
    """
    if spoken == "all":
        return frozenset(range(count))
    if spoken == "first":
        return frozenset({0})
    if spoken == "last":
        return frozenset({count - 1})
    draws = [_uniform(f"{seed}\n{conversation}\n{turn}") for turn in range(count)]
    drawn = {turn for turn, value in enumerate(draws) if value < spoken}
    return frozenset(drawn or {draws.index(min(draws))})


def _uniform(text: str) -> float:
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "big") / 2**64
