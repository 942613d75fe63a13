"""The page's section with a study in the layout of arXiv 2503.00059: tables 1 to 5, figures 2, 8 and 9, and claims.

Figures 4 and 7 are the section on attention.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from earwise.report.cases import CaseTable, case_tables
from earwise.report.findings import Claim, claims, limits
from earwise.report.grids import Grid
from earwise.report.items import ShownItem
from earwise.report.paper_figures import AlphaFigure, YesFigure, alpha_figure, yes_figures
from earwise.report.paper_tables import alpha_table, gap_tables, mmalign_table, relation_tables, training_table
from earwise.report.printed import printed_alphas, printed_gaps, printed_trainings
from earwise.report.study import Study
from earwise.report.summary import Summary


@dataclass(frozen=True)
class Printed:
    """The paper's own numbers: tables 1 and 2, tables 3 and 4, table 5."""

    gaps: Grid
    trainings: Grid
    alphas: Grid


@dataclass(frozen=True)
class PaperSection:
    """Data of the template; a part without numbers is empty and left out."""

    study: Study
    claims: tuple[Claim, ...]
    limits: tuple[str, ...]
    gaps: tuple[Grid, ...]
    yes: tuple[YesFigure, ...]
    mmalign: Grid
    relations: tuple[Grid, ...]
    trainings: Grid
    alphas: Grid
    alpha_figure: AlphaFigure | None
    cases: tuple[CaseTable, ...]
    printed: Printed | None


def paper_section(
    summary: Summary, study: Study | None, shown: Sequence[ShownItem], attention: Sequence[str]
) -> PaperSection | None:
    """The section of a study; None for other runs. `attention` are the answers of the attention analysis."""
    if study is None or not summary.benchmarks:
        return None
    return PaperSection(
        study=study,
        claims=claims(summary, study, attention),
        limits=limits(summary, study),
        gaps=gap_tables(summary, study),
        yes=yes_figures(summary, study),
        mmalign=mmalign_table(summary, study),
        relations=relation_tables(summary, study),
        trainings=training_table(summary, study),
        alphas=alpha_table(summary, study),
        alpha_figure=alpha_figure(summary, study),
        cases=case_tables(summary, study, shown),
        printed=Printed(printed_gaps(), printed_trainings(), printed_alphas()) if study.published else None,
    )
