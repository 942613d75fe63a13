"""The last screen of a run: the result on all items as a table, and the page's path."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from rich import box, get_console
from rich.console import Console
from rich.table import Table
from rich.text import Text

from earwise.report.doubts import doubt_lines
from earwise.report.guards import guard_lines
from earwise.report.likelihood_lines import likelihood_lines
from earwise.report.summary import GapScore, Summary, as_summary
from earwise.report.tables import ResultTable, result_table
from earwise.report.words import model_label, number, percent, view_label


def show_result(summary: Summary | Mapping[str, object], page: Path, say: Callable[[str], None]) -> None:
    """Print the result in the console's width; `say` gets the lines on doubts, guards and likelihoods, and the page."""
    summary = as_summary(summary)
    tables = console_tables(summary, get_console().width)
    get_console().print(*tables, sep="\n\n" if len(tables) > 1 else " ")
    for line in (*doubt_lines(summary), *guard_lines(summary), *likelihood_lines(summary)):
        say(line)
    say(f"report: {page}")


def console_tables(summary: Summary | Mapping[str, object], width: int) -> list[Table]:
    """As `console_table`, split into several tables for a console of `width` characters.

    Each table repeats the models' names, so that no column is cut off. Names are broken only if the console is narrower
    than a name and one score.
    """
    summary = as_summary(summary)
    if summary.main is None:
        return [console_table(summary)]
    results = result_table(summary, summary.main)
    groups: list[list[_Column]] = [[]]
    for column in _columns(results):
        if groups[-1] and _width(_table(results, [*groups[-1], column])) > width:
            groups.append([])
        groups[-1].append(column)
    return [_table(results, group, _title(summary, results) if n == 0 else None) for n, group in enumerate(groups)]


def console_table(summary: Summary | Mapping[str, object]) -> Table:
    """One row per model: the score under each view, the gap with its interval, and the recovered share.

    Takes a `Summary` or the data of a `summary.json`. Names are printed literally, never as rich markup.
    """
    summary = as_summary(summary)
    if summary.main is None:
        return Table(title=Text(f"{summary.recipe}: no results"))
    results = result_table(summary, summary.main)
    return _table(results, _columns(results), _title(summary, results))


@dataclass(frozen=True)
class _Column:
    """A column beside the models: its header, one line per word, and a cell per model."""

    header: str
    cells: tuple[str, ...]


def _columns(results: ResultTable) -> list[_Column]:
    columns = []
    for n, view in enumerate(results.views):
        scores = [row.scores[n] for row in results.rows]
        cells = tuple(number(score.score if score else None) for score in scores)
        columns.append(_Column(view_label(view).lower().replace(" ", "\n"), cells))
    if results.has_gap:
        columns.append(_Column("gap [95 % CI]", tuple(_gap_cell(row.result.gap) for row in results.rows)))
    if results.has_recovered:
        shares = [None if row.recovered is None else row.recovered / 100 for row in results.rows]
        columns.append(_Column("recovered", tuple(map(percent, shares))))
    return columns


def _title(summary: Summary, results: ResultTable) -> Text:
    counts = sorted({f"{row.result.n:,}" for row in results.rows})
    return Text(f"{summary.recipe}, benchmark {summary.main}, n = {' or '.join(counts)}")


def _table(results: ResultTable, columns: Sequence[_Column], title: Text | None = None) -> Table:
    """Cells are `Text`, because rich parses brackets of a string as markup."""
    table = Table(
        title=title, title_justify="left", box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False, collapse_padding=True
    )
    table.add_column("model", overflow="fold")
    for column in columns:
        table.add_column(Text(column.header), justify="right", no_wrap=True)
    for n, row in enumerate(results.rows):
        table.add_row(Text(model_label(row.model)), *(Text(column.cells[n]) for column in columns))
    return table


def _width(table: Table) -> int:
    """Width of a table without cuts and breaks, in characters."""
    return Console(width=10_000).measure(table).maximum


def _gap_cell(gap: GapScore | None) -> str:
    """`8.4 [7.0, 10.0]`."""
    ends = f" [{number(gap.ci95[0])}, {number(gap.ci95[1])}]" if gap and gap.ci95 else ""
    return number(gap.value if gap else None) + ends
