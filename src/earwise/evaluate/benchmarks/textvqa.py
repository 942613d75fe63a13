"""TextVQA: open questions about text in pictures, each answered by ten annotators."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from earwise.data.audit_scans import table_scan
from earwise.data.findings import Finding
from earwise.data.public_files import PublicFile
from earwise.data.tsv_layouts import LAYOUTS
from earwise.evaluate.benchmarks.benchmark import Benchmark, Rules, table_reader
from earwise.evaluate.benchmarks.rules import VQA
from earwise.records import Item

ANNOTATORS: Final = 10
"""Answers of each question."""


def _annotators(path: Path, items: Sequence[Item], findings: list[Finding], rows: int) -> Mapping[str, int]:
    findings += [
        Finding("annotators", "warning", item.id, f"{len(item.answers)} answers, not {ANNOTATORS}")
        for item in items
        if len(item.answers) != ANNOTATORS
    ]
    return {}


TEXTVQA: Final = Benchmark(
    name="textvqa",
    label="TextVQA",
    file=PublicFile(
        "TextVQA_VAL.tsv",
        table_scan(LAYOUTS["textvqa"], extras=_annotators),
        "b233b31f551bbf4056f2f955da3a92cd",
        {"rows": 5000},
    ),
    read=table_reader(LAYOUTS["textvqa"]),
    rules=Rules("textvqa", VQA),
)
