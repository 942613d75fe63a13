"""The spoken score as a share of the typed score, and hearing compared with reading a transcript."""

from __future__ import annotations

from earwise.evaluate.estimates import Cells, number, share
from earwise.evaluate.kappa import kappa
from earwise.evaluate.summary import OVERALL, Json, ScoreTable, difference
from earwise.records import View
from earwise.views import SPOKEN_VIEWS, TRANSCRIPT_VIEWS


def recovery(table: ScoreTable, text: View, speech: View) -> dict[str, Json]:
    """`{MODEL: {"views": {VIEW: {"value", "ci95", "by_seed", "n"}}, "minus_cascade": {CASCADE: {...}}}}`, all items.
    `value` is the spoken score as a percentage of the same model's typed score, with its 95 % interval over clusters.
    `minus_cascade` is the model's score under `speech` minus that of each model that read a transcript, in
    points, paired by item, with their agreement (`kappa`).
    """
    cascades = {
        model: cells
        for model in table.models
        for view in TRANSCRIPT_VIEWS
        if (cells := table.get(model, OVERALL, view))
    }
    found: dict[str, Json] = {}
    for model in table.models:
        typed, spoken = table.get(model, OVERALL, text), table.get(model, OVERALL, speech)
        views = [view for view in table.views(model, OVERALL) if view in SPOKEN_VIEWS]
        shares = {view: one for view in views if (one := _share(table, model, text, view))} if typed else {}
        if shares:
            beside = {name: cells for name, cells in cascades.items() if _same(spoken, cells)}
            minus = {
                name: {**difference(OVERALL, spoken, cells), **kappa(spoken, cells)} for name, cells in beside.items()
            }
            found[model] = {"views": shares, "minus_cascade": minus}
    return found


def _share(table: ScoreTable, model: str, text: View, view: View) -> Json | None:
    """The share of the typed score; None if the typed score is 0 for a seed, or on other items."""
    typed, spoken = table.get(model, OVERALL, text), table.get(model, OVERALL, view)
    wholes = [number(OVERALL, cell) for cell in typed]
    if not _same(spoken, typed) or not all(wholes):
        return None
    one = share(OVERALL, spoken, typed)
    by_seed = [100 * number(OVERALL, cell) / whole for cell, whole in zip(spoken, wholes, strict=True)]
    return {"value": one.value, "ci95": [one.low, one.high], "by_seed": by_seed, "n": len(spoken[0])}


def _same(first: Cells, second: Cells) -> bool:
    """Whether both have scores of the same items: benchmarks may have views of their own."""
    return bool(first and second) and [s.item for s in first[0]] == [s.item for s in second[0]]
