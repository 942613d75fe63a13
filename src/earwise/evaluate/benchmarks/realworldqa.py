"""RealWorldQA: options, or open questions, about photographs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from earwise.data.audit_scans import table_scan
from earwise.data.public_files import PublicFile
from earwise.data.tsv_layouts import LAYOUTS
from earwise.evaluate.benchmarks.benchmark import Benchmark, Rules, table_reader
from earwise.evaluate.benchmarks.rules import CHOICE

_KNOWN: Final[Mapping[str, str]] = dict.fromkeys(
    ("105", "633", "731"), "options lost in the public file (VLMEvalKit issue 677)"
)

REALWORLDQA: Final = Benchmark(
    name="realworldqa",
    label="RealWorldQA",
    file=PublicFile(
        "RealWorldQA.tsv",
        table_scan(LAYOUTS["realworldqa"], known=_KNOWN),
        "92321028d2bc29040284b6674721e48f",
        {"rows": 765},
    ),
    read=table_reader(LAYOUTS["realworldqa"], known=_KNOWN),
    rules=Rules("realworldqa", CHOICE),
)
