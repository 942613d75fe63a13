"""Stages `align`, `train.NAME` and the choices among them: what each training run starts from and learns from."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar, Literal

from pydantic import JsonValue

from earwise.recipe.train import Align, AskedPrecision, Choice, Train, Training
from earwise.stages.jobs.data import DataJob
from earwise.stages.jobs.gate import GateJob
from earwise.stages.jobs.models import AnswersJob, ModelSource
from earwise.stages.jobs.speech import SpeechJob
from earwise.stages.jobs.teach import DescriptionsJob, TracesJob, VerifyJob
from earwise.work.job import Input, Job


@dataclass(frozen=True, kw_only=True)
class Material:
    """An item file that a training run learns from, with whatever its views show of it."""

    data: DataJob
    file: str
    writer: TracesJob | VerifyJob | AnswersJob | None = None
    """The stage that wrote the file; None for one of the data."""
    clips: SpeechJob | None = None
    gate: GateJob | None = None
    """What says which clips are left out; None where all are heard."""
    descriptions: DescriptionsJob | None = None


@dataclass(frozen=True, kw_only=True)
class AlignJob(Job):
    """New ears learn to write down speech."""

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
    """One training run of `[train]`; the same one for every seed where it is trained once."""

    verb: ClassVar[str] = "train"
    does: ClassVar[str] = "earwise.stages.training:train"
    processes: ClassVar[Literal["all"]] = "all"

    title: str
    """What the recipe calls it."""
    source: ModelSource
    start: AlignJob | TrainJob | ChooseJob | None
    """What left the ears to start from; None for new ones."""
    train: Train
    training: Training
    parts: tuple[Material, ...]
    """The item file of each part, in the order of `train.mixture`."""
    held_out: Material | None = None
    """Of `training.select`."""
    heard: VerifyJob | None = None
    """What a checker heard, where a reward compares claims with it."""
    teachers: tuple[Input, ...] = ()

    @property
    def name(self) -> str:
        """`seedN/train.NAME`, or `train.NAME` of one that is trained once."""
        return f"train.{self.title}" if self.train.once else f"seed{self.seed}/train.{self.title}"

    @property
    def precision(self) -> tuple[AskedPrecision, ...]:
        """Of its training run."""
        return (self.training.precision,)


@dataclass(frozen=True, kw_only=True)
class ChooseJob(Job):
    """The training run of `[choose]` that did best on held-out questions goes on."""

    verb: ClassVar[str] = "train"
    does: ClassVar[str] = "earwise.stages.choice:work"
    processes: ClassVar[Literal["all"]] = "all"

    title: str
    choice: Choice
    of: tuple[TrainJob, ...]
    reads: tuple[Job, ...]
    """What any of them reads, as the chosen one reads it again."""

    @property
    def name(self) -> str:
        """`seedN/train.NAME`: a choice has its own name among the training runs."""
        return f"seed{self.seed}/train.{self.title}"

    @property
    def precision(self) -> tuple[AskedPrecision, ...]:
        """That of its training runs, which share it."""
        return self.of[0].precision

    @cached_property
    def settings(self) -> dict[str, JsonValue]:
        """Its own and those of its training runs, one of which goes on."""
        return {**super().settings, "trainings": [one.settings for one in self.of]}
