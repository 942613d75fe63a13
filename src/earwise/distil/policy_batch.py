"""A micro-batch of learning from reward: prompts, what was answered to them, and both as tokens.

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
    """The completions of one prompt, what each is worth, and its advantage."""

    prompt: Prompt
    completions: list[Completion]
    values: list[Valued]
    advantages: list[float]

    @property
    def equal(self) -> bool:
        """Whether no completion is better than another, so that nothing can be learned from them."""
        return not any(self.advantages)


@dataclass
class Rollouts:
    """What a micro-batch learns from, for one or several updates."""

    drawn: list[Group]
    learned: list[Group]
    """Without those that are dropped. If all are, one of them stays, so that there is a graph."""
    views: ViewBatch
    empty: bool = False
    """Whether what is learned only stands there for the graph, with weight 0."""
    old: Tensor | None = None
    """(N,) log-probabilities under the policy that drew the completions."""
    reference: Tensor | None = None
    """(N,) log-probabilities under the reference."""

    @property
    def lengths(self) -> list[int]:
        """(R,) tokens of each completion."""
        return [len(completion.ids) for group in self.learned for completion in group.completions]


@dataclass
class PolicyBatch:
    """One micro-batch: prompts to be answered, samples to be replayed, and from `begin` on the answers."""

    prompts: list[Prompt]
    replayed: list[Sample]
    replay_layouts: list[Layout]
    places: list[int]
    """Of each prompt in the micro-batch, replayed samples counted."""
    size: int
    rollouts: Rollouts | None = None
    num_responses: int = field(default=0)
    """Completions, or tokens, that the losses are divided by; set by `begin`."""
    view: View | None = None
    """What the student sees."""

    def heard(self, term: str) -> Heard:
        """See `Hearing`: of the prompts, or of what is replayed beside them."""
        name = POLICY if term == Grpo.name else REPLAY
        if self.rollouts is None or self.view is None or name not in self.rollouts.views.views:
            return Heard(0, 0)
        samples = [group.prompt.sample for group in self.rollouts.learned] if name == POLICY else self.replayed
        positions = int(self.rollouts.views.views[name].audio_mask.sum())
        return Heard(sum(clips_of(sample, self.view) for sample in samples), positions)

    def to(self, device: torch.device | str) -> Self:
        """Move what is there already; `Trainer` places a batch before and after `begin`."""
        if self.rollouts is not None:
            self.rollouts.views.to(device)
        return self


def completed(prompt: Layout, completions: Sequence[Sequence[int]]) -> Layout:
    """`prompt` with several completions behind it as independent turns: each sees the prompt and itself.

    The prompt's last token, which predicts the first one of every completion, begins each turn.
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
