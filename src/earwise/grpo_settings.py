"""The schema of the term `grpo`: how answers are drawn, what they are rewarded for, and when a training is stopped."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field, model_validator

from earwise.limits import MAX_COUNT
from earwise.schema import Count, Settings, Share
from earwise.traces_settings import ModelServer


class _Reward(Settings):
    weight: float = Field(gt=0)


class AccuracyReward(_Reward):
    """1 where the answer is the item's first one, in canonical form; else 0."""

    type: Literal["accuracy"]


class FormatReward(_Reward):
    """1 where the text is one reasoning and one answer after it (`traces.format.parse`); else 0."""

    type: Literal["format"]
    stray: bool = True
    """Whether text outside the two blocks is allowed."""


class ReasoningReward(_Reward):
    """1 where there is a reasoning of at least `min_words` words, whatever follows it; else 0."""

    type: Literal["reasoning"]
    min_words: Count = 1


class LengthReward(_Reward):
    """exp(-(words - mean)^2 / (2 std^2)) of the words of the reasoning; without reasoning there are none."""

    type: Literal["length"]
    mean: float = Field(ge=0)
    std: float = Field(gt=0)


class ClaimsReward(_Reward):
    """Of the claims of the reasoning, the share that the checker knows of the item's sound; 0 without a claim."""

    type: Literal["claims"]


class CompletenessReward(_Reward):
    """Of the claims that the checker knows of the item's sound, the share that the reasoning states."""

    type: Literal["completeness"]


Reward = Annotated[
    AccuracyReward | FormatReward | ReasoningReward | LengthReward | ClaimsReward | CompletenessReward,
    Field(discriminator="type"),
]


class Guard(Settings):
    """Stops a training whose answers collapse: each bound is for the mean over the last `window` steps."""

    window: Count = 5
    max_kl: float | None = Field(default=None, gt=0)
    """Nats per token to the reference; needs `beta` above 0, as there is no reference without."""
    min_entropy: float | None = Field(default=None, gt=0)
    """Nats per token of the policy."""
    max_invalid: Share | None = None
    """Share of the completions from which no answer can be read."""

    @model_validator(mode="after")
    def _guards_something(self) -> Self:
        if self.max_kl is None and self.min_entropy is None and self.max_invalid is None:
            raise ValueError("a guard needs max_kl, min_entropy or max_invalid")
        return self


def _each_type_once(rewards: tuple[Reward, ...]) -> tuple[Reward, ...]:
    types = [reward.type for reward in rewards]
    if doubled := [one for one in types if types.count(one) > 1]:
        raise ValueError(f"{doubled[0]!r} is listed twice")
    return rewards


class GrpoTerm(Settings):
    """Group relative policy optimisation: of several answers to one prompt, those with more reward become likelier."""

    type: Literal["grpo"]
    weight: float = Field(gt=0)
    rewards: Annotated[tuple[Reward, ...], Field(min_length=1), AfterValidator(_each_type_once)]
    """Summed with their weights."""
    group: int = Field(default=8, ge=2, le=MAX_COUNT)
    """Completions of each prompt."""
    max_tokens: Count
    """Of a completion, stop token included."""
    temperature: float = Field(default=1.0, gt=0)
    """Divides the logits when completions are drawn, and when their log-probabilities are learned from."""
    standardise: bool = True
    """Whether advantages are divided by the group's standard deviation; Dr. GRPO (arXiv 2503.20783) does not."""
    drop_equal: bool = False
    """Whether groups whose rewards are all equal are left out; they have no advantage, but do have a KL."""
    clip: float = Field(default=0.2, gt=0, lt=1)
    """The ratio to the policy that drew the completions counts within 1 - clip and 1 + clip."""
    updates: Count = 1
    """Optimiser steps on the same completions."""
    beta: float = Field(default=0.04, ge=0)
    """Weight of the KL to the weights at the start of this training; none of them are kept at 0."""
    normaliser: Literal["completion", "token"] = "completion"
    """`completion`: mean over a completion's tokens, then over completions; `token`: mean over all tokens (DAPO)."""
    server: ModelServer | None = None
    """Asked for the completions; drawn from the student itself when absent."""
    guard: Guard | None = None

    @model_validator(mode="after")
    def _kl_is_measured(self) -> Self:
        if self.beta == 0 and self.guard is not None and self.guard.max_kl is not None:
            raise ValueError("guard.max_kl needs beta above 0: without, no reference is kept")
        if self.updates == 1 and self.clip != 0.2:
            raise ValueError("clip has no effect with one update: the ratio is always 1")
        return self
