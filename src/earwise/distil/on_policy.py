"""On-policy distillation: the student answers, and its teachers score the very tokens that it drew.

As in GKD (arXiv 2306.13649), a share of the answers is drawn and the others are given. An optimiser step begins with
`begin`: each of its samples is chosen or not, by seed, and the chosen ones are answered under the student's view by the
weights as they are then. What was drawn then takes the place of the given answer in every pass. The draw itself is not
differentiated, as in GKD.

Shapes: B samples, N response tokens of a micro-batch.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final, Self

import torch
from torch import Tensor, nn

from earwise.distil.objective import Objective, TrainBatch
from earwise.distil.reach import Heard
from earwise.distil.rollout_log import Meter
from earwise.distil.rollouts import Completion, LocalRollouts, Prompt, RolloutSource, seed_of
from earwise.distil.sharding import whole_for_asking
from earwise.distil.terms import Term
from earwise.errors import InputError
from earwise.models.omni import OmniModel
from earwise.models.sample import Sample
from earwise.recipe.train import OnPolicy

_NUMBERS: Final = ("drawn", "length", "empty", "cut", "foreign")


@dataclass
class DrawnBatch:
    """One micro-batch: samples, and from `begin` on their passes, with some answers drawn."""

    samples: list[Sample]
    passes: TrainBatch | None = None
    drawn: Tensor | None = None
    """(N,) True at tokens that the student drew."""
    num_responses: int = field(default=0)
    """N; set by `begin`."""

    def heard(self, term: str) -> Heard:
        """What is heard of the samples, from `begin` on."""
        return self.passes.heard(term) if self.passes is not None else Heard(0, 0)

    def to(self, device: torch.device | str) -> Self:
        """Move what is there already; `Trainer` places a batch before and after `begin`."""
        if self.passes is not None and self.drawn is not None:
            self.passes.to(device)
            self.drawn = self.drawn.to(device)
        return self


class OnPolicyObjective:
    """An objective of which a share of the answers is the student's own.

    A term counts on the answers that it names (`Term.answers`): `sft` on given ones only, as nobody should learn by
    heart what it says anyway. Where a term does not count, its values are 0; the trainer divides by all tokens.

    Logged are the share of samples that were `drawn`, and of these answers the `length` in tokens, the shares that are
    `empty`, that the limit `cut`, and that hold a word which is `foreign` to a teacher: those samples keep their given
    answer.

    Args:
        objective: the terms and their passes.
        student: the model that learns.
        settings: how many answers are drawn, and how.
        seed: of the choices and the draws.
        source: draws the answers; the student itself when absent.
    """

    def __init__(
        self,
        objective: Objective,
        student: OmniModel,
        settings: OnPolicy,
        *,
        seed: int,
        source: RolloutSource | None = None,
    ) -> None:
        for name, teacher in objective.teachers.items():
            if teacher.shape.stored is not None:
                what = "stored states are of given answers, and on_policy draws new ones"
                raise InputError(what, file=name, remedy="name the teacher's model in place of its states")
        self.objective, self.settings = objective, settings
        self._student, self._seed = student, seed
        local = LocalRollouts(student, max_tokens=settings.max_tokens, temperature=settings.temperature)
        self._source = source or local
        self._known = min(objective.shared.values(), default=student.family.vocabulary)
        self._meter = Meter(_NUMBERS)

    @property
    def terms(self) -> list[Term]:
        """What is summed."""
        return self.objective.terms

    def check(self, samples: Sequence[Sample]) -> None:
        """Raise `InputError` for the first sample that cannot be answered: before training, not within."""
        for sample in samples:
            if len(sample.turns) != 1:
                what = "on_policy draws answers to single questions, and this is a dialogue"
                raise InputError(what, record=sample.key, remedy="read single turns, or train without on_policy")

    def collate(self, samples: Sequence[Sample]) -> dict[str, DrawnBatch]:
        """A micro-batch for `DistilTrainer`. Nothing is answered yet: loaders prepare batches ahead of the weights."""
        self.check(samples)
        return {"batch": DrawnBatch(list(samples))}

    def begin(self, step: int, batches: Sequence[DrawnBatch], rank: int = 0, world: int = 1) -> None:
        """Draw the answers of an optimiser step and lay out all passes."""
        with whole_for_asking(self._student):
            for number, batch in enumerate(batches):
                self._lay_out(batch, step, (number * world + rank) * len(batch.samples))

    def losses(self, model: nn.Module, batch: DrawnBatch) -> dict[str, Tensor]:
        """(N,) values of every term, unweighted, by its name; 0 at tokens on which it does not count."""
        if batch.passes is None or batch.drawn is None:
            raise AssertionError("begin comes before losses")
        values = self.objective.losses(model, batch.passes)
        for term in self.terms:
            if term.answers != "all":
                counts = batch.drawn if term.answers == "drawn" else ~batch.drawn
                values[term.name] = torch.where(counts, values[term.name], 0.0)
        return values

    def drain(self) -> dict[str, tuple[float, float]]:
        """Sum and count of every number since the last call."""
        return self._meter.drain()

    def save_aids(self, folder: Path) -> None:
        """See `Objective.save_aids`."""
        self.objective.save_aids(folder)

    def _lay_out(self, batch: DrawnBatch, step: int, start: int) -> None:
        """Passes of a micro-batch whose first sample is the step's `start`-th."""
        shown, drawn = list(batch.samples), [False] * len(batch.samples)
        for place, completion in self._draw(batch.samples, step, start):
            foreign = max(completion.ids) >= self._known
            self._meter.add("foreign", [float(foreign)])
            if not foreign:
                shown[place], drawn[place] = with_answer(shown[place], completion.ids), True
        self._meter.add("drawn", map(float, drawn))
        passes = self.objective.collate(shown)["batch"]
        lengths = passes.own.views[self.objective.student_pass].predicts.sum(1)
        batch.drawn = torch.tensor(drawn).repeat_interleave(lengths.cpu())
        batch.passes, batch.num_responses = passes, passes.num_responses
        batch.to(self._student.device)

    def _draw(self, samples: Sequence[Sample], step: int, start: int) -> list[tuple[int, Completion]]:
        """The chosen places among `samples`, each with what the student answers there."""
        chosen = [n for n in range(len(samples)) if chance_of(self._seed, step, start + n) < self.settings.share]
        if not chosen:
            return []
        build, view = self._student.layouts.build, self.objective.view
        prompts = [Prompt(samples[n], build(samples[n], view, answers=False)) for n in chosen]
        seeds = [seed_of(self._seed, step, start + n) for n in chosen]
        answers = [completion for (completion,) in self._source.draw(prompts, seeds, 1)]
        self._meter.add("length", [len(one.ids) for one in answers])
        self._meter.add("empty", [float(not one.text) for one in answers])
        self._meter.add("cut", [float(not one.ended) for one in answers])
        return list(zip(chosen, answers, strict=True))


def chance_of(seed: int, step: int, position: int) -> float:
    """A number in [0, 1) for the sample at `position` of the global batch of optimiser step `step`: below the share, it
    is answered by the student. Independent of the seed of the draw itself.
    """
    digest = hashlib.sha256(f"on_policy/{seed}/{step}/{position}".encode()).digest()
    return int.from_bytes(digest[:6], "big") / 2**48


def with_answer(sample: Sample, ids: Sequence[int]) -> Sample:
    """`sample` with the tokens `ids` as the answer to its last turn."""
    return replace(sample, turns=(*sample.turns[:-1], replace(sample.turns[-1], drawn=tuple(ids))))
