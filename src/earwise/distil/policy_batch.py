"""A micro-batch of learning from reward: prompts and the completions drawn for them, as tokens.

Shapes: R completions of a micro-batch, N their tokens.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import accumulate, pairwise
from typing import Final, Self

import torch
from torch import Tensor

from earwise.distil.reach import Heard
from earwise.distil.rewards import Valued
from earwise.distil.rollouts import Completion, Prompt
from earwise.distil.terms.grpo import Grpo
from earwise.models.batch import ViewBatch
from earwise.models.layout import Layout, Span
from earwise.models.sample import Sample, clips_of
from earwise.records import View

POLICY: Final = "policy"
REPLAY: Final = "replay"
"""Names of the two passes."""


@dataclass(frozen=True)
class Group:
    """The completions of one prompt, with their rewards and advantages."""

    prompt: Prompt
    completions: list[Completion]
    values: list[Valued]
    advantages: list[float]

    @property
    def equal(self) -> bool:
        """Whether all rewards are equal, so that nothing can be learned."""
        return not any(self.advantages)


@dataclass
class Rollouts:
    """The completions of a micro-batch, for one or several updates."""

    drawn: list[Group]
    learned: list[Group]
    """Groups without the dropped ones. If all were dropped, one stays, so that there is a graph."""
    views: ViewBatch
    empty: bool = False
    """Whether `learned` has weight 0: it only provides a graph."""
    old: Tensor | None = None
    """(N,) log-probabilities under the policy at the time of sampling."""
    reference: Tensor | None = None
    """(N,) log-probabilities under the reference."""

    @property
    def lengths(self) -> list[int]:
        """(R,) tokens of each completion."""
        return [len(completion.ids) for group in self.learned for completion in group.completions]


@dataclass
class PolicyBatch:
    """One micro-batch: prompts, replayed samples, and after `begin` the completions."""

    prompts: list[Prompt]
    replayed: list[Sample]
    replay_layouts: list[Layout]
    places: list[int]
    """Position of each prompt among all samples of the micro-batch."""
    size: int
    rollouts: Rollouts | None = None
    num_responses: int = field(default=0)
    """Completions, or tokens, that the trainer divides by; set by `begin`."""
    view: View | None = None
    """What the student sees."""

    def heard(self, term: str) -> Heard:
        """See `Hearing`: the prompts or the replayed samples."""
        name = POLICY if term == Grpo.name else REPLAY
        if self.rollouts is None or self.view is None or name not in self.rollouts.views.views:
            return Heard(0, 0)
        samples = [group.prompt.sample for group in self.rollouts.learned] if name == POLICY else self.replayed
        positions = int(self.rollouts.views.views[name].audio_mask.sum())
        return Heard(sum(clips_of(sample, self.view) for sample in samples), positions)

    def to(self, device: torch.device | str) -> Self:
        """Move the tensors, if `begin` has made them: `Trainer` also calls this before `begin`."""
        if self.rollouts is not None:
            self.rollouts.views.to(device)
        return self


def completed(prompt: Layout, completions: Sequence[Sequence[int]]) -> Layout:
    """`prompt`, followed by completions as independent turns: each sees the prompt and itself. Each turn begins with
    the prompt's last token, which predicts the first token of the completion.
    """
    *shared, last = prompt.ids
    if prompt.media and prompt.media[-1].stop > len(shared):
        raise AssertionError("a prompt ends with text of the chat template")
    edges = list(accumulate((1 + len(ids) for ids in completions), initial=len(shared)))
    spans = [*prompt.spans[:-1]]
    if (end := prompt.spans[-1]).stop - end.start > 1:
        spans.append(Span(end.role, end.start, end.stop - 1))
    for start, stop in pairwise(edges):
        spans += [Span("template", start, start + 1), Span("response", start + 1, stop)]
    ids = [*shared, *(token for completion in completions for token in (last, *completion))]
    return Layout(tuple(ids), tuple(spans), prompt.media, tuple(edges[:-1]))
