"""One table of the scores on the same questions under other spoken conditions."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

from earwise.recipe.model import BASE
from earwise.report.grids import Cell, Grid, GridGroup, GridRow, number_cell, score_cell
from earwise.report.summary import OVERALL, BenchmarkResult, Changed, GapScore, MinusCascade, Pair, Recovered, Summary
from earwise.report.words import SPACE, interval, model_label, number
from earwise.views import TRANSCRIPT_VIEWS

_TRANSCRIPTS: Final = sorted(TRANSCRIPT_VIEWS)


def conditions_grid(summary: Summary) -> Grid | None:
    """Every model on all items: on the clips of the test, then under each condition; None without conditions."""
    if not summary.conditions:
        return None
    cascades = list(dict.fromkeys(name for one in summary.recovery.values() for name in one.minus_cascade))
    voices = ", ".join(summary.voices.test) if summary.voices else ""
    groups = [_group(f"The test: {voices}", summary.models, summary.recovery, cascades, summary.pair)]
    for name, one in summary.conditions.items():
        title = f"{name}: {', '.join(one.voices)}; {one.engine}"
        groups.append(_group(title, one.models, one.recovery, cascades, summary.pair))
    columns = (
        ("Score", "spoken"),
        ("Of the typed score", "%"),
        ("Change", "points, from the test"),
        *((f"Minus {model_label(name)}", f"{_through(name)}, points") for name in cascades),
    )
    return Grid("All items by condition", "Model", columns, tuple(groups))


def cascade_note(summary: Summary) -> str | None:
    """A sentence that compares the best score by ear with the best score through a transcript.

    A page that reports the first must report the second, too. None if the run lacks either.
    """
    pair, recovered = summary.pair, summary.recovery
    ears, transcripts = (
        {
            name: result.views[view].score
            for name, result in summary.on(OVERALL).items()
            for view in views
            if view in result.views
        }
        for views in ([pair.speech], _TRANSCRIPTS)
    )
    if not ears or not transcripts:
        return None
    best, cascade = max(ears, key=lambda name: ears[name]), max(transcripts, key=lambda name: transcripts[name])
    one = recovered[best].minus_cascade.get(cascade) if best in recovered else None
    if one is None or one.ci95 is None:
        return None
    low, high = one.ci95
    verb = "is above" if low > 0 else "is below" if high < 0 else "is not shown to differ from"
    points = f"{number(one.value, signed=True)} points (95{SPACE}% interval {interval(one.ci95)})"
    told = f"{model_label(cascade)} {_through(cascade)} ({number(transcripts[cascade])})"
    return f"By ear, {model_label(best)} ({number(ears[best])}) {verb} {told}: {points}.{_agreement(one)}"


def _through(cascade: str) -> str:
    """The base has no ears, so a recogniser listens for it."""
    return "through a recogniser" if cascade == BASE else "through its own transcript"


def _agreement(one: MinusCascade) -> str:
    """A sentence on whether both are right about the same items, and how many items only one of them is right about."""
    if one.kappa is None or one.kappa_ci95 is None:
        return ""
    low, high = one.kappa_ci95
    flips = ""
    if one.only_first is not None and one.only_second is not None:
        flips = f"; {one.only_first} items are right only by ear, {one.only_second} only through the transcript"
    return f" Cohen's kappa of right and wrong is {one.kappa:.2f} [{low:.2f}, {high:.2f}]{flips}."


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
    """Rows of a model: by ear, and through a transcript if it was evaluated so."""
    for view in (pair.speech, *_TRANSCRIPTS):
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
        note = _through(name) if view in TRANSCRIPT_VIEWS else ""
        yield GridRow(model_label(name), cells, note=note, model=name)


def _points(one: GapScore | None) -> Cell | None:
    return number_cell(one.value, one.ci95, one.by_seed, signed=True) if one is not None else None
