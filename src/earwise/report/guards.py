"""How training changed the scores on guards: one line per model."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from earwise.report.summary import GuardChange, Summary, as_summary

_ORDER: Final = ("better", "no difference", "worse")


def guard_lines(summary: Summary | Mapping[str, object]) -> list[str]:
    """`self_kd: better on docvqa +4.1 [1.9, 6.3]; no difference on mme -0.2 [-1.4, 1.0]; worse on ...`, in points.

    Takes a `Summary` or the data of a `summary.json`. If a model did not start from the base, its line names its start.
    """
    summary = as_summary(summary)
    return [f"{model}{_than(changes)}: {_told(changes)}" for model, changes in summary.guards.items() if changes]


def _than(changes: Mapping[str, GuardChange]) -> str:
    """` (than sft)`; empty for the base."""
    (before,) = {change.than for change in changes.values()}
    return "" if before == "base" else f" (than {before})"


def _told(changes: Mapping[str, GuardChange]) -> str:
    parts = []
    for verdict in _ORDER:
        some = [_change(name, change) for name, change in changes.items() if change.verdict == verdict]
        parts += [f"{verdict} on {', '.join(some)}"] if some else []
    return "; ".join(parts)


def _change(name: str, change: GuardChange) -> str:
    low, high = change.ci95
    return f"{name} {change.value:+.1f} [{low:.1f}, {high:.1f}]"
