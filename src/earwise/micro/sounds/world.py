"""The events of a clip: things that sound in slots of time, some of them only seen, some of them only heard.

A clip lasts 1.92 s: six slots of 0.32 s. A vision teacher hallucinates sounds of silent things (`heard` is false), and
cannot know things outside the picture (`seen` is false).
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from typing import NamedTuple

from earwise.micro.sounds.words import KINDS
from earwise.micro.splits import Split, split_by

SLOTS = 6
"""Slots of time in a clip; the video has one frame for each."""
SLOT_S = 0.32
"""Length of a slot in seconds."""
CLIP_S = SLOTS * SLOT_S
"""Length of a clip in seconds."""
CELLS = 4
"""Places in the picture, and the largest number of things in a clip."""
MOST_TIMES = 4
"""Largest number of times that a thing sounds, which is the largest answer."""


class Event(NamedTuple):
    """A kind of thing sounds in a slot (from 0); events order by time."""

    slot: int
    kind: str


@dataclass(frozen=True)
class Thing:
    """A thing with its cell of the picture (0 to 3, row by row) and its active slots."""

    kind: str
    cell: int
    slots: tuple[int, ...]
    heard: bool = True
    seen: bool = True


@dataclass(frozen=True)
class Scene:
    """The content of a clip: two to four things of different kinds in different cells."""

    things: tuple[Thing, ...]

    @property
    def heard(self) -> tuple[Event, ...]:
        """The true sounds, in order of time."""
        return _events(thing for thing in self.things if thing.heard)

    @property
    def seen(self) -> tuple[Event, ...]:
        """The events of the silent video, in order of time."""
        return _events(thing for thing in self.things if thing.seen)


@dataclass(frozen=True)
class Shares:
    """Shares of the things that are only seen, and only heard."""

    silent: float = 0.15
    unseen: float = 0.10
    honest: bool = False
    """Whether to remove unseen things and make every seen thing heard. The videos stay similar to those of other clips,
    for a teacher that is trained on them."""


USUAL = Shares()
"""The shares used in development."""


def kinds_of(events: Iterable[Event]) -> list[str]:
    """The kinds in `events`, each once, in order of time."""
    return list(dict.fromkeys(event.kind for event in sorted(events)))


def times(events: Iterable[Event]) -> Counter[str]:
    """The number of times that each kind sounds."""
    return Counter(event.kind for event in events)


def split_of(heard: tuple[Event, ...]) -> Split:
    """The split of a clip; no two splits share a sequence of sounds."""
    return split_by(repr([tuple(event) for event in heard]))


def draw_scene(split: Split, rng: random.Random, shares: Shares = USUAL, overlap: float = 0.0) -> Scene:
    """A scene of `split` with something heard and something seen.

    No two things are active in one slot, except for a share `overlap` of the things, which have one event in the slot
    of another thing.
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
    """The number of active slots of each thing: at least one; half of the time one thing has all the rest."""
    counts = [1] * things
    favourite = rng.randrange(things) if rng.random() < 0.5 else None
    for _ in range(rng.randint(0, SLOTS - things)):
        place = rng.randrange(things) if favourite is None else favourite
        counts[place] = min(counts[place] + 1, MOST_TIMES)
    return counts


def _events(things: Iterable[Thing]) -> tuple[Event, ...]:
    return tuple(sorted(Event(slot, thing.kind) for thing in things for slot in thing.slots))
