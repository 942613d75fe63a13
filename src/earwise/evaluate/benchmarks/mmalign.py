"""MMAlign: which of two captions is right, drawn from the two files of ARO."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Final

import numpy as np

from earwise.data.aro import DEFAULT_COUNT, PUBLISHED, Draw, Type, read_aro
from earwise.data.aro_relations import SYMMETRIC
from earwise.data.audit_scans import cases_scan
from earwise.data.public_files import PublicFile
from earwise.errors import InputError
from earwise.evaluate.benchmarks.benchmark import Benchmark, Rules
from earwise.evaluate.benchmarks.rules import CHOICE
from earwise.records import Item, Score

ATTRIBUTE_CASES: Final = 25
"""The fewest cases of a pair of attributes that ARO scores."""

_RULES: Final = Rules("mmalign", CHOICE)


def aro_score(scores: Sequence[Score], type_: Type) -> float:
    """ARO's own score, 0-100: the mean accuracy over relations or pairs of attributes. Symmetric relations, and pairs
    of attributes with fewer than 25 cases, are left out. MMAlign is the mean over items instead. Raises `InputError` if
    nothing is left.
    """
    kinds: dict[str, list[float]] = {}
    for score in scores:
        kinds.setdefault(score.kind, []).append(score.value)
    counted = [
        float(np.mean(values))
        for kind, values in kinds.items()
        if (kind not in SYMMETRIC if type_ == "relation" else len(values) >= ATTRIBUTE_CASES)
    ]
    if not counted:
        raise InputError(f"no {type_} that ARO counts", record=f"{len(scores)} scores")
    return 100 * float(np.mean(counted))


def _type(type_: Type, file: str, cases: int) -> Benchmark:
    def read(path: Path, draw: Draw) -> list[Item]:
        return read_aro(path, type_, count=draw.count, seed=draw.seed, crop=draw.crop, symmetric=draw.symmetric)

    counts = {"cases": cases, "items": DEFAULT_COUNT, "gold A": DEFAULT_COUNT // 2}
    return Benchmark(
        name=f"mmalign_{type_}",
        label=f"MMAlign {type_}",
        file=PublicFile(file, cases_scan(type_), counts=counts),
        read=read,
        rules=_RULES,
        kind_intervals=True,
        options=PUBLISHED,
        table="mmalign",
    )


MMALIGN: Final = (
    _type("relation", "visual_genome_relation.json", 23_937),
    _type("attribute", "visual_genome_attribution.json", 28_748),
)
