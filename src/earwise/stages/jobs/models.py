"""Models as jobs name them, and the stages `seedN/base`, `seedN/encoder` and `answers` that make or ask one."""

from __future__ import annotations

import math
from collections.abc import Collection
from dataclasses import dataclass
from typing import ClassVar, Literal

from earwise.recipe.base import Base
from earwise.recipe.model import BASE, Model
from earwise.recipe.teach import Answers
from earwise.recipe.train import AskedPrecision, Encoder
from earwise.stages.jobs.data import DataJob
from earwise.stages.jobs.gate import GateJob
from earwise.stages.jobs.speech import SpeechJob
from earwise.stages.jobs.teach import DescriptionsJob
from earwise.work.job import Input, Job


def _phase_of(name: str) -> float:
    """Number of the phase that a file belongs to: -1 for what all begin with; the link comes after all."""
    place = name.partition("/")[0]
    return int(place.removeprefix("phase")) if place.startswith("phase") else -1 if place == "start" else math.inf


@dataclass(frozen=True, kw_only=True)
class BaseJob(Job):
    """A small model of a real architecture, trained from nothing on typed questions."""

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
        """Phases before the first damaged one are kept, so all are where only the link to the last one is gone."""
        return _phase_of(name) < min(map(_phase_of, damaged))


@dataclass(frozen=True, kw_only=True)
class EncoderJob(Job):
    """A small Whisper encoder that learns to hear, to be the pretrained one of other recipes."""

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
    """Where a model comes from: what the recipe says of it, the base that the recipe trains, folders on this disk."""

    model: Model | None
    base: BaseJob | None = None
    folders: tuple[Input, ...] = ()


@dataclass(frozen=True, kw_only=True)
class AnswersJob(Job):
    """A model writes the answers that training runs learn from, under a typed view."""

    verb: ClassVar[str] = "answers"
    does: ClassVar[str] = "earwise.stages.answers:work"
    goes_on_from: ClassVar[str] = "answers.jsonl"

    data: DataJob
    answers: Answers
    source: ModelSource
    """Of the recipe's base; its ears do not count, as the view is typed."""
    folder: Input | None = None
    """Of another model."""
    descriptions: DescriptionsJob | None = None
    shows_descriptions: bool = False

    @property
    def name(self) -> str:
        """`answers`; a base that is trained from nothing is another one for each seed, and so are its answers."""
        return f"seed{self.seed}/answers" if self.source.base is not None else "answers"
