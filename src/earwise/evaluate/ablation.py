"""The rows of an ablation: their scores on every benchmark, and their differences from one row."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from earwise.evaluate.summary import Json, ScoreTable, compare
from earwise.records import View

_NONE: Final[Mapping[str, View]] = MappingProxyType({})


def ablation_rows(
    models: Mapping[str, Mapping[str, Json]], rows: Mapping[str, str], view: View, views: Mapping[str, View] = _NONE
) -> dict[str, dict[str, Json]]:
    """`{ROW: {BENCHMARK: {"score", "ci95", "n"}}}` of each row's model; `models` comes from `summarise_models`. `views`
    replaces `view` for single benchmarks. Raises `KeyError` for a model without scores.
    """
    return {
        row: {
            benchmark: {"score": own["score"], "ci95": own["ci95"], "n": cell["n"]}
            for benchmark, cell in models[model].items()
            if (own := cell["views"].get(views.get(benchmark, view))) is not None
        }
        for row, model in rows.items()
    }


def ablation_gains(
    table: ScoreTable, rows: Mapping[str, str], baseline: str, view: View, views: Mapping[str, View] = _NONE
) -> dict[str, dict[str, Json]]:
    """`{ROW: {BENCHMARK: {"value", "ci95", "p", "n", "by_seed"}}}`: each other row minus row `baseline`, in points.
    Paired by item, seeds averaged item by item, intervals over clusters.
    """
    gains: dict[str, dict[str, Json]] = {}
    for row, model in rows.items():
        if row == baseline:
            continue
        found = [
            one
            for benchmark in table.benchmarks
            for one in compare(table, [(model, rows[baseline])], benchmark, views.get(benchmark, view))
        ]
        gains[row] = {one["benchmark"]: {key: one[key] for key in _KEPT} for one in found}
    return gains


_KEPT = ("value", "ci95", "p", "n", "by_seed")
