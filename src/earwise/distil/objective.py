"""An objective: the student's view, the terms, and the passes that they need.

Passes are named `TEACHER/VIEW`; the student's own is `student/VIEW`. Passes of the student, of itself as teacher and of
its snapshot share one base model and so one prefix. Passes of another model are a batch of their own.
"""

from __future__ import annotations

import copy
import logging
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import torch
from safetensors.torch import save_file
from torch import Tensor

from earwise.distil.reach import Heard
from earwise.distil.teachers import LiveTeacher, Shape, TaughtBatch, Teacher, shape_of
from earwise.distil.terms import Side, Term
from earwise.distil.vocabulary import shared_vocabulary
from earwise.errors import InputError
from earwise.models.batch import ViewBatch, collate
from earwise.models.omni import OmniModel
from earwise.models.sample import Sample, clips_of
from earwise.models.states import Ask, Hearing, States, Wants
from earwise.recipe.terms import SELF as SELF
from earwise.recipe.terms import SNAPSHOT as SNAPSHOT
from earwise.records import View

log = logging.getLogger(__name__)


@dataclass
class TrainBatch:
    """One micro-batch: the passes of the student's own weights, and those of other models."""

    own: ViewBatch
    others: dict[str, TaughtBatch]
    num_responses: int
    heard_by_student: Heard

    def heard(self, term: str) -> Heard:
        """See `Hearing`: every term learns from the student's pass."""
        return self.heard_by_student

    def to(self, device: torch.device | str) -> Self:
        """Move the tensors to `device`."""
        self.own.to(device)
        for part in self.others.values():
            part.to(device)
        return self


class Objective:
    """A weighted sum of terms for a student view.

    Args:
        view: what the student sees.
        terms: the losses. Terms of weight 0 are left out, and so are their passes.
        student: the model that learns.
        teachers: other models, by the name that terms use.
        share_prefix: compute the common tokens of the views once, where this is exact.
    """

    def __init__(
        self,
        view: View,
        terms: Sequence[Term],
        student: OmniModel,
        *,
        teachers: Mapping[str, OmniModel | Teacher] | None = None,
        share_prefix: bool = True,
    ) -> None:
        self.view: View = view
        self.terms = [term for term in terms if term.weight > 0]
        _name_apart(self.terms)
        self.student_pass = f"student/{view}"
        self.share_prefix = share_prefix and student.no_shared_prefix is None
        if share_prefix and not self.share_prefix:
            log.info("full passes instead of a shared prefix: %s", student.no_shared_prefix)
        self.layouts = student.layouts
        self.family = student.family
        self.teachers: dict[str, Teacher] = {
            name: LiveTeacher(teacher) if isinstance(teacher, OmniModel) else teacher
            for name, teacher in (teachers or {}).items()
        }
        self.snapshot_ears = self._snapshot(student)
        self.shared = {name: self._shared_vocabulary(name) for name in self.teachers}
        self.student_shape = shape_of(student.family)
        self.wants = self._wants()
        self.aids = student.aids
        for term in self.terms:
            if term.teacher is not None and (aid := term.aid(self.student_shape, self._shape(term))) is not None:
                self.aids[term.name] = aid.to(student.device)

    def _wants(self) -> dict[str, Wants]:
        """The union of what the terms read, by pass. Raises `InputError` if a teacher cannot give it."""
        every = {self.student_pass: Wants()}
        for term in self.terms:
            mine, theirs = term.wants(self.student_shape, self._shape(term))
            term.reads = mine
            every[self.student_pass] |= mine
            if term.teacher is None:
                continue
            if term.teacher in self.teachers and (lack := self.teachers[term.teacher].lacks(theirs)) is not None:
                raise InputError(f"{term.name} {lack.what}", file=term.teacher, remedy=lack.remedy)
            name = f"{term.teacher}/{term.view}"
            every[name] = every[name] | theirs if name in every else theirs
        return every

    def _shared_vocabulary(self, name: str) -> int:
        """How many token ids, from 0 on, the student and the teacher `name` have in common."""
        teacher = self.teachers[name]
        common = shared_vocabulary(
            self.family.tokenizer, teacher.tokenizer, student_name="the student", teacher_name=name
        )
        return min(common, self.family.vocabulary, teacher.vocabulary)

    def _shape(self, term: Term) -> Shape:
        return self.teachers[term.teacher].shape if term.teacher in self.teachers else self.student_shape

    def save_aids(self, folder: Path) -> None:
        """Write `TERM.safetensors` for each term that trained a module of its own."""
        for name, aid in self.aids.items():
            path = folder / f"{name}.safetensors"  # a term of a part is named PART/TERM
            path.parent.mkdir(parents=True, exist_ok=True)
            save_file({k: v.contiguous() for k, v in aid.state_dict().items()}, path)

    def _snapshot(self, student: OmniModel) -> Hearing | None:
        """A frozen copy of the trained weights: of the ears if the base is frozen, else of the whole model."""
        if not any(term.teacher == SNAPSHOT for term in self.terms):
            return None
        if student.base_is_frozen and student.ears is not None:
            return copy.deepcopy(student.ears).requires_grad_(False).eval()
        self.teachers[SNAPSHOT] = LiveTeacher(copy.deepcopy(student))
        return None

    @property
    def passes(self) -> list[tuple[str, View]]:
        """(model, view) of every pass without duplicates, the student's first."""
        taught = [(t.teacher, t.view) for t in self.terms if t.teacher is not None and t.view is not None]
        return [("student", self.view), *list(dict.fromkeys(taught))]

    def collate(self, samples: Sequence[Sample]) -> dict[str, TrainBatch]:
        """A micro-batch for `DistilTrainer`. Raises `InputError` if a teacher's response tokens differ from the
        student's.
        """
        own, others = {}, {}
        for who, view in self.passes:
            if who in self.teachers:
                others[f"{who}/{view}"] = self.teachers[who].collate(samples, view)
            else:
                own[f"{who}/{view}"] = [self.layouts.build(sample, view, answers=True) for sample in samples]
        batch = collate(own, self.family, share_prefix=self.share_prefix)
        student = batch.views[self.student_pass]
        targets = student.targets
        for name, taught in others.items():
            self._check_same_tokens(name, taught.targets, targets)
        clips = sum(clips_of(sample, self.view) for sample in samples)
        return {"batch": TrainBatch(batch, others, len(targets), Heard(clips, int(student.audio_mask.sum())))}

    def _check_same_tokens(self, name: str, theirs: Tensor, mine: Tensor) -> None:
        """Compare token ids, and that each id is the same string for both models."""
        remedy = "teacher and student must share a tokenizer"
        if not torch.equal(theirs, mine):
            raise InputError(f"{name} splits the responses into other tokens than the student", remedy=remedy)
        who = name.rsplit("/", 1)[0]
        if len(mine) and int(mine.max()) >= self.shared[who]:
            word = self.family.tokenizer.convert_ids_to_tokens([int(mine.max())])[0]
            raise InputError(f"a response holds {word!r}, which is no token of {name}", remedy=remedy)

    def losses(self, model: torch.nn.Module, batch: TrainBatch) -> dict[str, Tensor]:
        """(N,) unweighted values of every term, by name."""
        return self.values(self.states(model, batch))

    def states(self, model: torch.nn.Module, batch: TrainBatch) -> dict[str, States]:
        """States of every pass. `model` is the student, possibly wrapped by the training engine."""
        states: dict[str, States] = model(batch.own, dict(self._asks(batch.own)))
        for name, taught in batch.others.items():
            states[name] = self.teachers[name.rsplit("/", 1)[0]].states(taught, self.wants[name])
        return states

    def _asks(self, own: ViewBatch) -> Iterator[tuple[str, Ask]]:
        for name in own.views:
            ears = self.snapshot_ears if name.startswith(f"{SNAPSHOT}/") else None
            yield name, Ask(self.wants[name], learn=name == self.student_pass, ears=ears)

    def values(self, states: dict[str, States]) -> dict[str, Tensor]:
        """(N,) unweighted values of every term."""
        family = self.family
        ends = tuple(family.stop_ids)
        student = Side(states[self.student_pass], family.head_weight, family.vocabulary, family.final_norm, ends)
        values = {}
        for term in self.terms:
            teacher = None
            if term.teacher is not None:
                shown = states[f"{term.teacher}/{term.view}"]
                teacher = Side(shown, family.head_weight, family.vocabulary, family.final_norm)
                if (other := self.teachers.get(term.teacher)) is not None:
                    teacher = Side(shown, other.head, self.shared[term.teacher], other.norm)
            values[term.name] = term(student, teacher)
        return values


def _name_apart(terms: Sequence[Term]) -> None:
    """Number the second and later terms of a kind: values, metrics and aids are found by name."""
    seen = Counter[str]()
    for term in terms:
        seen[term.name] += 1
        if seen[term.name] > 1:
            term.name = f"{term.name}_{seen[term.name]}"
