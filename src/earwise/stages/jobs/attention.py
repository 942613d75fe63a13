"""Stages `seedN/attention` and `attention`: the decoder's attention, for one seed and for all seeds."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

from earwise.recipe.evaluate import Attention
from earwise.stages.jobs.data import BenchmarkSource, DataJob
from earwise.stages.jobs.evaluation import EvaluateJob, Trained
from earwise.stages.jobs.models import ModelSource
from earwise.stages.jobs.speech import SpeechJob
from earwise.views import View
from earwise.work.job import Job

RESULT = "attention.json"


@dataclass(frozen=True, kw_only=True)
class AttentionJob(Job):
    """The attention of every analysed model of one seed."""

    verb: ClassVar[str] = "attention"
    does: ClassVar[str] = "earwise.stages.attention:work"
    goes_on_from: ClassVar[str] = "rows.jsonl"

    attention: Attention
    data: DataJob
    source: ModelSource
    models: dict[str, Trained | None]
    """The stages that trained their ears, by model name; the base first."""
    benchmarks: tuple[BenchmarkSource, ...]
    clips: tuple[SpeechJob, ...]
    """One per benchmark, in order; none in a recipe without speech."""
    answers: EvaluateJob | None
    """The base's answers, if they are used as responses."""
    suffix: Literal["none", "text", "spoken"]
    baseline: str | None

    @property
    def name(self) -> str:
        """`seedN/attention`."""
        return f"seed{self.seed}/attention"


@dataclass(frozen=True, kw_only=True)
class PoolAttentionJob(Job):
    """The summary of all seeds together, beside the run's `summary.json`."""

    verb: ClassVar[str] = "attention"
    does: ClassVar[str] = "earwise.stages.attention:pool"
    outputs: ClassVar[tuple[str, ...]] = (RESULT,)

    seeds: tuple[AttentionJob, ...]
    attention: Attention
    benchmarks: tuple[str, ...]
    baseline: str | None
    views: tuple[View, ...]

    @property
    def name(self) -> str:
        """`attention`."""
        return "attention"
