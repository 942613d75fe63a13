"""Stages `speech/FILE` and `speech.CONDITION/FILE`: clips of one item file or benchmark."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar, Literal

from earwise.recipe.scale import Scale
from earwise.recipe.speech import Condition, Engine, OtherSpeakers, Perturb
from earwise.stages.jobs.data import BenchmarkSource, DataJob
from earwise.work.job import SPEED_ONLY, Input, Job


@dataclass(frozen=True, kw_only=True)
class Speakers:
    """The speakers of both sides, so that training and test share none."""

    engine: Engine
    train: int | tuple[str, ...]
    test: int | tuple[str, ...]
    reserved: int
    """Speakers that are never drawn for training, even if they are not tested."""
    seed: int


@dataclass(frozen=True, kw_only=True)
class Delivery:
    """How questions are spoken."""

    rates_wpm: tuple[float, float]
    pitches: tuple[float, float]
    perturb: Perturb | None


@dataclass(frozen=True, kw_only=True)
class SpeechJob(Job):
    """Clips of the questions of one item file, or of one benchmark."""

    verb: ClassVar[str] = "speech"
    does: ClassVar[str] = "earwise.stages.speech:work"
    grouped: ClassVar[bool] = True
    goes_on_from: ClassVar[str] = "*.wav"  # their names contain all settings
    reuses: ClassVar[bool] = True

    data: DataJob
    file: str
    """Item file, or `benchmarks/NAME`."""
    benchmark: BenchmarkSource | None = None
    side: Literal["train", "test"]
    speakers: Speakers
    delivery: Delivery
    others: tuple[OtherSpeakers, ...] = ()
    """Additional engines for training, each with its share of the clips."""
    suffix: bool = False
    """Whether the request for the answer's format is also spoken."""
    heard: Input | None = None
    """The pretrained encoder's list of training speakers, none of whom may be tested."""
    condition: str | None = None
    other: Condition | None = None
    """What the condition changes."""
    scale: Scale | None = field(default=None, metadata=SPEED_ONLY)
    workers: int | None = field(default=None, metadata=SPEED_ONLY)

    @property
    def name(self) -> str:
        """`speech/FILE`, or `speech.CONDITION/FILE`."""
        return f"{f'speech.{self.condition}' if self.condition else 'speech'}/{self.file}"
