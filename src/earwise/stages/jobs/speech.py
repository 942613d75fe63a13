"""Stages `speech/FILE` and `speech.CONDITION/FILE`: clips of one item file, or of one benchmark, each."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar, Literal

from earwise.recipe.scale import Scale
from earwise.recipe.speech import Condition, Engine, OtherSpeakers, Perturb
from earwise.stages.jobs.data import BenchmarkSource, DataJob
from earwise.work.job import SPEED_ONLY, Input, Job


@dataclass(frozen=True, kw_only=True)
class Speakers:
    """Who speaks on both sides, so that training and test share no speaker."""

    engine: Engine
    train: int | tuple[str, ...]
    test: int | tuple[str, ...]
    reserved: int
    """Speakers that are not drawn for training, whoever is tested."""
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
    goes_on_from: ClassVar[str] = "*.wav"  # named by all that decides them; lists are made again
    reuses: ClassVar[bool] = True

    data: DataJob
    file: str
    """Item file, or `benchmarks/NAME`."""
    benchmark: BenchmarkSource | None = None
    side: Literal["train", "test"]
    speakers: Speakers
    delivery: Delivery
    others: tuple[OtherSpeakers, ...] = ()
    """Engines beside the first one, and shares of the clips; of training."""
    suffix: bool = False
    """Whether the answer-format request is spoken, too."""
    heard: Input | None = None
    """What a pretrained encoder says of the speakers that it was trained on: none of them may test it."""
    condition: str | None = None
    other: Condition | None = None
    """What the condition changes; the speakers are those of `[speech]`."""
    scale: Scale | None = field(default=None, metadata=SPEED_ONLY)
    workers: int | None = field(default=None, metadata=SPEED_ONLY)

    @property
    def name(self) -> str:
        """`speech/FILE`, and `speech.CONDITION/FILE` of a condition."""
        return f"{f'speech.{self.condition}' if self.condition else 'speech'}/{self.file}"

    @property
    def group(self) -> str:
        """`speech`, and `speech.CONDITION` of a condition."""
        return self.name.partition("/")[0]
