"""The user's own benchmarks (`[evaluate.own.NAME]`): a file and rules give items, or a benchmark to audit."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from earwise.data.derived import content_digest, derived_path, is_derived, write_derived
from earwise.data.findings import Finding
from earwise.data.media import resolve
from earwise.data.own import odd_lines, read_own
from earwise.data.public_files import PublicFile
from earwise.errors import InputError
from earwise.evaluate.benchmarks.answers import SCORED_BY, load_benchmark, scorer_name
from earwise.evaluate.benchmarks.benchmark import Benchmark, Rules
from earwise.evaluate.benchmarks.registry import find
from earwise.evaluate.benchmarks.rules import OWN
from earwise.evaluate.benchmarks.scorers import find_scorer
from earwise.io.files import read_bytes
from earwise.recipe.evaluate import Own
from earwise.records import Item

log = logging.getLogger(__name__)

READS_OPTIONS: Final = frozenset({"choice", "exact"})
"""Rules that can score options."""


def load_asked(
    name: str, folder: Path, options: Mapping[str, object], own: Mapping[str, Own], profile: str | None
) -> list[Item]:
    """Items of benchmark `name`, public or the user's own; media paths are relative to `folder`, which has the public
    files.

    Args:
        name: of `[evaluate] benchmarks`.
        folder: of the benchmarks.
        options: of the recipe's tables below `[evaluate]`, by name (`Benchmark.table`).
        own: of `[evaluate.own]`.
        profile: for scoring; raises `InputError` if the benchmark does not have it.
    """
    if name in own:
        items = load_own(name, own[name], folder)
    else:
        known = find(name)
        items = load_benchmark(name, folder, options.get(known.table) if known is not None else None)
    if profile is not None:
        find_scorer(scorer_name(name, items[0]), profile)
    return items


def load_own(name: str, own: Own, folder: Path) -> list[Item]:
    """Items of the file of benchmark `name`, with media paths relative to `folder`. Media of a file outside `folder`
    are kept in the cache. The items' `meta` names their rules. Raises `InputError` naming file and row for what cannot
    be asked or scored, and for the name of a built-in benchmark.
    """
    check_name(name)
    found = read_own(name, own)
    for line in odd_lines(found):
        log.warning("%s: %s", own.file, line)
    rules = rules_of(own, found.items)
    for item in found.items:
        check_gold(rules, item, own)
    return [
        _moved(item, Path(own.file), folder).model_copy(update={"meta": {**item.meta, SCORED_BY: rules.name}})
        for item in found.items
    ]


def own_yes_no(items: Mapping[str, Sequence[Item]]) -> frozenset[str]:
    """The user's own benchmarks whose items ask for yes or no."""
    return frozenset(name for name, some in items.items() if some and some[0].meta.get(SCORED_BY) == "yes_no")


def check_name(name: str) -> None:
    """Raise `InputError` for the name of a known benchmark."""
    if find(name) is not None:
        remedy = "choose another name, or leave the table out to read the public file"
        raise InputError("earwise has a benchmark of this name", record=f"evaluate.own.{name}", remedy=remedy)


def rules_of(own: Own, items: Sequence[Item]) -> Rules:
    """The rules that the recipe names, else those that fit all gold answers."""
    if own.scoring is not None:
        return OWN[own.scoring]
    if items and all(item.choices for item in items):
        return OWN["choice"]
    yes_no = all(not item.choices and item.answers[0].lower().rstrip(".") in ("yes", "no") for item in items)
    return OWN["yes_no" if items and yes_no else "exact"]


def check_gold(rules: Rules, item: Item, own: Own) -> None:
    """Raise `InputError` for a gold answer that these rules cannot score."""
    record = f"item {item.meta['index']}"
    if rules.name == "choice" and not item.choices:
        remedy = "name their column in columns.choices, or options of all rows in choices"
        raise InputError(
            "scoring 'choice' needs options, and the row has none", file=own.file, record=record, remedy=remedy
        )
    if item.choices and rules.name not in READS_OPTIONS:
        remedy = "score by 'choice', or set columns.choices = \"\" to read no options"
        raise InputError(
            f"the row has options, which scoring {rules.name!r} does not read",
            file=own.file,
            record=record,
            remedy=remedy,
        )
    try:
        rules.by_profile["strict"](item.answers, item.answers[0], item.choices)
    except InputError as error:
        raise InputError(error.what, file=own.file, record=record, remedy=error.remedy) from None


def own_benchmark(name: str, own: Own) -> Benchmark:
    """The user's file as a benchmark that can be audited."""
    check_name(name)

    def scan(path: Path, findings: list[Finding]) -> tuple[list[Item], dict[str, int]]:
        refused: list[InputError] = []
        found = read_own(name, own, refused.append, write_images=False)
        findings += [
            Finding("row", "error", str(error.record), error.what + (f" ({error.remedy})" if error.remedy else ""))
            for error in refused
        ]
        for reason, records in found.left_out.records.items():
            findings += [Finding("left out", "warning", record, f"{reason}, so it is not asked") for record in records]
        findings += [Finding("short row", "warning", record, f"{what}: filled up") for record, what in found.odd]
        findings += [Finding("picture", "warning", record, f"a {what}") for record, what in found.pictures]
        return found.items, {"rows": len(found.items) + len(refused) + len(found.left_out)}

    return Benchmark(
        name=name,
        label=name,
        file=PublicFile(Path(own.file).name, scan),
        read=lambda path, options: read_own(name, own).items,
        rules=OWN[own.scoring or "exact"],
    )


def _moved(item: Item, file: Path, folder: Path) -> Item:
    """`item` with media paths relative to `folder`, or in the cache if the file is outside `folder`."""
    names = {what: getattr(item, what) for what in ("image", "audio", "video")}
    base, root = file.parent.resolve(), folder.resolve()
    inside = base.is_relative_to(root)
    moved = {
        what: str(base.relative_to(root) / name) if inside else _kept(resolve(file.parent, name))
        for what, name in names.items()
        if name is not None and not is_derived(name)
    }
    return item.model_copy(update=moved)


def _kept(path: Path) -> str:
    """The file's copy in the cache."""
    target = derived_path("media", content_digest(path), ending=path.suffix)
    if not target.is_file():
        write_derived(target, read_bytes(path))
    return str(target)
