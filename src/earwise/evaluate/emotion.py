"""What is reported of recognised emotions; `benchmarks.emotions` has the formulas."""

from __future__ import annotations

from earwise.errors import InputError
from earwise.evaluate.benchmarks.emotions import IEMOCAP, MELD
from earwise.evaluate.benchmarks.emotions import named as named
from earwise.evaluate.estimates import Cells, Totals, other_totals


def emotion_totals(benchmark: str, cells: Cells) -> Totals:
    """`{"wa", "ua", "weighted_f1": {"value", "ci95", "by_seed"}}`, 0-100; the last one for MELD only.

    `cells` holds for each seed the scores of one model under one view. Raises `InputError` for a benchmark without
    emotions and for an answer that is scored otherwise than it reads.
    """
    known = (MELD.name, IEMOCAP.name)
    if benchmark not in known:
        raise InputError("no benchmark of emotions", record=benchmark, remedy=f"known: {', '.join(known)}")
    return other_totals(benchmark, cells)
