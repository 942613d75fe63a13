"""ChartQA: questions about charts, by people and by a machine, in one file."""

from __future__ import annotations

from typing import Final

from earwise.data.audit_scans import table_scan
from earwise.data.public_files import PublicFile
from earwise.data.tsv_layouts import LAYOUTS
from earwise.evaluate.benchmarks.benchmark import Benchmark, Rules, table_reader
from earwise.evaluate.benchmarks.rules import RELAXED

_RULES: Final = Rules("chartqa", RELAXED)


def _part(part: str) -> Benchmark:
    layout, split = LAYOUTS["chartqa"], f"test_{part}"
    return Benchmark(
        name=f"chartqa_{part}",
        label=f"ChartQA {part}",
        file=PublicFile(
            "ChartQA_TEST.tsv", table_scan(layout, split), "c902e0aa9be5582a7aad6dcf52734b42", {"rows": 1250}
        ),
        read=table_reader(layout, split),
        rules=_RULES,
    )


CHARTQA: Final = (_part("human"), _part("augmented"))
