"""The average over benchmarks: the plain mean of eight numbers, as arXiv 2503.00059 prints it (tables 1, 3 and 5)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from earwise.errors import InputError

COLUMNS: Final = (
    "mme",
    "realworldqa",
    "textvqa",
    "hallusionbench",
    "chartqa_human",
    "chartqa_augmented",
    "docvqa",
    "infovqa",
)
"""The eight benchmarks of the average."""


def plain_mean(numbers: Mapping[str, float], columns: Sequence[str] = COLUMNS) -> float:
    """The mean of the benchmarks' numbers (0-100); raises `InputError` naming a column without a number."""
    if missing := [name for name in columns if name not in numbers]:
        raise InputError(
            f"no number for {', '.join(missing)}", remedy="an average over other benchmarks is another one"
        )
    return sum(numbers[name] for name in columns) / len(columns)
