"""Other models than the student as teachers: whatever gives `States` for samples under a view.

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
    """How deep and how wide a decoder is."""

    depth: int
    """Layers."""
    width: int
    """H"""
    stored: frozenset[int] | None = None
    """Of a teacher whose states were stored, the layers that there are, from 1; None for all other models."""


class ListedStates(States):
    """What a server tells of N response tokens in place of states."""

    def __init__(self, listed: Listed, targets: Tensor) -> None:
        super().__init__(torch.empty(len(targets), 0), None, targets)
        self.listed = listed


class TaughtBatch(Protocol):
    """What a teacher makes of samples under one view."""

    @property
    def targets(self) -> Tensor:
        """(N,) the response tokens as this teacher reads them, sample after sample."""

    def to(self, device: torch.device | str) -> Self:
        """Move everything to `device`."""


class Lack(NamedTuple):
    """Why a teacher cannot serve a term, as it is said after the term's name."""

    what: str
    remedy: str


ANOTHER_MODEL: Final = Lack("compares two views of one model, and this teacher is another one", "set teacher = 'self'")
"""Of a teacher that is asked for its attention, which only views of one model have in common."""


class Teacher(Protocol):
    """A teacher that is not the student's own weights."""

    @property
    def tokenizer(self) -> PreTrainedTokenizerBase:
        """Its words."""

    @property
    def shape(self) -> Shape:
        """Its decoder."""

    @property
    def head(self) -> Tensor:
        """(V, H) output projection."""

    @property
    def vocabulary(self) -> int:
        """Rows of the head that are words."""

    @property
    def norm(self) -> nn.Module:
        """The decoder's final norm."""

    def collate(self, samples: Sequence[Sample], view: View) -> TaughtBatch:
        """`samples` with their responses under `view`, in this teacher's own layouts."""

    def lacks(self, wants: Wants) -> Lack | None:
        """What of `wants` it cannot give; None where it can give everything."""

    def states(self, batch: TaughtBatch, wants: Wants) -> States:
        """What it yields, without gradient."""


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
        """Move everything to `device`."""
        self.batch.to(device)
        return self


class LiveTeacher:
    """A model beside the student, frozen."""

    def __init__(self, model: OmniModel) -> None:
        self.model = model.requires_grad_(False).eval()

    @property
    def tokenizer(self) -> PreTrainedTokenizerBase:
        """Its words."""
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
        """Rows of the head that are words."""
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
        """Only attention, which is compared within one model."""
        return ANOTHER_MODEL if wants.attention is not None else None

    def states(self, batch: TaughtBatch, wants: Wants) -> States:
        """What the model yields, without gradient."""
        assert isinstance(batch, LiveBatch)
        with torch.no_grad():
            found: dict[str, States] = self.model(batch.batch, {batch.name: Ask(wants)})
        return found[batch.name]


def shape_of(family: Family) -> Shape:
    """The shape of a family's decoder."""
    return Shape(family.depth, family.width)
