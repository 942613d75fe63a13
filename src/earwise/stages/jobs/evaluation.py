"""Stages `predict.MODEL/BENCHMARK` and `evaluate.MODEL`: a model's answers, and their scores.

They are separate, so that another scoring profile does not repeat the answers.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar, Literal

from earwise.recipe.train import FrozenLayers
from earwise.stages.jobs.data import BenchmarkSource, DataJob
from earwise.stages.jobs.gate import TranscriptsJob
from earwise.stages.jobs.models import ModelSource
from earwise.stages.jobs.speech import SpeechJob
from earwise.stages.jobs.teach import DescriptionsJob
from earwise.stages.jobs.training import AlignJob, ChooseJob, TrainJob
from earwise.views import View
from earwise.work.job import SPEED_ONLY, Job

Trained = AlignJob | TrainJob | ChooseJob
"""Stages that train ears."""


def place(seed: int, condition: str | None) -> str:
    """The folder of one seed's answers, under a condition if given."""
    return f"seed{seed}/conditions/{condition}" if condition else f"seed{seed}"


@dataclass(frozen=True, kw_only=True)
class PredictJob(Job):
    """One model answers one benchmark under its own views."""

    verb: ClassVar[str] = "evaluate"
    does: ClassVar[str] = "earwise.stages.evaluation:predict"
    goes_on_from: ClassVar[str] = "predictions.jsonl"

    model: str
    source: ModelSource
    trained: Trained | None
    """The stage that trained its ears; None for the base alone."""
    data: DataJob
    benchmark: BenchmarkSource
    views: tuple[View, ...]
    asked: tuple[View, ...]
    """Views of all models, which are asked the same items of a benchmark."""
    suffix: Literal["none", "text", "spoken"]
    max_new_tokens: int
    clips: SpeechJob | None = None
    transcripts: TranscriptsJob | None = None
    """What a recogniser hears in the clips, in place of the model's own transcripts."""
    descriptions: DescriptionsJob | None = None
    condition: str | None = None
    batch_size: int = field(default=1, metadata=SPEED_ONLY)
    frozen_layers: FrozenLayers = field(default=0, metadata=SPEED_ONLY)

    @property
    def name(self) -> str:
        """`seedN/predict.MODEL/BENCHMARK`."""
        return f"{place(self.seed, self.condition)}/predict.{self.model}/{self.benchmark.name}"

    @property
    def group(self) -> str:
        """All benchmarks of a model."""
        return self.name.rpartition("/")[0]


@dataclass(frozen=True, kw_only=True)
class EvaluateJob(Job):
    """The scores of one model's answers."""

    verb: ClassVar[str] = "evaluate"
    does: ClassVar[str] = "earwise.stages.evaluation:evaluate"

    model: str
    data: DataJob
    predictions: tuple[PredictJob, ...]
    benchmarks: tuple[BenchmarkSource, ...]
    profile: Literal["strict", "vlmevalkit", "lmms_eval", "official"]
    condition: str | None = None

    @property
    def name(self) -> str:
        """`seedN/evaluate.MODEL`."""
        return f"{place(self.seed, self.condition)}/evaluate.{self.model}"
