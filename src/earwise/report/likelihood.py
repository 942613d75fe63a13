"""The table of likelihoods."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

from earwise.report.grids import Cell, Grid, GridGroup, GridRow, benchmark_label
from earwise.report.likelihood_lines import DIGITS
from earwise.report.likelihood_parts import LikelihoodResult, LikelihoodRow, Nats
from earwise.report.summary import Summary
from earwise.report.words import SPACE, model_label, number

_HOW: Final = {
    "typed": "typed",
    "transcript": "through a recogniser: the cascade",
    "speech": "by ear",
    "silenced": "control: silence in place of the question",
    "swapped": "control: another question's clip",
}


def likelihood_grid(summary: Summary) -> Grid | None:
    """Every row on each benchmark, then under each condition; None where nothing was measured."""
    groups = [_group(name, result) for name, result in summary.likelihood.items()]
    for condition, one in summary.conditions.items():
        groups += [_group(name, result, condition) for name, result in one.likelihood.items()]
    columns = (
        ("Cross-entropy", "nats per token"),
        ("KL from typed", "nats per token"),
        ("Minus the cascade", "cross-entropy"),
        ("Minus by ear", "cross-entropy of a control"),
    )
    return Grid("Likelihood of the base's own typed answers", "Model", columns, tuple(groups)) if groups else None


def _group(name: str, result: LikelihoodResult, condition: str = "") -> GridGroup:
    where = f"{benchmark_label(name)}, {condition}" if condition else benchmark_label(name)
    title = f"{where}: {result.n:,}{SPACE}answers, {result.tokens:,}{SPACE}tokens"
    return GridGroup(title, tuple(_rows(result.rows)))


def _rows(rows: tuple[LikelihoodRow, ...]) -> Iterator[GridRow]:
    order: Mapping[str, int] = {how: number for number, how in enumerate(_HOW)}
    for row in sorted(rows, key=lambda row: (row.how not in ("typed", "transcript"), row.model, order[row.how])):
        cells = (
            _cell(row.cross_entropy),
            _cell(row.kl),
            _cell(row.minus_cascade, signed=True),
            _cell(row.minus_speech, signed=True),
        )
        yield GridRow(model_label(row.model), cells, note=_HOW[row.how], model=row.model)


def _cell(one: Nats | None, *, signed: bool = False) -> Cell | None:
    if one is None:
        return None
    low, high = (number(end, DIGITS) for end in one.ci95)
    seeds = ", ".join(number(seed, DIGITS, signed=signed) for seed in one.by_seed) if len(one.by_seed) > 1 else ""
    small = (f"{low} to {high}", seeds) if seeds else (f"{low} to {high}",)
    return Cell(number(one.value, DIGITS, signed=signed), small)
