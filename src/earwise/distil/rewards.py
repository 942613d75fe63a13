"""Rewards of a completion: small functions of its text and its item, summed with their weights.

A reward that cannot apply to an item (no readable label, no known claims) is an error before it is ever a 0.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from earwise.errors import InputError
from earwise.recipe.terms import (
    AccuracyReward,
    ClaimsReward,
    CompletenessReward,
    FormatReward,
    LengthReward,
    ReasoningReward,
)
from earwise.recipe.terms import Reward as RewardSettings
from earwise.records import Item
from earwise.traces.agreement import canonical
from earwise.traces.claims import Splitter, sentences
from earwise.traces.describe import plain
from earwise.traces.format import Outcome, parse, said

_OPEN: Final = "<think>"
_CLOSE: Final = "</think>"


@dataclass(frozen=True)
class Known:
    """What a checker knows of the sounds: by item id the claims that it confirms, and how chains become claims."""

    claims: Mapping[str, frozenset[str]]
    split: Splitter = sentences

    def of(self, item: Item) -> frozenset[str]:
        """The claims about the item's sound, in the form of `describe.plain`. Raises `InputError` for one unknown."""
        if item.id not in self.claims:
            what = "the checker knows no claims about the sound of this item, so claims cannot be rewarded"
            raise InputError(what, record=item.id, remedy="leave the item out, or describe its sound first")
        return frozenset(map(plain, self.claims[item.id]))

    def stated(self, text: str) -> frozenset[str]:
        """The claims that the reasoning of `text` states, in the form of `describe.plain`."""
        return frozenset(map(plain, self.split(reasoning_of(text) or "")))


def reasoning_of(text: str) -> str | None:
    """What stands between the first `<think>` and the `</think>` after it, whatever follows; None if it is empty."""
    _, opened, rest = text.partition(_OPEN)
    inside, closed, _ = rest.partition(_CLOSE)
    return (inside.strip() or None) if opened and closed else None


class Reward(ABC):
    """One reward. `name` is in metrics and samples."""

    name: str
    weight: float

    @abstractmethod
    def __call__(self, text: str, item: Item) -> float:
        """The value of a completion `text` for `item`, usually in [0, 1]."""

    def check(self, item: Item) -> None:  # noqa: B027 - most rewards apply to every item
        """Raise `InputError` if this reward cannot apply to `item`."""


class Accuracy(Reward):
    """1 where the answer of the text is the item's first answer, both in canonical form; else 0.

    The item's answer may itself stand in the think/answer format, as that of a taught chain does.
    """

    name = "accuracy"

    def __init__(self, settings: AccuracyReward) -> None:
        self.weight = settings.weight

    def __call__(self, text: str, item: Item) -> float:
        """0 or 1."""
        answer = said(text)
        return float(answer is not None and canonical(answer, item.choices) == self._label(item))

    def check(self, item: Item) -> None:
        """The item's first answer must be readable."""
        self._label(item)

    def _label(self, item: Item) -> str:
        label = said(item.answers[0])
        form = canonical(label, item.choices) if label is not None else None
        if form is None:
            what = f"the answer {item.answers[0]!r} names none of the choices, so accuracy cannot be rewarded"
            raise InputError(what, record=item.id, remedy="correct the item's first answer")
        return form


class Format(Reward):
    """1 where the text parses as one reasoning and one answer, without text outside where that is not allowed."""

    name = "format"

    def __init__(self, settings: FormatReward) -> None:
        self.weight = settings.weight
        self._stray = settings.stray

    def __call__(self, text: str, item: Item) -> float:
        """0 or 1."""
        parsed = parse(text)
        return float(parsed.outcome is Outcome.OK and (self._stray or not parsed.stray))


class Reasoning(Reward):
    """1 where there is a reasoning of enough words; Step-Audio-R1 found that thoughts shrink without such a reward."""

    name = "reasoning"

    def __init__(self, settings: ReasoningReward) -> None:
        self.weight = settings.weight
        self._min_words = settings.min_words

    def __call__(self, text: str, item: Item) -> float:
        """0 or 1."""
        return float(_words(text) >= self._min_words)


class Length(Reward):
    """exp(-(w - mean)^2 / (2 std^2)) of the w words of the reasoning (AVRT, arXiv 2604.16617)."""

    name = "length"

    def __init__(self, settings: LengthReward) -> None:
        self.weight = settings.weight
        self._mean, self._std = settings.mean, settings.std

    def __call__(self, text: str, item: Item) -> float:
        """In (0, 1]."""
        return math.exp(-((_words(text) - self._mean) ** 2) / (2 * self._std**2))


class Claims(Reward):
    """Of the claims that the reasoning states, each counted once, the share that the checker knows. Ours.

    A text without claims gets 0: saying nothing is not faithful. Precision alone rewards saying little; `Completeness`
    is its counterpart.
    """

    name = "claims"

    def __init__(self, settings: ClaimsReward, known: Known) -> None:
        self.weight = settings.weight
        self._known = known

    def __call__(self, text: str, item: Item) -> float:
        """In [0, 1]."""
        known, stated = self._known.of(item), self._known.stated(text)
        return len(stated & known) / len(stated) if stated else 0.0

    def check(self, item: Item) -> None:
        """The checker must have been asked about the item's sound."""
        self._known.of(item)


class Completeness(Reward):
    """Of the claims that the checker knows of the item's sound, the share that the reasoning states. Ours."""

    name = "completeness"

    def __init__(self, settings: CompletenessReward, known: Known) -> None:
        self.weight = settings.weight
        self._known = known

    def __call__(self, text: str, item: Item) -> float:
        """In [0, 1]."""
        known = self._of(item)
        return len(self._known.stated(text) & known) / len(known)

    def check(self, item: Item) -> None:
        """There must be a claim that can be left out."""
        self._of(item)

    def _of(self, item: Item) -> frozenset[str]:
        if not (known := self._known.of(item)):
            what = "the checker confirms no claim about the sound of this item, so completeness cannot be rewarded"
            raise InputError(what, record=item.id, remedy="leave the item out")
        return known


def make_rewards(settings: Iterable[RewardSettings], known: Known | None = None) -> list[Reward]:
    """The rewards that `settings` describe, in order. Raises `InputError` for those of claims where none are known."""
    return [_make(one, known) for one in settings]


def _make(settings: RewardSettings, known: Known | None) -> Reward:
    match settings:
        case AccuracyReward():
            return Accuracy(settings)
        case FormatReward():
            return Format(settings)
        case ReasoningReward():
            return Reasoning(settings)
        case LengthReward():
            return Length(settings)
    if known is None:
        what = f"the reward {settings.type!r} needs the claims that a checker knows of each sound"
        raise InputError(what, remedy="verify with a checker that describes sounds, or leave the reward out")
    return Claims(settings, known) if isinstance(settings, ClaimsReward) else Completeness(settings, known)


@dataclass(frozen=True)
class Valued:
    """What a completion is worth: the weighted sum, each reward by name, and whether an answer can be read at all."""

    total: float
    parts: dict[str, float]
    valid: bool


def value(text: str, item: Item, rewards: Sequence[Reward]) -> Valued:
    """Apply all `rewards` to one completion.

    Where a format is rewarded, a text is valid if it parses; elsewhere if an answer can be read, which of an item with
    choices must name one.
    """
    parts = {reward.name: reward(text, item) for reward in rewards}
    if any(isinstance(reward, Format) for reward in rewards):
        valid = parse(text).outcome is Outcome.OK
    else:
        answer = said(text)
        valid = answer is not None and canonical(answer, item.choices) is not None
    return Valued(sum(reward.weight * parts[reward.name] for reward in rewards), parts, valid)


def _words(text: str) -> int:
    return len((reasoning_of(text) or "").split())
