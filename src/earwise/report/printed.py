"""The printed numbers of arXiv 2503.00059, as tables for comparison with a run."""

from __future__ import annotations

from collections.abc import Iterable

from earwise.evaluate.published import MMALIGN, SOURCE, Asked, Method, PrintedRow, Table, find, rows
from earwise.report.grids import Cell, Grid, GridGroup, GridRow
from earwise.report.words import number

CAPTION = f"As printed in {SOURCE}"
_TRAININGS: tuple[tuple[Method, Asked], ...] = (("none", "text"), ("sft", "audio"), ("self_kd", "audio"))


def printed_gaps() -> Grid:
    """Tables 1 and 2: natively hearing models, typed and spoken."""
    lines = []
    for model in _models(1):
        text, audio = find(1, model, "none", "text"), find(1, model, "none", "audio")
        align = [find(2, model, "none", asked) for asked in ("text", "audio")]
        cells = [_average(text), _average(audio), _difference(text, audio)]
        cells += [_mmalign(row, name) for name in MMALIGN for row in align]
        lines.append(GridRow(model, tuple(cells)))
    heads = (
        ("Text", "mean of 8"), ("Audio", "mean of 8"), ("Gap", "points"),
        ("Relation, text", "MMAlign, n 300"), ("Relation, audio", "MMAlign, n 300"),
        ("Attribute, text", "MMAlign, n 300"), ("Attribute, audio", "MMAlign, n 300"),
    )  # fmt: skip
    return Grid(f"{CAPTION}, tables 1 and 2", "Model", heads, (GridGroup("", tuple(lines)),))


def printed_trainings() -> Grid:
    """Tables 3 and 4: a base on typed questions, and on spoken questions after SFT and after Self-KD (alpha 1)."""
    lines = []
    for model in _models(3):
        base, sft, self_kd = (find(3, model, training, asked) for training, asked in _TRAININGS)
        align = [find(4, model, training, "audio") for training in ("sft", "self_kd")]
        cells = [_average(base), _average(sft), _average(self_kd), _difference(self_kd, sft, signed=True)]
        cells += [_mmalign(row, name) for name in MMALIGN for row in align]
        lines.append(GridRow(model, tuple(cells)))
    mean, align_note = "spoken, mean of 8", "MMAlign, n 300"
    heads = (
        ("Base", "typed, mean of 8"), ("SFT", mean), ("Self-KD", mean), ("Gain", "points"),
        ("Relation, SFT", align_note), ("Relation, Self-KD", align_note),
        ("Attribute, SFT", align_note), ("Attribute, Self-KD", align_note),
    )  # fmt: skip
    notes = _notes(rows(3))
    return Grid(f"{CAPTION}, tables 3 and 4", "Base", heads, (GridGroup("", tuple(lines)),), notes)


def printed_alphas() -> Grid:
    """Table 5: the average over alpha."""
    alphas = sorted({row.alpha for row in rows(5) if row.alpha is not None})
    lines = []
    for model in _models(5):
        by_alpha = {row.alpha: row for row in rows(5) if row.model == model}
        lines.append(GridRow(model, tuple(_average(by_alpha.get(alpha)) for alpha in alphas)))
    heads = tuple((f"alpha {alpha:g}", "mean of 8") for alpha in alphas)
    return Grid(f"{CAPTION}, table 5", "Base", heads, (GridGroup("", tuple(lines)),), _notes(rows(5)))


def wins(table: Table, benchmark: str | None = None) -> tuple[int, int]:
    """Number of bases with printed Self-KD above printed SFT, and number of all bases."""
    above = total = 0
    for model in _models(table):
        one, two = find(table, model, "self_kd", "audio"), find(table, model, "sft", "audio")
        if one and two:
            scores = [row.average if benchmark is None else row.cells.get(benchmark) for row in (one, two)]
            if scores[0] is not None and scores[1] is not None:
                above, total = above + (scores[0] > scores[1]), total + 1
    return above, total


def best_alphas() -> list[tuple[str, float]]:
    """Per base the alpha with the highest printed average."""
    found = []
    for model in _models(5):
        best = max((row for row in rows(5) if row.model == model), key=lambda row: row.average or 0.0)
        found.append((model, best.alpha or 0.0))
    return found


def _models(table: Table) -> list[str]:
    return list(dict.fromkeys(row.model for row in rows(table)))


def _notes(some: Iterable[PrintedRow]) -> tuple[str, ...]:
    """Corrections, each with the rows that it concerns."""
    by_note: dict[str, list[str]] = {}
    for row in some:
        if row.note:
            by_note.setdefault(row.note, []).append(row.model)
    return tuple(f"{', '.join(dict.fromkeys(models))}: {note}." for note, models in by_note.items())


def _average(row: PrintedRow | None) -> Cell | None:
    return None if row is None or row.average is None else Cell(number(row.average, 2))


def _mmalign(row: PrintedRow | None, name: str) -> Cell | None:
    return None if row is None or name not in row.cells else Cell(number(row.cells[name], 2))


def _difference(one: PrintedRow | None, two: PrintedRow | None, *, signed: bool = False) -> Cell | None:
    if one is None or two is None or one.average is None or two.average is None:
        return None
    return Cell(number(one.average - two.average, 2, signed=signed))
