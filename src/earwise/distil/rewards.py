"""Rewards: functions of a completion's text and its item, summed with weights.

A reward that cannot apply to an item (no readable label, no known claims) is an error, never a silent 0.
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
    """What a checker knows about the sounds: confirmed claims by item id, and how a chain is split into claims."""

    claims: Mapping[str, frozenset[str]]
    split: Splitter = sentences

    def of(self, item: Item) -> frozenset[str]:
        """Claims about the item's sound, as `describe.plain` writes them. Raises `InputError` for an unknown item."""
        if item.id not in self.claims:
            what = "the checker knows no claims about the sound of this item, so claims cannot be rewarded"
            raise InputError(what, record=item.id, remedy="leave the item out, or describe its sound first")
        return frozenset(map(plain, self.claims[item.id]))

    def stated(self, text: str) -> frozenset[str]:
        """The claims in the reasoning of `text`, as `describe.plain` writes them."""
        return frozenset(map(plain, self.split(reasoning_of(text) or "")))


def reasoning_of(text: str) -> str | None:
    """The text between the first `<think>` and the next `</think>`; None if it is empty."""
    _, opened, rest = text.partition(_OPEN)
    inside, closed, _ = rest.partition(_CLOSE)
    return (inside.strip() or None) if opened and closed else None


class Reward(ABC):
    """One reward; `name` appears in metrics and logged samples."""

    name: str
    weight: float

    @abstractmethod
    def __call__(self, text: str, item: Item) -> float:
        """The reward of completion `text` for `item`, usually in [0, 1]."""

    def check(self, item: Item) -> None:  # noqa: B027 - most rewards apply to every item
        """Raise `InputError` if this reward cannot apply to `item`."""


class Accuracy(Reward):
    """1 if the text's answer is the item's first answer, both in canonical form; else 0. The item's answer may be in
    the think/answer format, like the answer of a taught chain.
    """

    name = "accuracy"

    def __init__(self, settings: AccuracyReward) -> None:
        self.weight = settings.weight

    def __call__(self, text: str, item: Item) -> float:
        """0 or 1."""
        answer = said(text)
        return float(answer is not None and canonical(answer, item.choices) == self._label(item))

    def check(self, item: Item) -> None:
        """Raise `InputError` unless the item's first answer is readable."""
        self._label(item)

    def _label(self, item: Item) -> str:
        label = said(item.answers[0])
        form = canonical(label, item.choices) if label is not None else None
        if form is None:
            what = f"the answer {item.answers[0]!r} names none of the choices, so accuracy cannot be rewarded"
            raise InputError(what, record=item.id, remedy="correct the item's first answer")
        return form


class Format(Reward):
    """1 if the text parses as one reasoning and one answer, without text outside unless `stray` allows it; else 0."""

    name = "format"

    def __init__(self, settings: FormatReward) -> None:
        self.weight = settings.weight
        self._stray = settings.stray

    def __call__(self, text: str, item: Item) -> float:
        """0 or 1."""
        parsed = parse(text)
        return float(parsed.outcome is Outcome.OK and (self._stray or not parsed.stray))


class Reasoning(Reward):
    """1 if the reasoning has enough words, else 0. Step-Audio-R1 found that thoughts shrink without such a reward."""

    name = "reasoning"

    def __init__(self, settings: ReasoningReward) -> None:
        self.weight = settings.weight
        self._min_words = settings.min_words

    def __call__(self, text: str, item: Item) -> float:
        """0 or 1."""
        return float(_words(text) >= self._min_words)


class Length(Reward):
    """exp(-(w - mean)^2 / (2 std^2)) for a reasoning of w words (AVRT, arXiv 2604.16617)."""

    name = "length"

    def __init__(self, settings: LengthReward) -> None:
        self.weight = settings.weight
        self._mean, self._std = settings.mean, settings.std

    def __call__(self, text: str, item: Item) -> float:
        """In (0, 1]."""
        return math.exp(-((_words(text) - self._mean) ** 2) / (2 * self._std**2))


class Claims(Reward):
    """Precision: the share of the distinct claims in the reasoning that the checker confirms. Ours. A text without
    claims gets 0: saying nothing is not faithful. Precision alone rewards short texts; `Completeness` is its
    counterpart.
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
        """Raise `InputError` unless the checker knows the item's sound."""
        self._known.of(item)


class Completeness(Reward):
    """Recall: the share of the claims confirmed for the item's sound that the reasoning states. Ours."""

    name = "completeness"

    def __init__(self, settings: CompletenessReward, known: Known) -> None:
        self.weight = settings.weight
        self._known = known

    def __call__(self, text: str, item: Item) -> float:
        """In [0, 1]."""
        known = self._of(item)
        return len(self._known.stated(text) & known) / len(known)

    def check(self, item: Item) -> None:
        """Raise `InputError` unless the checker confirms at least one claim."""
        self._of(item)

    def _of(self, item: Item) -> frozenset[str]:
        if not (known := self._known.of(item)):
            what = "the checker confirms no claim about the sound of this item, so completeness cannot be rewarded"
            raise InputError(what, record=item.id, remedy="leave the item out")
        return known


def make_rewards(settings: Iterable[RewardSettings], known: Known | None = None) -> list[Reward]:
    """The rewards that `settings` describe, in order. Raises `InputError` for rewards of claims without `known`."""
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
    """The weighted sum of a completion's rewards, each reward by name, and whether its answer is valid."""

    total: float
    parts: dict[str, float]
    valid: bool


def value(text: str, item: Item, rewards: Sequence[Reward]) -> Valued:
    """Apply all `rewards` to one completion. If a format is rewarded, a text is valid if it parses. Otherwise it is
    valid if its answer can be read and, for an item with choices, names a choice.
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
