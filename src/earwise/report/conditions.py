"""One table of what the models score when the same questions are spoken under other conditions."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

from pydantic import Field

from earwise.report.grids import Cell, Grid, GridGroup, GridRow, number_cell, score_cell
from earwise.report.summary import OVERALL, BenchmarkResult, GapScore, Interval, Pair, Part, Summary, parse_part
from earwise.report.words import SPACE, interval, model_label, number

CASCADE: Final = "image_transcript"


class Share(Part):
    """A spoken score as a percentage of the typed one."""

    value: float
    ci95: Interval
    by_seed: tuple[float, ...] = ()


class Recovered(Part):
    """What is left of one model's typed score, by view, and its spoken score minus that of each cascade."""

    views: dict[str, Share]
    minus_cascade: dict[str, GapScore] = Field(default={})


class Changed(BenchmarkResult):
    """A result under a condition, and by view how far it is from that of the test."""

    changes: dict[str, GapScore] = Field(default={})


class Condition(Part):
    """One condition: who speaks, and what the models make of it."""

    engine: str
    voices: tuple[str, ...]
    models: dict[str, dict[str, Changed]]
    recovery: dict[str, Recovered] = Field(default={})


class Conditions(Part):
    """What `summary.json` says of conditions, and of the test beside them."""

    conditions: dict[str, Condition] = Field(default={})
    recovery: dict[str, Recovered] = Field(default={})


def conditions_grid(folder: Path, summary: Summary) -> Grid | None:
    """Every model on all items: on the clips of the test, then under each condition; None without conditions.

    Reads `summary.json` in `folder`; raises `InputError` for conditions that cannot be read.
    """
    found = _read(folder)
    if not found.conditions:
        return None
    cascades = list(dict.fromkeys(name for one in found.recovery.values() for name in one.minus_cascade))
    voices = ", ".join(summary.voices.test) if summary.voices else ""
    groups = [_group(f"The test: {voices}", summary.models, found.recovery, cascades, summary.pair)]
    for name, one in found.conditions.items():
        title = f"{name}: {', '.join(one.voices)}; {one.engine}"
        groups.append(_group(title, one.models, one.recovery, cascades, summary.pair))
    columns = (
        ("Score", "spoken"),
        ("Of the typed score", "%"),
        ("Change", "points, from the test"),
        *((f"Minus {model_label(name)}", "which reads its own transcript, points") for name in cascades),
    )
    return Grid("All items, by how they are spoken", "Model", columns, tuple(groups))


def cascade_note(folder: Path, summary: Summary) -> str | None:
    """The best score by ear beside the best through a model's own transcript, as a sentence: who reads of one must know
    of the other. None where no model was asked in both ways.
    """
    pair, recovered = summary.pair, _read(folder).recovery
    ears, transcripts = (
        {name: result.views[view].score for name, result in summary.on(OVERALL).items() if view in result.views}
        for view in (pair.speech, CASCADE)
    )
    if not ears or not transcripts:
        return None
    best, cascade = max(ears, key=lambda name: ears[name]), max(transcripts, key=lambda name: transcripts[name])
    one = recovered[best].minus_cascade.get(cascade) if best in recovered else None
    if one is None or one.ci95 is None:
        return None
    low, high = one.ci95
    verb = "is above" if low > 0 else "is below" if high < 0 else "is not told apart from"
    points = f"{number(one.value, signed=True)} points (95{SPACE}% interval {interval(one.ci95)})"
    told = f"{model_label(cascade)} through its own transcript ({number(transcripts[cascade])})"
    return f"By ear, {model_label(best)} ({number(ears[best])}) {verb} {told}: {points}."


def _read(folder: Path) -> Conditions:
    """What `summary.json` in `folder` says of conditions; nothing without such a file."""
    path = folder / "summary.json"
    if not path.is_file():
        return Conditions()
    return parse_part(Conditions, path.read_bytes(), "a summary", "make it again with `earwise run`", path)


def _group(
    title: str,
    models: Mapping[str, Mapping[str, BenchmarkResult]],
    recovered: Mapping[str, Recovered],
    cascades: list[str],
    pair: Pair,
) -> GridGroup:
    rows = [
        row
        for name, results in models.items()
        if OVERALL in results
        for row in _rows(name, results[OVERALL], recovered.get(name), cascades, pair)
    ]
    return GridGroup(title, tuple(rows))


def _rows(
    name: str, result: BenchmarkResult, recovered: Recovered | None, cascades: list[str], pair: Pair
) -> Iterator[GridRow]:
    """A model, by its ears and, where it was asked, through its own transcript."""
    for view in (pair.speech, CASCADE):
        if view not in result.views:
            continue
        share = recovered.views.get(view) if recovered else None
        change = result.changes.get(view) if isinstance(result, Changed) else None
        beside = recovered.minus_cascade if recovered and view == pair.speech else {}
        cells = (
            score_cell(result.views[view]),
            number_cell(share.value, share.ci95, share.by_seed) if share else None,
            _points(change),
            *(_points(beside.get(cascade)) for cascade in cascades),
        )
        note = "through its own transcript" if view == CASCADE else ""
        yield GridRow(model_label(name), cells, note=note, model=name)


def _points(one: GapScore | None) -> Cell | None:
    return number_cell(one.value, one.ci95, one.by_seed, signed=True) if one is not None else None
