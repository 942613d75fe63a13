"""`earwise compare`: paired differences of two runs on the same items."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

from markupsafe import Markup
from rich import box
from rich.table import Table
from rich.text import Text

from earwise.errors import InputError
from earwise.evaluate.estimates import number
from earwise.evaluate.summary import ScoreTable, difference
from earwise.models.safetensors_files import read_object
from earwise.recipe.model import BASE
from earwise.records import Score, View
from earwise.report.markup import element
from earwise.report.words import model_label, view_label
from earwise.use.opening import RECIPE, STAGES
from earwise.work.store import read_store, write_atomic

SCORES: Final = "scores.jsonl"
_HEADERS: Final = ("model", "benchmark", "view", "n", "first", "second", "second - first [95 %]", "p")
_STYLE: Final = (
    ":root{color-scheme:light dark}body{font:1rem/1.5 system-ui,sans-serif;margin:2rem auto;max-width:70rem;"
    "padding:0 1rem}div{overflow-x:auto}table{border-collapse:collapse}th,td{border-bottom:1px solid #8886;"
    "padding:.3rem .8rem .3rem 0;text-align:right;white-space:nowrap}th[scope=row],.text{text-align:left}"
)


@dataclass(frozen=True)
class Row:
    """One model, or one of each run, on one benchmark under one view."""

    model: str
    benchmark: str
    view: View
    n: int
    """Items that both runs scored."""
    first: float
    second: float
    value: float
    """Second minus first, in points."""
    ci95: tuple[float, float]
    p: float

    def cells(self) -> tuple[str, ...]:
        """As text, in the order of the table's columns."""
        low, high = self.ci95
        change = f"{self.value:+.1f} [{low:+.1f}, {high:+.1f}]"
        p = "< 0.001" if self.p < 0.001 else f"{self.p:.3f}"
        scores = (f"{self.first:.1f}", f"{self.second:.1f}")
        return (self.model, self.benchmark, view_label(self.view), f"{self.n:,}", *scores, change, p)


def compare(first: str, second: str) -> list[Row]:
    """Differences of two runs, RUN or RUN:TRAINING. Without a training, models of one name are compared.

    Seeds that both runs have are averaged item by item; items that only one run scored are left out. Raises
    `InputError` if nothing can be paired.
    """
    (one, mine), (other, theirs) = _named(first), _named(second)
    seeds = [seed for seed in _seeds(one) if seed in _seeds(other)]
    if not seeds:
        raise InputError("the runs have no seed in common", file=other)
    table, against = (ScoreTable.of({seed: _scores(run, seed) for seed in seeds}, BASE) for run in (one, other))
    if (mine is None) != (theirs is None):
        raise InputError("one side names a training and the other does not", remedy="name both or none")
    pairs = [(name, name) for name in table.models if name in against.models]
    if mine is not None and theirs is not None:
        for run, name, known in ((one, mine, table.models), (other, theirs, against.models)):
            if name not in known:
                raise InputError(f"no scores of {name!r}", file=run, remedy=f"scored: {', '.join(known)}")
        pairs = [(mine, theirs)]
    rows = [row for pair in pairs for row in _rows(table, against, *pair)]
    if not rows:
        raise InputError("the runs have scored no item in common", file=other)
    return rows


def _rows(table: ScoreTable, against: ScoreTable, mine: str, theirs: str) -> Iterator[Row]:
    for benchmark in table.benchmarks:
        for view in table.views(mine, benchmark):
            first, second = table.get(mine, benchmark, view), against.get(theirs, benchmark, view)
            if not first or not second:
                continue
            first, second = _in_both(first, second), _in_both(second, first)
            if not first[0]:
                continue
            found = difference(benchmark, second, first)
            low, high = found["ci95"]
            before, after = (sum(number(benchmark, cell) for cell in cells) / len(cells) for cells in (first, second))
            name = model_label(mine) if mine == theirs else f"{model_label(mine)} / {model_label(theirs)}"
            yield Row(name, benchmark, view, len(first[0]), before, after, found["value"], (low, high), found["p"])


def _in_both(some: list[list[Score]], others: list[list[Score]]) -> list[list[Score]]:
    known = {(score.source, score.item) for score in others[0]}
    return [[score for score in cell if (score.source, score.item) in known] for cell in some]


def _named(name: str) -> tuple[Path, str | None]:
    run, training = Path(name), None
    if not run.is_dir():
        folder, _, training = name.rpartition(":")
        run = Path(folder)
    if not (run / RECIPE).is_file():
        raise InputError(f"no run folder: it has no {RECIPE}", file=name, remedy="name RUN or RUN:TRAINING")
    return run, training or None


def _seeds(run: Path) -> list[int]:
    return [int(seed) for seed in read_object(run / RECIPE).get("seeds", [0])]


def _scores(run: Path, seed: int) -> list[Score]:
    """Every score of a seed, the base's first."""
    files = sorted((run / STAGES / f"seed{seed}").glob(f"evaluate.*/{SCORES}"))
    files.sort(key=lambda file: file.parent.name != f"evaluate.{BASE}")
    if not files:
        raise InputError(f"seed {seed} was not evaluated", file=run, remedy="run its recipe to its end")
    return [score for file in files for score in read_store(file, Score)]


def console_table(rows: Sequence[Row]) -> Table:
    """For the console. Names are printed literally."""
    table = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False)
    for place, header in enumerate(_HEADERS):
        table.add_column(header, justify="left" if place < 3 else "right")
    for row in rows:
        table.add_row(*map(Text, row.cells()))
    return table


def write_page(rows: Sequence[Row], first: str, second: str, file: Path) -> None:
    """One HTML page that loads nothing; all names are escaped."""
    policy = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'"
    head = [element("th", {"scope": "col", **({"class": "text"} if n < 3 else {})}, h) for n, h in enumerate(_HEADERS)]
    body = [
        element(
            "tr", {}, *(element("td", {"class": "text"} if n < 3 else {}, cell) for n, cell in enumerate(row.cells()))
        )
        for row in rows
    ]
    table = element("table", {}, element("thead", {}, element("tr", {}, *head)), element("tbody", {}, *body))
    told = (
        f"First: {first}. Second: {second}. Scores from 0 to 100; differences are paired by item, with 95 % intervals."
    )
    region = element("div", {"tabindex": "0", "role": "region", "aria-label": "Differences"}, table)
    head_of_page = Markup(
        '<head><meta charset="utf-8"><meta name="viewport" content="width=device-width">'
        f'<meta http-equiv="Content-Security-Policy" content="{policy}"><style>{_STYLE}</style>'
        "<title>Two runs compared</title></head>"
    )
    shown = element("body", {}, element("h1", {}, "Two runs compared"), element("p", {}, told), region)
    page = element("html", {"lang": "en"}, head_of_page, shown)
    write_atomic(file, f"<!doctype html>\n{page}\n")


def as_json(rows: Sequence[Row]) -> str:
    """For programs."""
    found: list[dict[str, Any]] = [asdict(row) for row in rows]
    return json.dumps(found, indent=1)
