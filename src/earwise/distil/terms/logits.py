"""Distillation of the output distribution: the loss of Self-KD (arXiv 2503.00059, section 4)."""

from __future__ import annotations

import torch
from torch import Tensor

from earwise.distil.divergence import linear_divergence
from earwise.distil.listed_divergence import listed_divergence
from earwise.distil.teachers import ListedStates, Shape
from earwise.distil.terms.base import Side, Term, Wanted, shared_rows
from earwise.models.states import Wants
from earwise.recipe.train import LogitsTerm


class Logits(Term):
    """Divergence of the student's next-token distribution from the teacher's, per response token, in nats. As
    published: forward KL, `sum_v T(v) (log T(v) - log S(v))`. The paper states no temperature; ours is 1, and there is
    no T^2 factor.
    """

    name = "logits"

    def __init__(self, settings: LogitsTerm) -> None:
        self.weight = settings.weight
        self.teacher = settings.teacher_name
        self.view = settings.view
        self._settings = settings

    def wants(self, student: Shape, teacher: Shape) -> Wanted:
        """No hidden states of the teacher: the words that a server lists are enough."""
        return Wanted(teacher=Wants(hidden=False))

    def __call__(self, student: Side, teacher: Side | None) -> Tensor:
        """(N,) nats, those of stop tokens times 1 + `end_weight`."""
        assert teacher is not None
        values = self._values(student, teacher)
        if not self._settings.end_weight:
            return values
        targets = student.states.targets
        ends = torch.isin(targets, torch.tensor(student.stop_ids, device=targets.device))
        return values * (1 + self._settings.end_weight * ends)

    def _values(self, student: Side, teacher: Side) -> Tensor:
        """(N,) nats."""
        if isinstance(teacher.states, ListedStates):
            return self._of_listed(student, teacher.states, shared_rows(student, teacher))
        return linear_divergence(
            student.states.hidden,
            teacher.states.hidden,
            student.head,
            teacher.head,
            kind=self._settings.divergence,
            temperature=self._settings.temperature,
            teacher_share=self._settings.teacher_share,
            vocab_size=shared_rows(student, teacher),
        )

    def _of_listed(self, student: Side, teacher: ListedStates, vocabulary: int | None) -> Tensor:
        """(N,) nats, over the listed words and the rest."""
        settings = self._settings
        assert settings.divergence != "reverse_kl"  # the recipe's schema refuses it for a server
        return listed_divergence(
            student.states.hidden,
            student.head,
            teacher.listed,
            settings.divergence,
            settings.teacher_share,
            vocab_size=vocabulary,
        )
