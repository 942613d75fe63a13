"""DocVQA and InfographicVQA: questions about pages and posters, scored by edit distance."""

from __future__ import annotations

from typing import Final

from earwise.data.audit_scans import table_scan
from earwise.data.public_files import PublicFile
from earwise.data.tsv_layouts import LAYOUTS
from earwise.evaluate.benchmarks.benchmark import Benchmark, Rules, table_reader
from earwise.evaluate.benchmarks.rules import ANLS

DOCVQA: Final = Benchmark(
    name="docvqa",
    label="DocVQA",
    file=PublicFile(
        "DocVQA_VAL.tsv", table_scan(LAYOUTS["docvqa"]), "d5ee77e1926ff10690d469c56b73eabf", {"rows": 5349}
    ),
    read=table_reader(LAYOUTS["docvqa"]),
    rules=Rules("docvqa", ANLS),
)
INFOVQA: Final = Benchmark(
    name="infovqa",
    label="InfographicVQA",
    file=PublicFile(
        "InfoVQA_VAL.tsv", table_scan(LAYOUTS["infovqa"]), "2342e9c225222f0ef4dec545ebb126fe", {"rows": 2801}
    ),
    read=table_reader(LAYOUTS["infovqa"]),
    rules=Rules("infovqa", ANLS),
)
