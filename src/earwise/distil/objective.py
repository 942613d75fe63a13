"""An objective: the student's view, the terms, and the passes through which models they need.

A pass is named `TEACHER/VIEW`, the student's own `student/VIEW`. Passes of the student, of itself as teacher and of its
snapshot share one base model and so one prefix; another model's passes are its own batch.
"""

from __future__ import annotations

import copy
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import torch
from torch import Tensor

from earwise.distil.terms import Side, Term
from earwise.errors import InputError
from earwise.models.batch import ViewBatch, collate
from earwise.models.omni import Hearing, OmniModel, States
from earwise.models.views import Sample
from earwise.records import View

SELF, SNAPSHOT = "self", "snapshot"

log = logging.getLogger(__name__)


@dataclass
class TrainBatch:
    """What one micro-batch needs: the student's passes with those of its own weights, and other models' passes."""

    own: ViewBatch
    others: dict[str, ViewBatch]
    num_responses: int

    def to(self, device: torch.device | str) -> Self:
        """Move everything to `device`; lets `Trainer` place a batch."""
        for part in (self.own, *self.others.values()):
            part.to(device)
        return self


class Objective:
    """A weighted sum of terms for a student view.

    Args:
        view: what the student sees.
        terms: the losses; those of weight 0 are left out together with their passes.
        student: the model that learns.
        teachers: other models by the name that terms use.
        share_prefix: compute tokens that the views have in common once, where that is exact.
    """

    def __init__(
        self,
        view: View,
        terms: Sequence[Term],
        student: OmniModel,
        *,
        teachers: dict[str, OmniModel] | None = None,
        share_prefix: bool = True,
    ) -> None:
        self.view: View = view
        self.terms = [term for term in terms if term.weight > 0]
        self.student_pass = f"student/{view}"
        self.needs_layers = any(term.needs_layers for term in self.terms)
        self.share_prefix = share_prefix and student.no_shared_prefix is None
        if share_prefix and not self.share_prefix:
            log.info("full passes instead of a shared prefix: %s", student.no_shared_prefix)
        self.layouts = student.layouts
        self.family = student.family
        self.teachers = dict(teachers or {})
        self.snapshot_ears = self._snapshot(student)
        for teacher in self.teachers.values():
            teacher.requires_grad_(False).eval()

    def _snapshot(self, student: OmniModel) -> Hearing | None:
        """A frozen copy of what is trained: of the ears alone while the base is frozen, else of the whole model."""
        if not any(term.teacher == SNAPSHOT for term in self.terms):
            return None
        if student.base_is_frozen and student.ears is not None:
            return copy.deepcopy(student.ears).requires_grad_(False).eval()
        self.teachers[SNAPSHOT] = copy.deepcopy(student)
        return None

    @property
    def passes(self) -> list[tuple[str, View]]:
        """(who, view) of every pass, the student's first, each once."""
        taught = [(t.teacher, t.view) for t in self.terms if t.teacher is not None and t.view is not None]
        return [("student", self.view), *list(dict.fromkeys(taught))]

    def collate(self, samples: Sequence[Sample]) -> dict[str, TrainBatch]:
        """A micro-batch for `DistilTrainer`: layouts of every pass as tensors.

        Raises `InputError` when a teacher reads the responses as other tokens than the student.
        """
        own, others = {}, {}
        for who, view in self.passes:
            model = self.teachers.get(who)
            builder = self.layouts if model is None else model.layouts
            rows = [builder.build(sample, view, answers=True) for sample in samples]
            if model is None:
                own[f"{who}/{view}"] = rows
            else:
                others[f"{who}/{view}"] = collate({f"{who}/{view}": rows}, model.family, share_prefix=False)
        batch = collate(own, self.family, share_prefix=self.share_prefix)
        targets = batch.views[self.student_pass].targets
        for name, views in others.items():
            _check_same_tokens(name, views.views[name].targets, targets)
        return {"batch": TrainBatch(batch, others, len(targets))}

    def losses(self, model: torch.nn.Module, batch: TrainBatch) -> dict[str, Tensor]:
        """(N,) values of every term, unweighted, by its name."""
        return self.values(self.states(model, batch))

    def states(self, model: torch.nn.Module, batch: TrainBatch) -> dict[str, States]:
        """Every pass's states. `model` is the student, possibly inside a wrapper of its training engine."""
        heard_otherwise = {n: self.snapshot_ears for n in batch.own.views if n.startswith(f"{SNAPSHOT}/")}
        states = model(
            batch.own,
            learn=[self.student_pass],
            layers=self.needs_layers,
            ears={n: ears for n, ears in heard_otherwise.items() if ears is not None},
        )
        for name, views in batch.others.items():
            teacher = self.teachers[name.rsplit("/", 1)[0]]
            with torch.no_grad():
                states |= teacher(views, learn=[], layers=self.needs_layers)
        return states

    def values(self, states: dict[str, States]) -> dict[str, Tensor]:
        """(N,) values of every term, unweighted."""
        student = Side(states[self.student_pass], self.family.head_weight, self.family.vocabulary)
        values = {}
        for term in self.terms:
            teacher = None
            if term.teacher is not None:
                family = self.teachers[term.teacher].family if term.teacher in self.teachers else self.family
                teacher = Side(states[f"{term.teacher}/{term.view}"], family.head_weight, family.vocabulary)
            values[term.name] = term(student, teacher)
        return values


def _check_same_tokens(name: str, theirs: Tensor, mine: Tensor) -> None:
    if not torch.equal(theirs, mine):
        raise InputError(
            f"{name} splits the responses into other tokens than the student",
            remedy="teacher and student must share a tokenizer",
        )
