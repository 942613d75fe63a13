"""Stage `report`: everything that the summary and the page use."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar

from earwise.recipe.evaluate import Report
from earwise.report.summary import PAGE, SUMMARY
from earwise.stages.jobs.data import BenchmarkSource, DataJob
from earwise.stages.jobs.evaluation import EvaluateJob
from earwise.stages.jobs.gate import GateJob
from earwise.stages.jobs.likelihood import LikelihoodJob
from earwise.stages.jobs.speech import SpeechJob
from earwise.stages.jobs.teach import DescriptionsJob, TracesJob, VerifyJob
from earwise.stages.jobs.training import ChooseJob
from earwise.views import View
from earwise.work.job import Job


@dataclass(frozen=True, kw_only=True)
class ConditionResults:
    """A condition's clips and the evaluations on them."""

    clips: tuple[SpeechJob, ...]
    evaluations: dict[int, tuple[EvaluateJob, ...]]
    """By seed."""
    likelihoods: dict[int, tuple[LikelihoodJob, ...]]
    """By seed."""


@dataclass(frozen=True, kw_only=True)
class AskedBenchmark:
    """A benchmark, and what asking its items needs."""

    source: BenchmarkSource
    views: tuple[View, ...] | None
    """Its own views, if any."""
    asked: tuple[View, ...]
    """All views that it is asked under."""
    clips: SpeechJob | None
    descriptions: DescriptionsJob | None
    gate: GateJob | None


@dataclass(frozen=True, kw_only=True)
class ReportJob(Job):
    """`summary.json` from all scores, and the page. It comes last and names all earlier stages."""

    verb: ClassVar[str] = "report"
    does: ClassVar[str] = "earwise.stages.report:work"
    outputs: ClassVar[tuple[str, ...]] = (SUMMARY, PAGE)

    before: tuple[Job, ...]
    """All other stages, to report their times."""
    title: str
    """Name of the recipe."""
    seeds: tuple[int, ...]
    data: DataJob
    evaluations: dict[int, tuple[EvaluateJob, ...]]
    """By seed, the base's first."""
    benchmarks: tuple[AskedBenchmark, ...]
    models: tuple[str, ...]
    """Models that are shown side by side, in the recipe's order."""
    text_view: View
    speech_view: View
    main_view: View
    hears_sounds: bool
    """Whether the page plays the items' sounds."""
    pairs: tuple[tuple[str, str], ...]
    """Pairs of models to compare."""
    guards: tuple[str, ...] = ()
    guard_pairs: dict[str, str] = field(default_factory=dict)
    report: Report | None = None
    training_clips: tuple[SpeechJob, ...] = ()
    """The clips of training."""
    gated: tuple[GateJob, ...] = ()
    """The gates of training files."""
    leaves_out: bool = False
    """Whether training runs leave out clips that fail the gate."""
    traces: TracesJob | None = None
    verify: VerifyJob | None = None
    likelihoods: dict[int, tuple[LikelihoodJob, ...]] = field(default_factory=dict)
    """By seed."""
    conditions: dict[str, ConditionResults] = field(default_factory=dict)
    choices: dict[str, dict[int, ChooseJob]] = field(default_factory=dict)
    speaks: bool = False

    @property
    def name(self) -> str:
        """`report`."""
        return "report"
