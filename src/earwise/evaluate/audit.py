"""Audit of a benchmark: what its file holds (`data.audit`), and how its own scorers score its gold answers.

A gold answer that a scorer rejects lowers the ceiling that any model can reach. A scorer that accepts a wrong option or
an empty answer gives points away.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from rich import box
from rich.table import Table
from rich.text import Text

from earwise.data.audit import FileAudit, Finding, audit_public_file
from earwise.data.audit_scans import explained
from earwise.data.choices import LETTERS
from earwise.errors import InputError
from earwise.evaluate.benchmarks.benchmark import Benchmark
from earwise.evaluate.benchmarks.own import check_gold, own_benchmark, rules_of
from earwise.evaluate.benchmarks.registry import find, names
from earwise.evaluate.reading import Scorer
from earwise.io.messages import printable
from earwise.recipe.evaluate import Own
from earwise.recipe.read import load_recipe
from earwise.records import Item


@dataclass(frozen=True)
class Audit:
    """The result of `audit`. `ceiling` is the score, by profile, of answering every question with its gold answer."""

    benchmark: str
    file: FileAudit
    findings: Sequence[Finding]
    ceiling: dict[str, float]

    @property
    def errors(self) -> list[Finding]:
        """The findings that make a result wrong."""
        return [finding for finding in self.findings if finding.level == "error"]

    def to_json(self) -> dict[str, Any]:
        """Everything but the items, as JSON values."""
        file = self.file
        return {
            "benchmark": self.benchmark,
            "file": str(file.path),
            "bytes": file.size_bytes,
            "md5": file.md5,
            "expected_md5": file.expected_md5,
            "sha256": file.sha256,
            "counts": dict(file.counts),
            "expected": dict(file.expected),
            "items": len(file.items),
            "ceiling": self.ceiling,
            "errors": len(self.errors),
            "findings": [asdict(finding) for finding in self.findings],
        }


def audit(benchmark: str, path: str | Path, *, own: bool = False) -> Audit:
    """Audit the file at `path` as `benchmark`; see `data.audit.audit_public_file` for `own`. With `own`, an unknown
    name is a benchmark of the user's. `path` is then its table or records, read with the defaults of
    `[evaluate.own.NAME]`, or a recipe with this table. Raises `InputError` for an unknown benchmark, naming the
    nearest, and for a missing file.
    """
    path = Path(path)
    if own and find(benchmark) is None:
        return _audit_own(benchmark, _own_table(benchmark, path))
    known = find_known(benchmark)
    return audit_items(known, audit_public_file(benchmark, known.file, path, own=own))


def _own_table(name: str, path: Path) -> Own:
    if path.suffix != ".toml":
        return Own(file=str(path), format="tsv" if path.suffix.lower() == ".tsv" else "jsonl")
    recipe = load_recipe(path)
    if recipe.evaluate is None or name not in recipe.evaluate.own:
        raise InputError("the table that describes the benchmark is missing", file=path, record=f"evaluate.own.{name}")
    return recipe.evaluate.own[name]


def _audit_own(name: str, own: Own) -> Audit:
    benchmark = own_benchmark(name, own)
    file = audit_public_file(name, benchmark.file, own.file, own=True)
    benchmark = replace(benchmark, rules=rules_of(own, file.items))
    fit, unfit = [], []
    for item in file.items:
        try:
            check_gold(benchmark.rules, item, own)
            fit.append(item)
        except InputError as error:
            unfit.append(Finding("gold", "error", item.id, explained(error)))
    return audit_items(benchmark, replace(file, items=fit, findings=[*file.findings, *unfit]))


def find_known(benchmark: str) -> Benchmark:
    """The benchmark of this name; raises `InputError` naming the nearest if there is none."""
    known = find(benchmark)
    if known is None:
        nearest = difflib.get_close_matches(benchmark, names(), n=1, cutoff=0.5)
        known_ones = f"known: {', '.join(names())}; for a file of your own, add --own"
        remedy = f"did you mean {nearest[0]!r}?" if nearest else known_ones
        raise InputError(f"no audit for benchmark {benchmark!r}", remedy=remedy)
    return known


def audit_items(benchmark: Benchmark, file: FileAudit) -> Audit:
    """Apply the benchmark's own scorers to the gold answers of a file."""
    findings, ceiling = list(file.findings), {}
    for profile, scorer in benchmark.rules.scorers.items():
        best = []
        for item in file.items:
            score = partial(_score, scorer, item, benchmark.gold(item))
            try:
                best.append(_best(item, score))
                findings += _doubts(item, profile, best[-1], score)
            except InputError as error:
                findings.append(Finding("gold", "error", item.id, f"{profile}: {error.what}"))
        if best:
            ceiling[profile] = 100 * sum(best) / len(best)
    findings += benchmark.doubts(file.items)
    return Audit(benchmark.name, file, findings, ceiling)


def _score(scorer: Scorer, item: Item, golds: Sequence[str], answer: str) -> float:
    return scorer(golds, answer, item.choices) or 0.0


def _best(item: Item, score: Callable[[str], float]) -> float:
    """The best score of a gold answer; of a choice, by its letter or its text."""
    answers = dict.fromkeys(item.answers)
    if item.choices:
        answers |= {item.choices[LETTERS.index(item.answers[0])]: None}
    return max(score(answer) for answer in answers)


def _doubts(item: Item, profile: str, best: float, score: Callable[[str], float]) -> Iterator[Finding]:
    if best == 0:
        what = f"{profile} rejects the gold answer {item.answers[0]!r}"
        yield Finding("gold rejected", "error" if profile == "strict" else "warning", item.id, what)
    elif best < 1:
        yield Finding("gold below 1", "warning", item.id, f"{profile} gives {best:.2g} at most")
    if score("") > 0:
        yield Finding("empty answer", "warning", item.id, f"{profile} gives {score(''):.2g} for no answer")
    for letter, choice in zip(LETTERS, item.choices, strict=False):
        if letter != item.answers[0] and score(choice) > 0:
            yield Finding("wrong option", "warning", item.id, f"{profile} takes option {letter}, {choice!r}")


def console_tables(result: Audit) -> list[Table]:
    """The audit for the console: facts about the file, then one row per kind of finding with its first example."""
    file = result.file
    facts = _table(f"{result.benchmark}: {file.path}", "", "found", "expected")
    facts.add_row("bytes", f"{file.size_bytes:,}", "")
    for what, count in file.counts.items():
        facts.add_row(what, f"{count:,}", f"{file.expected[what]:,}" if what in file.expected else "")
    for profile, value in result.ceiling.items():
        facts.add_row(f"ceiling, {profile}", f"{value:.2f}", "")
    if not result.findings:
        return [facts]
    kinds: dict[tuple[str, str], list[Finding]] = {}
    for finding in sorted(result.findings, key=lambda finding: finding.level):
        kinds.setdefault((finding.level, finding.check), []).append(finding)
    rows = _table("Findings", "level", "check", "n", "first")
    for (level, check), some in kinds.items():
        rows.add_row(level, check, f"{len(some):,}", Text(printable(_first(some[0]))))
    return [facts, rows]


def hash_lines(result: Audit) -> list[str]:
    """The file's hashes, each on a line of its own so that it can be copied."""
    file = result.file
    lines = [f"MD5      {file.md5}", f"SHA-256  {file.sha256}"]
    return [*lines[:1], f"expected {file.expected_md5}", *lines[1:]] if file.expected_md5 else lines


def _first(finding: Finding) -> str:
    return f"{finding.record}: " * bool(finding.record) + finding.what


def _table(title: str, *columns: str) -> Table:
    table = Table(
        title=Text(printable(title)), title_justify="left", box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False
    )
    for column in columns:
        table.add_column(column, overflow="fold")
    return table
