"""The events of a clip: things that sound in slots of time, some of them only seen, some of them only heard.

A clip lasts 1.92 s: six slots of 0.32 s. A vision teacher hallucinates things that move in silence (`heard` is false),
and cannot know things outside the picture (`seen` is false). The split of a clip is a function of its sounds, so that
no two splits share a sequence of sounds, for any seeds.
"""

from __future__ import annotations

import hashlib
import random
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal, NamedTuple

from earwise.micro.sounds.words import KINDS

Split = Literal["train", "validation", "test"]

SLOTS = 6
"""Slots of time in a clip; the video has one frame for each."""
SLOT_S = 0.32
"""Length of a slot in seconds."""
CLIP_S = SLOTS * SLOT_S
"""Length of a clip in seconds."""
CELLS = 4
"""Places in the picture, hence the most things in a clip."""
MOST_TIMES = 4
"""Maximum number of times that a thing sounds, the largest answer."""


class Event(NamedTuple):
    """A kind of thing sounds in a slot (from 0); events order by time."""

    slot: int
    kind: str


@dataclass(frozen=True)
class Thing:
    """A thing with its cell of the picture (0 to 3, as one reads) and the slots in which it is active."""

    kind: str
    cell: int
    slots: tuple[int, ...]
    heard: bool = True
    seen: bool = True


@dataclass(frozen=True)
class Scene:
    """A clip before it is drawn and sounded: two to four things of different kinds in different cells."""

    things: tuple[Thing, ...]

    @property
    def heard(self) -> tuple[Event, ...]:
        """The truth about the sound, in order of time."""
        return _events(thing for thing in self.things if thing.heard)

    @property
    def seen(self) -> tuple[Event, ...]:
        """What the silent video shows, in order of time."""
        return _events(thing for thing in self.things if thing.seen)


@dataclass(frozen=True)
class Shares:
    """Shares of the things that are seen and not heard, and heard and not seen."""

    silent: float = 0.15
    unseen: float = 0.10
    honest: bool = False
    """Whether unseen things are removed and every seen thing is heard. As much is seen as in other clips, so that other
    clips look usual to a teacher trained on these."""


USUAL = Shares()
"""The shares used in development."""


def kinds_of(events: Iterable[Event]) -> list[str]:
    """The kinds in `events`, each once, in order of time."""
    return list(dict.fromkeys(event.kind for event in sorted(events)))


def times(events: Iterable[Event]) -> Counter[str]:
    """How often each kind sounds."""
    return Counter(event.kind for event in events)


def split_of(heard: tuple[Event, ...]) -> Split:
    """The split of a clip in which `heard` is heard: 70 % train, 10 % validation, 20 % test."""
    bucket = hashlib.sha256(repr([tuple(event) for event in heard]).encode()).digest()[0] % 10
    return "train" if bucket < 7 else "validation" if bucket < 8 else "test"


def draw_scene(split: Split, rng: random.Random, shares: Shares = USUAL, overlap: float = 0.0) -> Scene:
    """A scene of `split` in which something is heard and something is seen.

    No two things are active in one slot, but for a share `overlap` of the things, one event of which moves into the
    slot of another thing.
    """
    while True:
        scene = _draw(rng, shares, overlap)
        if scene.heard and scene.seen and split_of(scene.heard) == split:
            return scene


def _draw(rng: random.Random, shares: Shares, overlap: float) -> Scene:
    kinds = rng.sample(KINDS, rng.choices((2, 3, 4), (3, 4, 3))[0])
    slots = iter(rng.sample(range(SLOTS), SLOTS))
    active = [[next(slots) for _ in range(count)] for count in _counts(len(kinds), rng)]
    for number, own in enumerate(active):
        if rng.random() < overlap:
            other = rng.choice([place for place in range(len(active)) if place != number])
            own[0] = rng.choice(active[other])
    cells = rng.sample(range(CELLS), len(kinds))
    things = []
    for kind, cell, own in zip(kinds, cells, active, strict=True):
        fate = rng.random()
        heard, seen = fate >= shares.silent, not shares.silent <= fate < shares.silent + shares.unseen
        if seen or not shares.honest:
            things.append(Thing(kind, cell, tuple(sorted(set(own))), heard or shares.honest, seen))
    return Scene(tuple(things))


def _counts(things: int, rng: random.Random) -> list[int]:
    """How often each thing is active: once at least; half of the time one thing has all the rest."""
    counts = [1] * things
    favourite = rng.randrange(things) if rng.random() < 0.5 else None
    for _ in range(rng.randint(0, SLOTS - things)):
        place = rng.randrange(things) if favourite is None else favourite
        counts[place] = min(counts[place] + 1, MOST_TIMES)
    return counts


def _events(things: Iterable[Thing]) -> tuple[Event, ...]:
    return tuple(sorted(Event(slot, thing.kind) for thing in things for slot in thing.slots))
