"""The page's section on the quality gate: failed clips with reasons, and every gap with and without them."""

from __future__ import annotations

from dataclasses import dataclass

from earwise.report.summary import BenchmarkResult, ClipCount, GapScore, Pair, Summary

REASONS = {
    "silent": "silent",
    "slow": "too slow",
    "fast": "too fast",
    "silence": "silence at the ends",
    "clipped": "clipped",
    "wer": "word errors",
    "numbers": "number not recovered",
    "letters": "option letter not recovered",
    "quotes": "quoted string not recovered",
}


@dataclass(frozen=True)
class Place:
    """The clips of one benchmark, or of one training file."""

    name: str
    count: ClipCount
    why: str
    """Reasons in words, the most frequent first."""


@dataclass(frozen=True)
class Side:
    """One model on one benchmark, on all items or on those whose clips passed."""

    n: int
    typed: float
    spoken: float
    gap: GapScore


@dataclass(frozen=True)
class Beside:
    """One model's results on one benchmark; `passed` is None if too few items are left for an interval."""

    model: str
    benchmark: str
    every: Side
    passed: Side | None


@dataclass(frozen=True)
class GateSection:
    """Everything the template prints about the gate."""

    places: tuple[Place, ...]
    rows: tuple[Beside, ...]
    has_wer: bool
    has_left_out: bool
    """Whether trainings left out clips that failed."""


def gate_section(summary: Summary) -> GateSection | None:
    """The section of the gate; None for a run without one."""
    if summary.gate is None:
        return None
    places = tuple(Place(name.removeprefix("benchmarks/"), c, _why(c)) for name, c in summary.gate.clips.items())
    rows = []
    for benchmark in summary.benchmarks:
        for model, result in summary.on(benchmark).items():
            every = _side(result, summary.pair)
            passed = summary.gate.models.get(model, {}).get(benchmark)
            if every is not None:
                rows.append(Beside(model, benchmark, every, _side(passed, summary.pair) if passed else None))
    has_wer = any(place.count.wer is not None for place in places)
    return GateSection(places, tuple(rows), has_wer, any(place.count.left_out for place in places))


def _side(result: BenchmarkResult, pair: Pair) -> Side | None:
    if result.gap is None:
        return None
    return Side(result.n, result.views[pair.text].score, result.views[pair.speech].score, result.gap)


def _why(count: ClipCount) -> str:
    return ", ".join(f"{REASONS.get(reason, reason)} {clips:,}" for reason, clips in count.reasons.items())
