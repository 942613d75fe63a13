"""Teachers that are other models than the student: they give `States` for samples under a view.

Shapes: B samples, N response tokens, H width, V vocabulary.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple, Protocol, Self

import torch
from torch import Tensor, nn
from transformers import PreTrainedTokenizerBase

from earwise.distil.listed_divergence import Listed
from earwise.models.batch import ViewBatch, collate
from earwise.models.families import Family
from earwise.models.omni import OmniModel
from earwise.models.sample import Sample
from earwise.models.states import Ask, States, Wants
from earwise.records import View


class Shape(NamedTuple):
    """Depth and width of a decoder."""

    depth: int
    """Layers."""
    width: int
    """H"""
    stored: frozenset[int] | None = None
    """The stored layers, from 1, of a teacher whose states are stored; None for other models."""


class ListedStates(States):
    """The words that a server lists for N response tokens, in place of states."""

    def __init__(self, listed: Listed, targets: Tensor) -> None:
        super().__init__(torch.empty(len(targets), 0), None, targets)
        self.listed = listed


class TaughtBatch(Protocol):
    """Samples under one view, prepared by a teacher."""

    @property
    def targets(self) -> Tensor:
        """(N,) response tokens as this teacher tokenizes them."""

    def to(self, device: torch.device | str) -> Self:
        """Move the tensors to `device`."""


class Lack(NamedTuple):
    """Why a teacher cannot serve a term: the rest of a sentence that begins with the term's name."""

    what: str
    remedy: str


ANOTHER_MODEL: Final = Lack("compares two views of one model, and this teacher is another one", "set teacher = 'self'")
"""Why it cannot give attention, which only views of the same model can be compared by."""


class Teacher(Protocol):
    """A teacher with other weights than the student's."""

    @property
    def tokenizer(self) -> PreTrainedTokenizerBase:
        """Its tokenizer."""

    @property
    def shape(self) -> Shape:
        """Its decoder."""

    @property
    def head(self) -> Tensor:
        """(V, H) output projection."""

    @property
    def vocabulary(self) -> int:
        """Rows of the head that belong to tokens."""

    @property
    def norm(self) -> nn.Module:
        """The decoder's final norm."""

    def collate(self, samples: Sequence[Sample], view: View) -> TaughtBatch:
        """`samples` with their responses under `view`, in this teacher's own layouts."""

    def lacks(self, wants: Wants) -> Lack | None:
        """What of `wants` it cannot give; None if it can give everything."""

    def states(self, batch: TaughtBatch, wants: Wants) -> States:
        """States of the batch, without gradient."""


@dataclass
class LiveBatch:
    """One view of a live teacher."""

    name: str
    batch: ViewBatch

    @property
    def targets(self) -> Tensor:
        """(N,) the response tokens."""
        return self.batch.views[self.name].targets

    def to(self, device: torch.device | str) -> Self:
        """Move the tensors to `device`."""
        self.batch.to(device)
        return self


class LiveTeacher:
    """A frozen model in memory beside the student."""

    def __init__(self, model: OmniModel) -> None:
        self.model = model.requires_grad_(False).eval()

    @property
    def tokenizer(self) -> PreTrainedTokenizerBase:
        """Its tokenizer."""
        return self.model.family.tokenizer

    @property
    def shape(self) -> Shape:
        """Its decoder."""
        return shape_of(self.model.family)

    @property
    def head(self) -> Tensor:
        """(V, H) output projection."""
        return self.model.family.head_weight

    @property
    def vocabulary(self) -> int:
        """Rows of the head that belong to tokens."""
        return self.model.family.vocabulary

    @property
    def norm(self) -> nn.Module:
        """The decoder's final norm."""
        return self.model.family.final_norm

    def collate(self, samples: Sequence[Sample], view: View) -> LiveBatch:
        """`samples` with their responses under `view`."""
        rows = [self.model.layouts.build(sample, view, answers=True) for sample in samples]
        return LiveBatch(view, collate({view: rows}, self.model.family, share_prefix=False))

    def lacks(self, wants: Wants) -> Lack | None:
        """Attention, which is compared within one model only."""
        return ANOTHER_MODEL if wants.attention is not None else None

    def states(self, batch: TaughtBatch, wants: Wants) -> States:
        """States of the batch, without gradient."""
        assert isinstance(batch, LiveBatch)
        with torch.no_grad():
            found: dict[str, States] = self.model(batch.batch, {batch.name: Ask(wants)})
        return found[batch.name]


def shape_of(family: Family) -> Shape:
    """The shape of a family's decoder."""
    return Shape(family.depth, family.width)
