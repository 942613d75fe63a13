"""The types of `summary.json`: the numbers of one run, over one or several seeds.

Everything that a run writes is declared here, and nothing else is read. Scores, gaps and differences are on a scale of
0 to 100; rates are shares from 0 to 1.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import NamedTuple, TypeVar, get_args

from pydantic import Field, JsonValue, ValidationError

from earwise.errors import InputError
from earwise.evaluate.outcomes import OVERALL as OVERALL
from earwise.evaluate.outcomes import Verdict
from earwise.records import View
from earwise.report.likelihood_parts import LikelihoodResult
from earwise.report.parts import Interval as Interval
from earwise.report.parts import Part as Part
from earwise.report.parts import Share
from earwise.report.sound_parts import ControlScore, Faithfulness, FaithfulnessGain, Gain, TraceFilters
from earwise.views import SPOKEN_VIEWS

SUMMARY, PAGE = "summary.json", "report.html"
"""Files of a run's folder: the numbers, and the page that shows them."""
SPOKEN_FORM = "image_spoken_form"


class Pair(NamedTuple):
    """The two views whose paired difference is the gap."""

    text: str = "image_text"
    speech: str = "image_speech"

    def order(self, used: Collection[str]) -> tuple[str, ...]:
        """The views in `used` in reading order: these two, the spoken form between them, then the others."""
        first = (self.text, SPOKEN_FORM, self.speech)
        known = (*first, *(view for view in get_args(View) if view not in first))
        return tuple(view for view in known if view in used) + tuple(sorted(set(used) - set(known)))


P = TypeVar("P", bound=Part)


class Total(Part):
    """One more number of the same answers."""

    value: float
    ci95: Interval | None = None
    by_seed: tuple[float, ...] = ()


class ViewScore(Part):
    """One model on one benchmark under one view."""

    score: float
    ci95: Interval | None = None
    invalid_rate: Share | None = None
    yes_rate: Share | None = None
    """Share of "yes" among the answers; None unless the questions ask for yes or no."""
    yes_ci95: tuple[Share, Share] | None = None
    by_seed: tuple[float, ...] = ()
    totals: dict[str, Total] = Field(default={})
    """Other numbers of these answers, by name (`wa`, `ua`, `weighted_f1`)."""


class GapScore(Part):
    """One view minus another on the same items, in points: typed minus spoken unless it says otherwise."""

    value: float
    ci95: Interval | None = None
    p: float | None = None
    by_seed: tuple[float, ...] = ()
    only_first: int | None = None
    """Of one seed: items on which the first view scores more."""
    only_second: int | None = None
    n: int | None = None


class MinusCascade(GapScore):
    """A spoken score minus that of a cascade, and whether they are right about the same items."""

    kappa: float | None = None
    """Cohen's kappa of right and wrong."""
    kappa_ci95: Interval | None = None


class YesTruth(Part):
    """Share of gold answers that are yes, and the number of items."""

    share: Share
    n: int


class BenchmarkResult(Part):
    """One model on one benchmark."""

    n: int
    views: dict[str, ViewScore]
    gap: GapScore | None = None
    gaps: dict[str, GapScore] = Field(default={})
    """The steps of the gap by name: typed minus its spoken form, typed; that minus spoken."""
    kinds: dict[str, dict[str, float | None]] = Field(default={})
    """Question kind to `{VIEW: score, "n": items}`."""
    kind_ci95: dict[str, dict[str, Interval]] = Field(default={})
    """Question kind to `{VIEW: interval}`, of kinds with enough items."""
    columns: tuple[str, ...] = ()
    """Of a mean over benchmarks: their names."""
    yes_truth: YesTruth | None = None

    def recovered(self, pair: Pair) -> float | None:
        """Spoken score in percent of the typed score; None if either is missing or typed is 0."""
        typed, spoken = self.views.get(pair.text), self.views.get(pair.speech)
        return 100 * spoken.score / typed.score if typed and spoken and typed.score else None


class RecoveredShare(Part):
    """A spoken score as a percentage of the typed one."""

    value: float
    ci95: Interval
    by_seed: tuple[float, ...] = ()
    n: int | None = None


class Recovered(Part):
    """The share of one model's typed score that each view recovers, and its spoken score minus each cascade's."""

    views: dict[str, RecoveredShare]
    minus_cascade: dict[str, MinusCascade] = Field(default={})


class Changed(BenchmarkResult):
    """A result under a condition, with its change from the test by view."""

    changes: dict[str, GapScore] = Field(default={})


class Condition(Part):
    """One condition: its engine, its voices and the results of the models."""

    engine: str
    voices: tuple[str, ...]
    models: dict[str, dict[str, Changed]]
    recovery: dict[str, Recovered] = Field(default={})
    per_voice: dict[str, dict[str, VoiceScore]] = Field(default={})
    likelihood: dict[str, LikelihoodResult] = Field(default={})


class Choice(Part):
    """What `[choose]` chose in one seed."""

    chosen: str
    held_out: dict[str, float]
    """Percentage of right held-out answers of each training run."""


class SeedDifference(Part):
    """A comparison within one seed."""

    seed: int
    value: float
    ci95: Interval
    p: float | None = None
    by_seed: tuple[float, ...] = ()
    only_first: int | None = None
    """Items on which the first model scores more."""
    only_second: int | None = None


class Comparison(Part):
    """Model `a` minus model `b` on the same items under the same view, in points."""

    a: str
    b: str
    benchmark: str
    view: str
    value: float
    ci95: Interval
    p: float | None = None
    n: int
    by_seed: tuple[float, ...] = ()
    only_first: int | None = None
    only_second: int | None = None
    each_seed: tuple[SeedDifference, ...] = ()

    @property
    def shown(self) -> bool:
        """Whether the interval excludes 0, i.e. whether the data show a difference at all."""
        return not self.ci95[0] <= 0 <= self.ci95[1]


class VoiceScore(Part):
    """One model under the spoken view, one voice."""

    score: float
    n: int


class Voices(Part):
    """Number of training voices, and names of the unseen test voices."""

    train: int | None = None
    test: tuple[str, ...] = ()
    per_voice: dict[str, dict[str, VoiceScore]] = Field(default={})


class ClipCount(Part):
    """Failed clips of one place by reason; a clip may fail for several reasons."""

    clips: int
    failed: int
    reasons: dict[str, int] = Field(default={})
    wer: float | None = None
    """Word error rate of the round trip over all of them."""
    left_out: int | None = None
    """Number of clips left out of training; None if no training run uses them."""


class Gate(Part):
    """The quality gate: counts by place, and all results on the items whose clips passed."""

    clips: dict[str, ClipCount]
    models: dict[str, dict[str, BenchmarkResult]] = Field(default={})


class AblationCell(Part):
    """A row of an ablation on one benchmark."""

    score: float
    ci95: Interval | None = None
    n: int


class GuardChange(Part):
    """Change of a guard by a training run, in points."""

    value: float
    ci95: Interval
    p: float | None = None
    n: int
    verdict: Verdict
    than: str
    """The model of comparison."""


class WrongAnswer(Part):
    """An answer beside its gold one."""

    item: str
    question: str
    answer: str
    gold: str


class Doubt(Part):
    """A model whose typed answers to a benchmark are right about never, or as often as guesses."""

    model: str
    benchmark: str
    view: str
    right: float
    """Percent of its answers."""
    chance: float | None = None
    """Percent of guesses; None for open questions."""
    n: int
    examples: tuple[WrongAnswer, ...] = ()


class Summary(Part):
    """A whole `summary.json`."""

    recipe: str
    seed: int | None = None
    seeds: tuple[int, ...] = ()
    text_view: str = Pair().text
    speech_view: str = Pair().speech
    main_view: str | None = None
    models: dict[str, dict[str, BenchmarkResult]]
    comparisons: tuple[Comparison, ...] = ()
    voices: Voices | None = None
    gate: Gate | None = None
    timings_s: dict[str, float] = Field(default={})
    versions: dict[str, JsonValue] = Field(default={})
    other_versions: dict[str, dict[str, str]] = Field(default={})
    """The differing versions of stages that ran with other versions than the report."""
    ablation: dict[str, dict[str, AblationCell]] = Field(default={})
    ablation_baseline: str | None = None
    ablation_gains: dict[str, dict[str, Gain]] = Field(default={})
    sound: dict[str, dict[str, dict[str, ControlScore]]] = Field(default={})
    """Model, benchmark and control."""
    faithfulness: dict[str, dict[str, Faithfulness]] = Field(default={})
    guards: dict[str, dict[str, GuardChange]] = Field(default={})
    """Model and benchmark."""
    faithfulness_gains: dict[str, dict[str, dict[str, FaithfulnessGain]]] = Field(default={})
    """Model, model of comparison, benchmark."""
    traces: TraceFilters | None = None
    doubts: tuple[Doubt, ...] = ()
    recovery: dict[str, Recovered] = Field(default={})
    """Of the test itself, by model."""
    likelihood: dict[str, LikelihoodResult] = Field(default={})
    """By benchmark."""
    conditions: dict[str, Condition] = Field(default={})
    choices: dict[str, dict[str, Choice]] = Field(default={})
    """By name and seed."""

    @property
    def compared_view(self) -> str:
        """The view under which models are compared: the spoken one unless the run says otherwise."""
        return self.main_view or self.speech_view

    @property
    def pair(self) -> Pair:
        """The two views of the gap."""
        return Pair(self.text_view, self.speech_view)

    @property
    def speaks(self) -> bool:
        """Whether the gap is between typed and spoken questions."""
        return self.speech_view in SPOKEN_VIEWS

    @property
    def benchmarks(self) -> tuple[str, ...]:
        """Every benchmark in the order of first mention, the overall one first."""
        names = dict.fromkeys(name for results in self.models.values() for name in results)
        return tuple(sorted(names, key=lambda name: name != OVERALL))

    @property
    def main(self) -> str | None:
        """The benchmark that the page opens with: the overall one, else the first; None without results."""
        return self.benchmarks[0] if self.benchmarks else None

    @property
    def all_seeds(self) -> tuple[int, ...]:
        """The seeds, from either of the two keys."""
        return self.seeds or (() if self.seed is None else (self.seed,))

    def on(self, benchmark: str | None) -> dict[str, BenchmarkResult]:
        """Model to result on one benchmark; models without a result are absent."""
        return {model: results[benchmark] for model, results in self.models.items() if benchmark in results}

    def views(self, benchmark: str | None) -> tuple[str, ...]:
        """The views that some model was scored under, in reading order."""
        used = {view for result in self.on(benchmark).values() for view in result.views}
        return self.pair.order(used)


def parse_part(kind: type[P], text: str | bytes, named: str, remedy: str, file: Path | None = None) -> P:
    """A part from its JSON text; raises `InputError` that names the first key with a wrong value, as not `named`."""
    try:
        return kind.model_validate_json(text)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        where = ".".join(str(part) for part in first["loc"]) or None
        raise InputError(f"not {named}: {first['msg']}", file=file, record=where, remedy=remedy) from None


def parse_summary(text: str | bytes, *, file: Path | None = None) -> Summary:
    """A summary from its JSON text; raises `InputError` that names the first key with a wrong value."""
    return parse_part(Summary, text, "a summary", "make it again with `earwise run`", file)


def read_summary(path: Path) -> Summary:
    """Read a `summary.json`; raises `InputError` if it is missing or has another schema."""
    try:
        return parse_summary(path.read_bytes(), file=path)
    except FileNotFoundError:
        raise InputError("no summary", file=path, remedy="the evaluate stage of `earwise run` writes it") from None


def as_summary(summary: Summary | Mapping[str, object]) -> Summary:
    """The typed form of a summary that may still be plain JSON data."""
    return summary if isinstance(summary, Summary) else parse_summary(json.dumps(summary))
