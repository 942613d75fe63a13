"""On-policy distillation (GKD, arXiv 2306.13649): the student answers, and its teachers score the tokens that it drew.

A share of the samples is chosen by seed. At the beginning of each optimiser step (`begin`), the student answers the
chosen samples under its own view, with its current weights. Its answer then replaces the given one in every pass.
Sampling is not differentiated, as in GKD.

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
    """One micro-batch: samples, and after `begin` their passes, with some answers drawn by the student."""

    samples: list[Sample]
    passes: TrainBatch | None = None
    drawn: Tensor | None = None
    """(N,) True at tokens drawn by the student."""
    num_responses: int = field(default=0)
    """N; set by `begin`."""

    def heard(self, term: str) -> Heard:
        """See `Hearing`; nothing before `begin`."""
        return self.passes.heard(term) if self.passes is not None else Heard(0, 0)

    def to(self, device: torch.device | str) -> Self:
        """Move the tensors, if `begin` has made them: `Trainer` also calls this before `begin`."""
        if self.passes is not None and self.drawn is not None:
            self.passes.to(device)
            self.drawn = self.drawn.to(device)
        return self


class OnPolicyObjective:
    """An objective in which the student itself answers a share of the samples.

    `Term.answers` says on which answers a term counts: `sft` on given answers only, because the student need not
    imitate itself. Elsewhere the term's values are 0; the trainer divides by all tokens.

    Metrics: `drawn`, the share of samples that the student answered; of these answers, the mean `length` in tokens and
    the shares that are `empty`, `cut` by the token limit, or `foreign`: those hold a token that a teacher does not
    have, and their samples keep the given answer.

    Args:
        objective: the terms and their passes.
        student: the model that learns.
        settings: the share of drawn answers, and how they are sampled.
        seed: of the choices and the sampling.
        source: draws the answers; by default the student.
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
                what = "stored states belong to the given answers, but on_policy draws new answers"
                raise InputError(what, file=name, remedy="name the teacher's model in place of its states")
        self.objective, self.settings = objective, settings
        self._student, self._seed = student, seed
        local = LocalRollouts(student, max_tokens=settings.max_tokens, temperature=settings.temperature)
        self._source = source or local
        self._known = min(objective.shared.values(), default=student.family.vocabulary)
        self._meter = Meter(_NUMBERS)

    @property
    def terms(self) -> list[Term]:
        """The terms of the loss."""
        return self.objective.terms

    def check(self, samples: Sequence[Sample]) -> None:
        """Raise `InputError` for the first sample that on-policy training cannot use."""
        for sample in samples:
            if len(sample.turns) != 1:
                what = "on_policy draws answers to single questions, and this is a dialogue"
                raise InputError(what, record=sample.key, remedy="read single turns, or train without on_policy")

    def collate(self, samples: Sequence[Sample]) -> dict[str, DrawnBatch]:
        """A micro-batch for `DistilTrainer`, not answered yet: loaders prepare batches ahead, before the weights are
        final.
        """
        self.check(samples)
        return {"batch": DrawnBatch(list(samples))}

    def begin(self, step: int, batches: Sequence[DrawnBatch], rank: int = 0, world: int = 1) -> None:
        """Draw the answers of an optimiser step and lay out all passes."""
        with whole_for_asking(self._student):
            for number, batch in enumerate(batches):
                self._lay_out(batch, step, (number * world + rank) * len(batch.samples))

    def losses(self, model: nn.Module, batch: DrawnBatch) -> dict[str, Tensor]:
        """(N,) unweighted values of every term, by name; 0 at tokens on which the term does not count."""
        if batch.passes is None or batch.drawn is None:
            raise AssertionError("begin comes before losses")
        values = self.objective.losses(model, batch.passes)
        for term in self.terms:
            if term.answers != "all":
                counts = batch.drawn if term.answers == "drawn" else ~batch.drawn
                values[term.name] = torch.where(counts, values[term.name], 0.0)
        return values

    def drain(self) -> dict[str, tuple[float, float]]:
        """See `Stepwise.drain`."""
        return self._meter.drain()

    def save_aids(self, folder: Path) -> None:
        """See `Objective.save_aids`."""
        self.objective.save_aids(folder)

    def _lay_out(self, batch: DrawnBatch, step: int, start: int) -> None:
        """Make the passes of a micro-batch; its first sample is number `start` of the step."""
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
        """(place, the student's answer) of the chosen samples."""
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
    """A number in [0, 1) for the sample at `position` of a step's global batch: the student answers it if this is below
    the share. Independent of the seed of the sampling.
    """
    digest = hashlib.sha256(f"on_policy/{seed}/{step}/{position}".encode()).digest()
    return int.from_bytes(digest[:6], "big") / 2**48


def with_answer(sample: Sample, ids: Sequence[int]) -> Sample:
    """`sample` with the tokens `ids` as the answer to its last turn."""
    return replace(sample, turns=(*sample.turns[:-1], replace(sample.turns[-1], drawn=tuple(ids))))
