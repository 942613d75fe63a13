"""Who is ahead of the cascade, where, in one line each. Imports nothing heavy: a finished run shows them, too."""

from __future__ import annotations

from typing import Final

from earwise.report.likelihood_parts import LikelihoodResult, Nats
from earwise.report.summary import Summary
from earwise.report.words import model_label, number

DIGITS: Final = 3


def likelihood_lines(summary: Summary) -> list[str]:
    """For each benchmark and condition one line: who is ahead of the cascade, who is behind, who is not shown to be."""
    told = [_line(name, result) for name, result in summary.likelihood.items()]
    for condition, one in summary.conditions.items():
        told += [_line(f"{name}, {condition}", result) for name, result in one.likelihood.items()]
    return [line for line in told if line]


def _line(title: str, result: LikelihoodResult) -> str:
    found: dict[str, list[str]] = {"ahead": [], "behind": [], "no difference shown": []}
    for row in result.rows:
        if row.how == "speech" and row.minus_cascade is not None:
            low, high = row.minus_cascade.ci95
            verdict = "ahead" if high < 0 else "behind" if low > 0 else "no difference shown"
            found[verdict].append(f"{model_label(row.model)} {_words(row.minus_cascade)}")
    parts = [f"{verdict}: {', '.join(names)}" for verdict, names in found.items() if names]
    return f"likelihood on {title}, against the cascade, nats per token: {'; '.join(parts)}" if parts else ""


def _words(one: Nats) -> str:
    low, high = (number(end, DIGITS) for end in one.ci95)
    return f"{number(one.value, DIGITS, signed=True)} [{low}, {high}]"
