"""Questions about a clip, each with four options of which one is right.

`Question.answer_for` derives the answer from a list of events: the heard events give the gold answer, the seen events
the answer for the silent video.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final, Literal

from earwise.micro.sounds.words import KINDS, NUMBERS
from earwise.micro.sounds.world import MOST_TIMES, Event, Scene, kinds_of, times

Kind = Literal["existence", "order", "count", "comparison"]
Form = Literal["heard", "first", "last", "after", "before", "things", "times", "most", "more"]

OPTIONS: Final = 4
"""Number of options, as in AVQA."""
_COUNTS: Final = NUMBERS[1 : MOST_TIMES + 1]

FORMS: Final[dict[Kind, tuple[Form, ...]]] = {
    "existence": ("heard",),
    "order": ("first", "last", "after", "before"),
    "count": ("things", "times"),
    "comparison": ("most", "more"),
}
"""Forms of questions, by kind."""

TEXTS: Final[dict[Form, str]] = {
    "heard": "which of these is heard?",
    "first": "which is heard first?",
    "last": "which is heard last?",
    "after": "which comes right after the {0}?",
    "before": "which comes right before the {0}?",
    "things": "how many different things are heard?",
    "times": "how often is the {0} heard?",
    "most": "which of these is heard most often?",
    "more": "which is heard more often, the {0} or the {1}?",
}


@dataclass(frozen=True)
class Question:
    """One question with its options in order; `about` are the kinds in its text."""

    kind: Kind
    form: Form
    about: tuple[str, ...]
    options: tuple[str, ...]
    right: str
    """The right option for the heard events."""

    @property
    def text(self) -> str:
        """The question without its options."""
        return TEXTS[self.form].format(*self.about)

    def answer_for(self, events: Sequence[Event]) -> str | None:
        """The option that follows from `events`; None if there is not exactly one."""
        answer = _ANSWERS[self.form](sorted(events), self.about, self.options) if events else None
        return answer if answer in self.options else None


def ask(scene: Scene, rng: random.Random, count: int) -> list[Question]:
    """Up to `count` different questions about the heard events, of the kinds in turn, from a random one on."""
    kinds = rng.sample(list(FORMS), len(FORMS))
    asked: dict[tuple[Form, tuple[str, ...]], Question] = {}
    for turn in range(4 * count):
        question = _ask(kinds[turn % len(kinds)], scene, rng)
        if question is not None:
            asked.setdefault((question.form, question.about), question)
        if len(asked) == count:
            break
    return list(asked.values())


def _ask(kind: Kind, scene: Scene, rng: random.Random) -> Question | None:
    """A question of `kind`; None if the scene does not allow the drawn form."""
    form = rng.choice(FORMS[kind])
    about = _ABOUT[form](scene.heard, rng) if form in _ABOUT else ()
    if about is None:
        return None
    if kind == "count":
        options = _COUNTS
        right = _ANSWERS[form](scene.heard, about, options)
    else:
        right = _gold(form, scene.heard, about, rng)
        if right is None:
            return None
        options = _options(form, scene, about, right, rng)
    if right is None or right not in options:
        return None
    shuffled = tuple(rng.sample(options, len(options)))
    return Question(kind, form, about, shuffled, right)


def _gold(form: Form, heard: Sequence[Event], about: tuple[str, ...], rng: random.Random) -> str | None:
    """The right kind."""
    if form == "heard":
        return rng.choice(kinds_of(heard))
    if form == "most" and len(kinds_of(heard)) < 2:
        return None  # equivalent to asking which thing is heard
    return _ANSWERS[form](heard, about, KINDS)


def _options(form: Form, scene: Scene, about: tuple[str, ...], right: str, rng: random.Random) -> tuple[str, ...]:
    """The right kind and three distractors: plausible kinds first, then any.

    A silent moving thing is plausible for a model that only sees. A thing that sounds at another time, or less often,
    is plausible for a model that only recognises kinds.
    """
    heard = kinds_of(scene.heard)
    silent = [kind for kind in kinds_of(scene.seen) if kind not in heard]
    others = [kind for kind in heard if kind != right]
    if form == "heard":
        tempting, barred = (silent if rng.random() < 0.5 else []), set(heard)
    elif form == "more":
        tempting, barred = [kind for kind in about if kind != right], set(heard)
    else:
        tempting, barred = others + silent, set(about)
        rng.shuffle(tempting)
    if form == "most":
        tempting = [*others, *silent]  # recognising kinds does not suffice
    tempting = [kind for kind in tempting if kind not in about or form == "more"]
    rest = [kind for kind in KINDS if kind not in {right, *tempting, *barred}]
    return tuple([right, *tempting, *rng.sample(rest, len(rest))][:OPTIONS])


def _about_one_time(heard: Sequence[Event], rng: random.Random) -> tuple[str, ...] | None:
    """A kind that is heard once, so that its neighbour in time is unique."""
    once = [kind for kind, number in times(heard).items() if number == 1]
    return (rng.choice(sorted(once)),) if once else None


def _about_times(heard: Sequence[Event], rng: random.Random) -> tuple[str, ...] | None:
    """A heard kind. Every occurring count is equally likely, but counts of one are mostly skipped: almost every clip
    has such a kind, so the answer could be guessed.
    """
    counts = times(heard)
    number = rng.choice(sorted(set(counts.values())))
    if number == 1 and rng.random() < 0.7:
        return None
    return (rng.choice(sorted(kind for kind in counts if counts[kind] == number)),)


def _about_two(heard: Sequence[Event], rng: random.Random) -> tuple[str, ...] | None:
    """Two kinds with different counts."""
    counts = times(heard)
    pairs = [(one, two) for one in sorted(counts) for two in sorted(counts) if counts[one] != counts[two]]
    return rng.choice(pairs) if pairs else None


def _most(events: Sequence[Event], options: Sequence[str]) -> str | None:
    counts = {kind: number for kind, number in times(events).items() if kind in options}
    return _single([kind for kind, number in counts.items() if number == max(counts.values())])


def _beside(
    events: Sequence[Event],
    kind: str,
    nearest: Callable[[list[int]], int],
    beyond: Callable[[int, int], bool],
) -> str | None:
    """The kind in the nearest slot beyond the only event of `kind`."""
    own = [event.slot for event in events if event.kind == kind]
    slots = [event.slot for event in events if len(own) == 1 and beyond(event.slot, own[0])]
    return _single([event.kind for event in events if event.slot == nearest(slots)]) if slots else None


def _single(kinds: Sequence[str]) -> str | None:
    return kinds[0] if len(kinds) == 1 else None


_About = Callable[[Sequence[Event], random.Random], tuple[str, ...] | None]
_ABOUT: Final[dict[Form, _About]] = {
    "after": _about_one_time,
    "before": _about_one_time,
    "times": _about_times,
    "more": _about_two,
}
"""Draws the kinds that a question names; the other forms name none."""

_Answer = Callable[[Sequence[Event], tuple[str, ...], Sequence[str]], str | None]
_ANSWERS: Final[dict[Form, _Answer]] = {
    "heard": lambda events, about, options: _single([kind for kind in kinds_of(events) if kind in options]),
    "first": lambda events, about, options: _single([event.kind for event in events if event.slot == events[0].slot]),
    "last": lambda events, about, options: _single([event.kind for event in events if event.slot == events[-1].slot]),
    "after": lambda events, about, options: _beside(events, about[0], min, lambda slot, own: slot > own),
    "before": lambda events, about, options: _beside(events, about[0], max, lambda slot, own: slot < own),
    "things": lambda events, about, options: NUMBERS[len(kinds_of(events))],
    "times": lambda events, about, options: NUMBERS[times(events)[about[0]]],
    "most": lambda events, about, options: _most(events, options),
    "more": lambda events, about, options: _most(events, about),
}
