"""Counts of tries and the wrong ones with their inputs, saved by part, so that parts can be tried separately."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path

LONGEST = 300
"""Longest description of a wrong try, in characters."""


@dataclass
class Table:
    """Counts by kind of try; a try without a problem is right."""

    tried: dict[str, int] = field(default_factory=dict)
    wrong: list[tuple[str, str, str]] = field(default_factory=list)
    """Kind, input, and what was wrong."""
    skipped: dict[str, str] = field(default_factory=dict)
    """Kind, and why it was not tried."""
    made: str = ""
    """Command, revision, date and duration."""

    def __post_init__(self) -> None:
        self.after_each: Callable[[], object] = lambda: None
        """Called after each try, so that results survive if the part is stopped."""

    def note(self, kind: str, name: str, wrong: str) -> None:
        """Count one try; `wrong` is empty for a right one."""
        self.tried[kind] = self.tried.get(kind, 0) + 1
        if wrong:
            self.wrong.append((kind, name, " ".join(wrong.split())[:LONGEST]))
        print(f"{kind}: {name}: {'WRONG: ' + wrong if wrong else 'right'}", flush=True)
        self.after_each()

    @property
    def rows(self) -> list[str]:
        """Markdown rows: kind, tried, right, when."""
        rows = []
        for kind, tried in self.tried.items():
            right = tried - sum(one[0] == kind for one in self.wrong)
            rows.append(f"| {kind} | {tried} | {right} | {self.made} |")
        return rows + [f"| {kind} | | not tried: {why} | {self.made} |" for kind, why in self.skipped.items()]


def markdown(tables: list[Table]) -> str:
    """The rows of several tables, and the wrong ones below them."""
    lines = [
        "| what is tried | tried | right | made |",
        "|---|---|---|---|",
        *(row for one in tables for row in one.rows),
    ]
    if wrong := [one for table in tables for one in table.wrong]:
        lines += ["", "Wrong:", "", *(f"- {kind}, {_plain(name)}: {_plain(what)}" for kind, name, what in wrong)]
    return "\n".join(lines) + "\n"


def read_record(path: Path) -> dict[str, Table]:
    """The tables of earlier tries, by part."""
    if not path.is_file():
        return {}
    return {part: Table(**told) for part, told in json.loads(path.read_text(encoding="utf-8")).items()}


def write_record(path: Path, tables: dict[str, Table]) -> None:
    """Keep the tables of all parts."""
    told = json.dumps({part: asdict(one) for part, one in tables.items()}, indent=1) + "\n"
    whole = path.with_suffix(".part")
    whole.write_text(told, encoding="utf-8")
    whole.replace(path)


def _plain(text: str) -> str:
    return "`" + text.replace("`", "'").replace("\n", " ") + "`"
