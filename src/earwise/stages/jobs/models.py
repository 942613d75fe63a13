"""Models as jobs name them, and the stages `seedN/base`, `seedN/encoder` and `answers`, which make or use one."""

from __future__ import annotations

import math
from collections.abc import Collection
from dataclasses import dataclass
from typing import ClassVar, Literal

from earwise.recipe.base import Base
from earwise.recipe.model import BASE, SOUND_S, Model
from earwise.recipe.table import AskedPrecision
from earwise.recipe.teach import Answers
from earwise.recipe.train import Encoder
from earwise.stages.jobs.data import DataJob
from earwise.stages.jobs.gate import GateJob
from earwise.stages.jobs.speech import SpeechJob
from earwise.stages.jobs.teach import DescriptionsJob
from earwise.work.job import Input, Job


def _phase_of(name: str) -> float:
    """The number of a file's phase: -1 for the common start, infinity for the link at the end."""
    place = name.partition("/")[0]
    return int(place.removeprefix("phase")) if place.startswith("phase") else -1 if place == "start" else math.inf


@dataclass(frozen=True, kw_only=True)
class BaseJob(Job):
    """A small model of a real architecture, trained from scratch on typed questions."""

    verb: ClassVar[str] = "base"
    does: ClassVar[str] = "earwise.stages.base:work"
    processes: ClassVar[Literal["one"]] = "one"

    data: DataJob
    base: Base
    tower: Input | None = None

    @property
    def name(self) -> str:
        """`seedN/base`."""
        return f"seed{self.seed}/{BASE}"

    @property
    def precision(self) -> tuple[AskedPrecision, ...]:
        """Of each phase."""
        return tuple(phase.precision for phase in self.base.phases)

    def keeps(self, name: str, damaged: Collection[str]) -> bool:
        """Keep the phases before the first damaged one; all of them if only the final link is gone."""
        return _phase_of(name) < min(map(_phase_of, damaged))


@dataclass(frozen=True, kw_only=True)
class EncoderJob(Job):
    """A small Whisper encoder, to be the pretrained encoder of other recipes."""

    verb: ClassVar[str] = "encoder"
    does: ClassVar[str] = "earwise.stages.encoder:work"
    processes: ClassVar[Literal["one"]] = "one"

    data: DataJob
    clips: SpeechJob
    gate: GateJob | None
    encoder: Encoder
    start: Input | None = None

    @property
    def name(self) -> str:
        """`seedN/encoder`."""
        return f"seed{self.seed}/encoder"

    @property
    def precision(self) -> tuple[AskedPrecision, ...]:
        """Of its training run."""
        return (self.encoder.precision,)


@dataclass(frozen=True, kw_only=True)
class ModelSource:
    """Where a model comes from: the recipe's table, the base that the recipe trains, local folders."""

    model: Model | None
    base: BaseJob | None = None
    folders: tuple[Input, ...] = ()

    @property
    def longest_sound(self) -> float:
        """Seconds of an item's sound that the model hears."""
        return SOUND_S if self.model is None else self.model.longest_sound


@dataclass(frozen=True, kw_only=True)
class AnswersJob(Job):
    """A model generates the answers that training runs learn from, under a typed view."""

    verb: ClassVar[str] = "answers"
    does: ClassVar[str] = "earwise.stages.answers:work"
    goes_on_from: ClassVar[str] = "answers.jsonl"
    version: ClassVar[int] = 2

    data: DataJob
    answers: Answers
    source: ModelSource
    """The recipe's base; its ears do not matter under a typed view."""
    folder: Input | None = None
    """Another model."""
    descriptions: DescriptionsJob | None = None
    shows_descriptions: bool = False

    @property
    def precision(self) -> tuple[AskedPrecision, ...]:
        """Of its passes."""
        return (self.answers.precision,)

    @property
    def name(self) -> str:
        """`answers`, or `seedN/answers` for a base that is trained from scratch for each seed."""
        return f"seed{self.seed}/answers" if self.source.base is not None else "answers"
