"""MME: two yes/no questions about each image of a category."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

import numpy as np

from earwise.data.audit_scans import table_scan, yes_answers
from earwise.data.findings import Finding
from earwise.data.public_files import PublicFile
from earwise.data.tsv_layouts import LAYOUTS
from earwise.errors import InputError
from earwise.evaluate.benchmarks.benchmark import Benchmark, Rules, table_reader
from earwise.evaluate.benchmarks.rules import YES_NO
from earwise.evaluate.gap import Floats, Metric
from earwise.evaluate.metrics import checked, grouped, members, values, whole
from earwise.records import Item, Score

PERCEPTION: Final = (
    "existence",
    "count",
    "position",
    "color",
    "posters",
    "celebrity",
    "scene",
    "landmark",
    "artwork",
    "OCR",
)
COGNITION: Final = ("commonsense_reasoning", "numerical_calculation", "text_translation", "code_reasoning")

QUESTIONS_PER_IMAGE: Final = 2
"""Questions that MME asks about each image of a category."""


def mme(scores: Sequence[Score]) -> Metric:
    """The mean over categories of (acc + acc+) / 2; of all 14 this is (perception + cognition) / 28."""
    given, kinds = values(scores), members([score.kind for score in scores])
    first, all_right = grouped([score.cluster for score in scores], given)

    def total(weights: Floats) -> Floats:
        per_image = weights[:, first]
        asked, shown = weights @ kinds, per_image @ kinds[first]
        right, perfect = (weights * given) @ kinds, (per_image * all_right) @ kinds[first]
        present = asked > 0
        summed = np.where(present, right / np.maximum(asked, 1) + perfect / np.maximum(shown, 1), 0).sum(axis=1)
        return 100 * summed / present.sum(axis=1) / 2

    return total


def mme_totals(scores: Sequence[Score]) -> dict[str, float]:
    """`perception` (0-2000) and `cognition` (0-800) of MME, as in its own tables. Raises `InputError` if a category has
    no scores, because totals over fewer categories are not comparable.
    """
    found = {}
    for part, kinds in (("perception", PERCEPTION), ("cognition", COGNITION)):
        by_kind = {kind: [score for score in scores if score.kind == kind] for kind in kinds}
        if missing := [kind for kind, some in by_kind.items() if not some]:
            raise InputError(f"no scores of the categories {', '.join(missing)}", record="mme")
        found[part] = sum(2 * whole(checked("mme", mme, some), some) for some in by_kind.values())
    return found


def _pairs(path: Path, items: Sequence[Item], findings: list[Finding], rows: int) -> Mapping[str, int]:
    images = Counter(item.cluster for item in items)
    for image, asked in images.items():
        if asked != QUESTIONS_PER_IMAGE:
            what = f"{asked} questions about one image, acc+ is defined for {QUESTIONS_PER_IMAGE}"
            findings.append(Finding("pairs", "error", f"image {image}", what))
    return {"images": len(images), "categories": len({item.kind for item in items}), "gold yes": yes_answers(items)}


MME: Final = Benchmark(
    name="mme",
    label="MME",
    file=PublicFile(
        "MME.tsv",
        table_scan(LAYOUTS["mme"], extras=_pairs),
        "b36b43c3f09801f5d368627fb92187c3",
        {"rows": 2374, "images": 1187, "categories": 14, "gold yes": 1187},
    ),
    read=table_reader(LAYOUTS["mme"]),
    rules=Rules("mme", YES_NO),
    metric=mme,
    yes_no=True,
)
