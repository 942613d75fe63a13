"""Guards: how training changes scores on benchmarks that it was not meant for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Final

from earwise.evaluate.outcomes import Verdict
from earwise.evaluate.summary import Json, ScoreTable, compare
from earwise.records import View

_KEPT: Final = ("value", "ci95", "p", "n")


def guard_changes(
    table: ScoreTable,
    pairs: Mapping[str, str],
    benchmarks: Sequence[str],
    view: View,
    views: Mapping[str, View] = MappingProxyType({}),
) -> dict[str, dict[str, Json]]:
    """`{MODEL: {BENCHMARK: {"value", "ci95", "p", "n", "verdict", "than"}}}`: models minus those of `pairs`, in points.
    Paired by item under `view`, or the benchmark's entry in `views`; seeds averaged item by item, intervals over
    clusters. `verdict` follows from the interval. There is no correction for the number of guards: of twenty guards
    without any change, one is expected to be reported as changed.
    """
    changes: dict[str, dict[str, Json]] = {}
    for after, before in pairs.items():
        found = [one for name in benchmarks for one in compare(table, [(after, before)], name, views.get(name, view))]
        changes[after] = {
            one["benchmark"]: {
                **{key: one[key] for key in _KEPT},
                "verdict": verdict(one["ci95"][0], one["ci95"][1]),
                "than": before,
            }
            for one in found
        }
    return changes


def verdict(low: float, high: float) -> Verdict:
    """The word for a difference with the 95 % interval from `low` to `high`."""
    if low > 0:
        return "better"
    return "worse" if high < 0 else "no difference"
