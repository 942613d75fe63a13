"""A term is one weighted loss of an objective. It sees states, never models, batches or steps.

Shapes: N response tokens.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Literal, NamedTuple

from torch import Tensor, nn

from earwise.distil.teachers import Shape
from earwise.models.states import States, Wants
from earwise.records import View


@dataclass(frozen=True)
class Side:
    """One side of a comparison: the states of a view, and the head that turns them into logits."""

    states: States
    head: Tensor
    """(V, H)"""
    vocabulary: int | None = None
    """Rows of the head that are compared: tokens of the tokenizer, for a teacher those shared with the student. None:
    all.
    """
    norm: nn.Module | None = None
    """The decoder's final norm, applied between a layer's states and the head."""
    stop_ids: tuple[int, ...] = ()
    """Tokens that end an answer; of the student."""


class Wanted(NamedTuple):
    """What a term reads of the student's pass and of its teacher's."""

    student: Wants = Wants()
    teacher: Wants = Wants()


def shared_rows(student: Side, teacher: Side) -> int | None:
    """Rows of both heads that are compared; None for all."""
    known = [side.vocabulary for side in (student, teacher) if side.vocabulary is not None]
    return min(known, default=None)


class Term(ABC):
    """One loss, in nats (or the unit its docstring states) per response token. The trainer masks nothing. It weights,
    sums, and divides once by the number of response tokens of the whole step.
    """

    name: str
    weight: float
    teacher: str | None = None
    """The teacher (`self`, `snapshot`, a folder or hub id); None for a term without a teacher."""
    view: View | None = None
    """What the teacher sees."""
    answers: Literal["all", "given", "drawn"] = "all"
    """On which answers it counts, if the student draws some of them (`distil.on_policy`)."""

    reads: Wants = Wants()
    """The student's part of `wants`; set by the objective."""

    def wants(self, student: Shape, teacher: Shape) -> Wanted:
        """What it reads of each side, beside the last hidden states. `teacher` is the student's own shape for a term
        without a teacher. Raises `InputError` if the two models cannot be compared.
        """
        return Wanted()

    def aid(self, student: Shape, teacher: Shape) -> nn.Module | None:
        """A module to train beside the student: (K, N, H) states to what the term reads from `States.aided`. None if
        the term trains nothing. Called once, before training.
        """
        return None

    @abstractmethod
    def __call__(self, student: Side, teacher: Side | None) -> Tensor:
        """(N,) values; `teacher` is None exactly when the term has none."""
