"""Supervised fine-tuning: cross entropy with the gold response."""

from __future__ import annotations

from torch import Tensor

from earwise.distil.cross_entropy import linear_cross_entropy
from earwise.distil.terms.base import Side, Term
from earwise.recipe.train import SftTerm


class Sft(Term):
    """-log S(y) per response token, end-of-turn token included, in nats."""

    name = "sft"
    answers = "given"

    def __init__(self, settings: SftTerm) -> None:
        self.weight = settings.weight

    def __call__(self, student: Side, teacher: Side | None) -> Tensor:
        """(N,) nats."""
        return linear_cross_entropy(student.states.hidden, student.head, student.states.targets)
