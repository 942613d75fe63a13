"""Stages `align`, `train.NAME` and `[choose]`: what each training run starts from and learns from."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar, Literal

from pydantic import JsonValue

from earwise.recipe.table import AskedPrecision
from earwise.recipe.train import Align, Choice, Train, Training
from earwise.stages.jobs.data import DataJob
from earwise.stages.jobs.gate import GateJob
from earwise.stages.jobs.models import AnswersJob, ModelSource
from earwise.stages.jobs.speech import SpeechJob
from earwise.stages.jobs.teach import DescriptionsJob, TracesJob, VerifyJob
from earwise.work.job import Input, Job


@dataclass(frozen=True, kw_only=True)
class Material:
    """An item file for training, with everything that its views show."""

    data: DataJob
    file: str
    writer: TracesJob | VerifyJob | AnswersJob | None = None
    """The stage that wrote the file; None for a file of the data."""
    clips: SpeechJob | None = None
    gate: GateJob | None = None
    """Decides which clips are left out; None for no gate."""
    descriptions: DescriptionsJob | None = None


@dataclass(frozen=True, kw_only=True)
class AlignJob(Job):
    """New ears learn to transcribe speech."""

    verb: ClassVar[str] = "align"
    does: ClassVar[str] = "earwise.stages.training:align"
    processes: ClassVar[Literal["all"]] = "all"

    source: ModelSource
    align: Align
    material: Material

    @property
    def name(self) -> str:
        """`seedN/align`."""
        return f"seed{self.seed}/align"

    @property
    def precision(self) -> tuple[AskedPrecision, ...]:
        """Of its training run."""
        return (self.align.precision,)


@dataclass(frozen=True, kw_only=True)
class TrainJob(Job):
    """One training run of `[train]`; the same for every seed if it is trained once."""

    verb: ClassVar[str] = "train"
    does: ClassVar[str] = "earwise.stages.training:train"
    processes: ClassVar[Literal["all"]] = "all"

    title: str
    """Its name in the recipe."""
    source: ModelSource
    start: AlignJob | TrainJob | ChooseJob | None
    """The stage that trained the initial ears; None for new ears."""
    train: Train
    training: Training
    parts: tuple[Material, ...]
    """The item file of each part, in the order of `train.mixture`."""
    held_out: Material | None = None
    """Of `training.select`."""
    heard: VerifyJob | None = None
    """A checker's claims, for a reward that compares with them."""
    teachers: tuple[Input, ...] = ()

    @property
    def name(self) -> str:
        """`seedN/train.NAME`, or `train.NAME` if it is trained once."""
        return f"train.{self.title}" if self.train.once else f"seed{self.seed}/train.{self.title}"

    @property
    def precision(self) -> tuple[AskedPrecision, ...]:
        """Of its training run."""
        return (self.training.precision,)


@dataclass(frozen=True, kw_only=True)
class ChooseJob(Job):
    """The training run of `[choose]` that did best on held-out questions is trained further."""

    verb: ClassVar[str] = "train"
    does: ClassVar[str] = "earwise.stages.choice:work"
    processes: ClassVar[Literal["all"]] = "all"

    title: str
    choice: Choice
    of: tuple[TrainJob, ...]
    reads: tuple[Job, ...]
    """Everything that any of them reads, because the chosen one reads it again."""

    @property
    def name(self) -> str:
        """`seedN/train.NAME`."""
        return f"seed{self.seed}/train.{self.title}"

    @property
    def precision(self) -> tuple[AskedPrecision, ...]:
        """That of its training runs, which share it."""
        return self.of[0].precision

    @cached_property
    def settings(self) -> dict[str, JsonValue]:
        """Its own and those of its candidates, one of which is trained further."""
        return {**super().settings, "trainings": [one.settings for one in self.of]}
