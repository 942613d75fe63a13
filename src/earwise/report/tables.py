"""The rows of the page's tables: plain values in the order in which the template prints them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from earwise.report.summary import BenchmarkResult, Summary, ViewScore
from earwise.report.words import view_label


@dataclass(frozen=True)
class ResultTable:
    """All models on one benchmark; `scores` holds one entry per view, None if the model was not run under it."""

    benchmark: str
    views: tuple[str, ...]
    rows: tuple[ResultRow, ...]

    @property
    def has_gap(self) -> bool:
        """Whether any model has a score under both views of the gap."""
        return any(row.result.gap for row in self.rows)

    @property
    def has_recovered(self) -> bool:
        """Whether any model has a spoken score as a share of its typed one."""
        return any(row.recovered is not None for row in self.rows)

    @property
    def steps(self) -> tuple[str, ...]:
        """Names of the steps of the gap that some model has."""
        return tuple(dict.fromkeys(step for row in self.rows for step in row.result.gaps))

    @property
    def has_yes(self) -> bool:
        """Whether yes-rates were recorded."""
        return any(score and score.yes_rate is not None for row in self.rows for score in row.scores)


@dataclass(frozen=True)
class ResultRow:
    """One model's scores under the views of its table."""

    model: str
    result: BenchmarkResult
    scores: tuple[ViewScore | None, ...]
    recovered: float | None
    """Spoken score as a share of the typed one, in percent."""


def result_table(summary: Summary, benchmark: str) -> ResultTable:
    """The result table of one benchmark."""
    views = summary.views(benchmark)
    rows = []
    for model, result in summary.on(benchmark).items():
        recovered = result.recovered(summary.pair) if summary.speaks else None
        rows.append(ResultRow(model, result, tuple(result.views.get(view) for view in views), recovered))
    return ResultTable(benchmark, views, tuple(rows))


@dataclass(frozen=True)
class Breakdown:
    """Scores by question kind or by voice: named rows of `(n, one score per column)`, None for a missing score."""

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, int | None, tuple[float | None, ...]], ...]


def kind_breakdown(summary: Summary, benchmark: str) -> Breakdown | None:
    """Score by question kind under the first view of the gap, usually typed, and under the view of comparison.

    Training ears leaves the base unchanged, so the typed score is usually the same for all models and is shown in one
    column.
    """
    results = {model: result.kinds for model, result in summary.on(benchmark).items() if result.kinds}
    kinds = dict.fromkeys(kind for by_kind in results.values() for kind in by_kind)
    if not kinds:
        return None
    text, heard_view = summary.pair.text, summary.compared_view
    heard = any(heard_view in scores for by_kind in results.values() for scores in by_kind.values())
    typed = {model: tuple(_score(by_kind, kind, text) for kind in kinds) for model, by_kind in results.items()}
    if not any(score is not None for scores in typed.values() for score in scores):
        typed = {}
    columns: list[tuple[str, tuple[float | None, ...]]] = []
    if len(set(typed.values())) == 1:
        columns.append((view_label(text).lower(), next(iter(typed.values()))))
    else:
        columns += [(f"{model} \N{MIDDLE DOT} {view_label(text).lower()}", scores) for model, scores in typed.items()]
    if heard:
        columns += [(model, tuple(_score(by_kind, k, heard_view) for k in kinds)) for model, by_kind in results.items()]
    counts = (next((by_kind[k].get("n") for by_kind in results.values() if k in by_kind), None) for k in kinds)
    rows = tuple(
        (kind, None if n is None else int(n), tuple(scores[i] for _, scores in columns))
        for i, (kind, n) in enumerate(zip(kinds, counts, strict=True))
    )
    return Breakdown(benchmark, tuple(name for name, _ in columns), rows)


def _score(by_kind: Mapping[str, Mapping[str, float | None]], kind: str, view: str) -> float | None:
    return by_kind.get(kind, {}).get(view)


def voice_breakdown(summary: Summary) -> Breakdown | None:
    """Spoken score by unseen voice, the voices in alphabetical order."""
    per_voice = summary.voices.per_voice if summary.voices else {}
    voices = sorted({voice for by_voice in per_voice.values() for voice in by_voice})
    if not voices:
        return None
    rows = []
    for voice in voices:
        scores = [by_voice.get(voice) for by_voice in per_voice.values()]
        n = next(score.n for score in scores if score)
        rows.append((voice, n, tuple(score.score if score else None for score in scores)))
    return Breakdown("voices", tuple(per_voice), tuple(rows))
