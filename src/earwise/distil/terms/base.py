"""A term is one weighted loss of an objective. It sees states, never models, batches or steps.

Shapes: N response tokens.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass

from torch import Tensor

from earwise.models.omni import States
from earwise.records import View


@dataclass(frozen=True)
class Side:
    """One side of a comparison: what a model's view yields, and the head that turns it into logits."""

    states: States
    head: Tensor
    """(V, H)"""
    vocabulary: int | None = None
    """Words of the tokenizer: rows of the head beyond them are padding. None: all rows are words."""


class Term(ABC):
    """One loss, in nats (or the unit its docstring states) per response token.

    The trainer masks nothing, weights, sums, and divides once by the number of response tokens of the whole step.
    """

    name: str
    weight: float
    teacher: str | None = None
    """Who teaches (`self`, `snapshot`, a folder); None for a term without a teacher."""
    view: View | None = None
    """What the teacher sees."""
    needs_layers: bool = False

    @abstractmethod
    def __call__(self, student: Side, teacher: Side | None) -> Tensor:
        """(N,) values; `teacher` is None exactly when the term has none."""
