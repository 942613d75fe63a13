"""HallusionBench: yes/no questions about sets of figures, right only where all of a set's answers agree."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

import numpy as np

from earwise.data.audit_scans import table_scan, yes_answers
from earwise.data.findings import Finding
from earwise.data.public_files import PublicFile
from earwise.data.tsv_layouts import LAYOUTS, hallusion_place
from earwise.evaluate.benchmarks.benchmark import Benchmark, Rules, table_reader
from earwise.evaluate.benchmarks.rules import YES_NO
from earwise.evaluate.gap import Metric
from earwise.evaluate.metrics import all_right, mean, whole
from earwise.records import Item, Score


def hallusion(scores: Sequence[Score]) -> Metric:
    """The mean of aAcc, fAcc and qAcc."""
    parts = list(_metrics(scores).values())
    return lambda weights: np.mean([one(weights) for one in parts], axis=0)


def hallusion_parts(scores: Sequence[Score]) -> dict[str, float]:
    """aAcc, fAcc and qAcc of HallusionBench, 0-100: the share of right questions, of figures with only right answers,
    and of questions that are right for all figures of a set.
    """
    return {part: whole(one, scores) for part, one in _metrics(scores).items()}


def _metrics(scores: Sequence[Score]) -> dict[str, Metric]:
    places = [hallusion_place(score.item.rpartition("-")[2]) for score in scores]
    figures = [(s.kind, set_, figure) for s, (set_, figure, _) in zip(scores, places, strict=True)]
    questions = [(s.kind, set_, question) for s, (set_, _, question) in zip(scores, places, strict=True)]
    return {"aAcc": mean(scores), "fAcc": all_right(figures, scores), "qAcc": all_right(questions, scores)}


def _figures(path: Path, items: Sequence[Item], findings: list[Finding], rows: int) -> Mapping[str, int]:
    places = [(item.kind, *hallusion_place(str(item.meta["index"]))) for item in items]
    return {
        "figures": len({(kind, set_, figure) for kind, set_, figure, _ in places}),
        "questions over figures": len({(kind, set_, question) for kind, set_, _, question in places}),
        "gold yes": yes_answers(items),
    }


HALLUSIONBENCH: Final = Benchmark(
    name="hallusionbench",
    label="HallusionBench",
    file=PublicFile(
        "HallusionBench.tsv",
        table_scan(LAYOUTS["hallusionbench"], extras=_figures),
        "0c23ac0dc9ef46832d7a24504f2a0c7c",
        {"rows": 951, "figures": 346, "questions over figures": 455, "gold yes": 401},
    ),
    read=table_reader(LAYOUTS["hallusionbench"]),
    # The released script and lmms-eval ask GPT-4: nothing to compute here.
    rules=Rules("hallusionbench", {profile: YES_NO[profile] for profile in ("strict", "vlmevalkit")}),
    metric=hallusion,
    yes_no=True,
)
