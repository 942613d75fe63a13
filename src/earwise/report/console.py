"""The last screen of a run: the result of all items as one table."""

from __future__ import annotations

from collections.abc import Mapping

from rich import box
from rich.table import Table
from rich.text import Text

from earwise.report.summary import GapScore, Summary, as_summary
from earwise.report.tables import ResultRow, ResultTable, result_table
from earwise.report.words import model_label, number, percent, view_label


def console_table(summary: Summary | Mapping[str, object]) -> Table:
    """One row per model: the score under each view, the gap with its interval, and the recovered share.

    Takes a `Summary` or the data of a `summary.json`; four views fit 80 columns. Names are printed as they are, never
    read as rich markup.
    """
    summary = as_summary(summary)
    if summary.main is None:
        return Table(title=Text(f"{summary.recipe}: no results"))
    results = result_table(summary, summary.main)
    counts = sorted({f"{row.result.n:,}" for row in results.rows})
    title = Text(f"{summary.recipe}, benchmark {summary.main}, n = {' or '.join(counts)}")
    table = Table(
        title=title, title_justify="left", box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False, collapse_padding=True
    )
    table.add_column("model", no_wrap=True)
    for view in results.views:
        name = view_label(view).lower().replace(" ", "\n")
        table.add_column(Text(name), justify="right", no_wrap=True)
    if results.has_gap:
        table.add_column(Text("gap [95 % CI]"), justify="right", no_wrap=True)
    if results.has_recovered:
        table.add_column("recovered", justify="right", no_wrap=True)
    for row in results.rows:
        table.add_row(Text(model_label(row.model)), *_cells(row, results))
    return table


def _cells(row: ResultRow, results: ResultTable) -> list[Text]:
    """Cells as `Text`, because rich would read the brackets of a string as markup."""
    cells = [number(score.score if score else None) for score in row.scores]
    if results.has_gap:
        cells.append(_gap_cell(row.result.gap))
    if results.has_recovered:
        cells.append(percent(None if row.recovered is None else row.recovered / 100))
    return [Text(cell) for cell in cells]


def _gap_cell(gap: GapScore | None) -> str:
    """`8.4 [7.0, 10.0]`."""
    ends = f" [{number(gap.ci95[0])}, {number(gap.ci95[1])}]" if gap and gap.ci95 else ""
    return number(gap.value if gap else None) + ends
