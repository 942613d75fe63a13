"""Numbers printed in arXiv 2503.00059 (Self-KD), for comparison with the user's run.

Averages and MMAlign are complete. Of the eight columns behind an average, only a few cells are known
(`PrintedRow.cells`). A row with all eight cells must average to the printed number, or the import fails.

The paper has column errors, which are corrected here and marked by `PrintedRow.note`. The InternVL2-8B rows of table 3
and all of table 5 are in the order MME, TextVQA, HallusionBench, ChartQA human, ChartQA augmented, DocVQA,
InfographicVQA, RealWorldQA, unlike their headers. In table 5 the row of InternVL2-1B at alpha 1 lacks RealWorldQA. No
average is affected. The attribute columns of table 4 do not give their printed means (51.33 for 51.28 after SFT, 53.28
for 53.44 after Self-KD): one item of 300 too many, three too few. The wrong cell is unknown, so nothing is corrected.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Final, Literal

from earwise.errors import EarwiseError
from earwise.evaluate.suite import COLUMNS, plain_mean

SOURCE: Final = "arXiv 2503.00059v1"
TOLERANCE: Final = 0.01
"""Largest difference between a printed average and the mean of its printed cells, rounding included."""

MMALIGN: Final = ("mmalign_relation", "mmalign_attribute")

TABLE_4_MEANS: Final[Mapping[str, tuple[float, float]]] = {"sft": (52.39, 51.28), "self_kd": (55.50, 53.44)}
"""Training -> mean over models of MMAlign's relations and attributes, as printed for table 4."""

Table = Literal[1, 2, 3, 4, 5]
Asked = Literal["text", "audio"]
Method = Literal["none", "sft", "self_kd"]

MISPLACED: Final = "columns corrected: printed in another order than the header's"
COMPLETED: Final = "RealWorldQA is missing in table 5 and taken from table 3"


@dataclass(frozen=True)
class PrintedRow:
    """One printed row: a model, trained in one way, asked in one way. Scores are 0-100."""

    table: Table
    model: str
    training: Method
    """`none` is the released model, or the base of tables 3 to 5."""
    asked: Asked
    average: float | None = None
    """As printed: the plain mean of eight columns (tables 1, 3, 5). MMAlign (2, 4) has none."""
    cells: Mapping[str, float] = field(default_factory=dict)
    """Benchmark -> score, under earwise's names."""
    alpha: float | None = None
    """Weight of the distillation term, if any."""
    note: str = ""
    """What was corrected or inferred."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "cells", MappingProxyType(dict(self.cells)))
        mean = self.recomputed
        if mean is not None and self.average is not None and abs(mean - self.average) > TOLERANCE:
            name = f"table {self.table}, {self.model}, {self.training}, {self.asked}"
            raise EarwiseError(f"{name}: the cells average to {mean:.3f}, printed is {self.average}")

    @property
    def recomputed(self) -> float | None:
        """The mean of the eight cells; None if one is missing."""
        return plain_mean(self.cells) if all(name in self.cells for name in COLUMNS) else None


def rows(table: Table) -> tuple[PrintedRow, ...]:
    """The rows of one table, in the paper's order."""
    return tuple(row for row in ROWS if row.table == table)


def find(table: Table, model: str, training: Method, asked: Asked, alpha: float | None = None) -> PrintedRow | None:
    """The matching row, or None; `alpha` is needed in table 5 only."""
    for row in rows(table):
        if (row.model, row.training, row.asked) == (model, training, asked) and alpha in (None, row.alpha):
            return row
    return None


_HEARING: Final = (
    # model, average by text and by audio; MMAlign relation and attribute by text, by audio
    ("VITA-8x7B", 70.04, 7.84, (61.33, 68.00), (1.33, 2.33)),
    ("VITA-1.5-7B", 71.34, 36.28, (74.00, 77.33), (31.33, 34.33)),
    ("Megrez-3B", 68.96, 49.72, (54.33, 59.67), (50.00, 52.00)),
)
_TRAINED: Final = (
    # model, average by text; SFT and Self-KD (alpha 1) by audio; MMAlign by audio after SFT, after Self-KD
    ("InternVL2-1B", 49.68, 21.16, 33.84, (42.67, 45.33), (50.67, 47.33)),
    ("InternVL2-2B", 53.94, 22.52, 36.58, (49.00, 47.67), (50.00, 49.67)),
    ("InternVL2-4B", 59.38, 32.22, 42.30, (47.67, 50.67), (52.33, 50.00)),
    ("InternVL2-8B", 69.91, 38.71, 51.45, (53.33, 54.67), (57.33, 56.00)),
    ("Qwen2-VL-2B", 64.77, 46.21, 52.58, (50.67, 51.33), (51.33, 55.00)),
    ("Qwen2-VL-7B", 75.14, 67.75, 68.27, (71.00, 58.33), (71.33, 61.67)),
)
_ALPHAS: Final = (
    ("InternVL2-1B", ((0.0, 21.16), (0.25, 26.62), (0.5, 29.47), (0.75, 35.53), (1.0, 33.84))),
    ("InternVL2-2B", ((0.0, 22.52), (0.25, 31.43), (0.5, 35.76), (0.75, 40.15), (1.0, 36.58))),
)
_CELLS: Final[Mapping[tuple[str, Method], tuple[Mapping[str, float], str]]] = {
    ("InternVL2-8B", "none"): (
        {"chartqa_human": 69.52, "chartqa_augmented": 91.44, "realworldqa": 59.87},
        f"{MISPLACED}; that the cells belong to this row of the model is inferred from their size",
    ),
    ("InternVL2-8B", "sft"): ({}, MISPLACED),
    ("InternVL2-8B", "self_kd"): ({}, MISPLACED),
    ("InternVL2-1B", "self_kd"): ({"realworldqa": 27.19}, ""),
}
"""The known cells of table 3."""


def _mmalign(values: tuple[float, float]) -> dict[str, float]:
    return dict(zip(MMALIGN, values, strict=True))


def _all_rows() -> list[PrintedRow]:
    found = []
    for model, text, audio, text_align, audio_align in _HEARING:
        found += [PrintedRow(1, model, "none", "text", text), PrintedRow(1, model, "none", "audio", audio)]
        found += [PrintedRow(2, model, "none", "text", cells=_mmalign(text_align))]
        found += [PrintedRow(2, model, "none", "audio", cells=_mmalign(audio_align))]
    for model, text, sft, self_kd, sft_align, kd_align in _TRAINED:
        found.append(_table_3(model, "none", "text", text))
        found.append(_table_3(model, "sft", "audio", sft))
        found.append(_table_3(model, "self_kd", "audio", self_kd))
        found.append(PrintedRow(4, model, "sft", "audio", cells=_mmalign(sft_align)))
        found.append(PrintedRow(4, model, "self_kd", "audio", cells=_mmalign(kd_align), alpha=1.0))
    for model, averages in _ALPHAS:
        for alpha, average in averages:
            training: Method = "self_kd" if alpha else "sft"
            cells, _ = _CELLS.get((model, training), ({}, "")) if alpha == 1 else ({}, "")
            note = f"{MISPLACED}; {COMPLETED}" if cells else MISPLACED
            found.append(PrintedRow(5, model, training, "audio", average, cells, alpha, note))
    return found


def _table_3(model: str, training: Method, asked: Asked, average: float) -> PrintedRow:
    cells, note = _CELLS.get((model, training), ({}, ""))
    return PrintedRow(3, model, training, asked, average, cells, 1.0 if training == "self_kd" else None, note)


ROWS: Final = tuple(_all_rows())
"""All known rows of tables 1 to 5."""
