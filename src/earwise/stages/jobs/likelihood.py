"""Stage `seedN/likelihood.MODEL/BENCHMARK`: how likely the base's typed answers are under a model's other views."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar, Literal

from earwise.recipe.train import FrozenLayers
from earwise.stages.jobs.data import BenchmarkSource, DataJob
from earwise.stages.jobs.evaluation import PredictJob, Trained, place
from earwise.stages.jobs.gate import TranscriptsJob
from earwise.stages.jobs.models import ModelSource
from earwise.stages.jobs.speech import SpeechJob
from earwise.views import View
from earwise.work.job import SPEED_ONLY, Job


@dataclass(frozen=True, kw_only=True)
class LikelihoodJob(Job):
    """One model on one benchmark, under a condition if given."""

    verb: ClassVar[str] = "evaluate"
    does: ClassVar[str] = "earwise.stages.likelihood:work"
    goes_on_from: ClassVar[str] = "likelihood.jsonl"

    model: str
    source: ModelSource
    trained: Trained | None
    data: DataJob
    benchmark: BenchmarkSource
    answers: PredictJob
    """The base's answers to the typed questions: the references."""
    clips: SpeechJob
    transcripts: TranscriptsJob | None
    """What a recogniser hears in the clips; of the base."""
    text_view: View
    speech_view: View
    transcript_view: View | None
    suffix: Literal["none", "text", "spoken"]
    condition: str | None = None
    batch_size: int = field(default=8, metadata=SPEED_ONLY)
    frozen_layers: FrozenLayers = field(default=0, metadata=SPEED_ONLY)

    @property
    def name(self) -> str:
        """`seedN/likelihood.MODEL/BENCHMARK`."""
        return f"{place(self.seed, self.condition)}/likelihood.{self.model}/{self.benchmark.name}"

    @property
    def group(self) -> str:
        """All benchmarks of a model."""
        return self.name.rpartition("/")[0]
