"""The audit of a recipe's training data: lists every file that a run would stop at or drop.

A run also decodes pictures and checks sounds, but it stops at a folder's first broken file, and only counts what
corpora lack. The audit checks all files, including files that a mixture would not draw.
"""

from __future__ import annotations

import tempfile
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, Final

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from earwise.data.asr import RECORDING, header_seconds
from earwise.data.broken_media import check_sound
from earwise.data.findings import Finding
from earwise.data.items import check_item
from earwise.data.media import load_audio, load_image, resolve
from earwise.data.video import check_video
from earwise.errors import InputError
from earwise.io.messages import printable
from earwise.recipe.data import CorporaData, FolderData
from earwise.recipe.model import SOUND_S
from earwise.recipe.recipe import Recipe
from earwise.recipe.uses import used_item_files
from earwise.records import Item
from earwise.stages.corpora import MEDIA, OpenPool, open_pool
from earwise.work.progress import track
from earwise.work.store import read_jsonl

EXTREME_RATIO: Final = 200
"""A picture with a larger ratio of its sides is extreme; Qwen2-VL refuses it."""

_WHOLE_S: Final = 120
"""Longer sounds are not decoded completely: only their end and the part that a model hears are read."""

_LACKING: Final = ("missing", "not readable as audio")
"""Endings of the corpora's reasons for dropping a record with a missing or invalid file."""


@dataclass(frozen=True)
class TrainingAudit:
    """Result of an audit of training data. `counts` has items and files of each kind, by name."""

    recipe: str
    longest_s: float = SOUND_S
    """Seconds of a sound that the recipe's model hears."""
    counts: dict[str, int] = field(default_factory=dict)
    findings: list[Finding] = field(default_factory=list)

    @property
    def errors(self) -> list[Finding]:
        """Files that a run would stop at or drop."""
        return [finding for finding in self.findings if finding.level == "error"]

    def to_json(self) -> dict[str, Any]:
        """Everything, ready for `json.dumps`."""
        return {
            "recipe": self.recipe,
            "counts": dict(self.counts),
            "errors": len(self.errors),
            "findings": [asdict(finding) for finding in self.findings],
        }


def audit_training(recipe: Recipe) -> TrainingAudit:
    """Check every picture, sound and video that training of `recipe` may use.

    A laboratory's data are generated and have no files yet, so there is nothing to find. Raises `InputError` for an
    item file or a corpus that cannot be read as a whole.
    """
    audit = TrainingAudit(recipe.name, recipe.model.longest_sound if recipe.model is not None else SOUND_S)
    source = recipe.data
    if isinstance(source, FolderData):
        for name in used_item_files(recipe):
            file = Path(source.path) / f"{name}.jsonl"
            _look(audit, name, list(_folder_items(audit, name, file)), file.parent)
    elif isinstance(source, CorporaData):
        with tempfile.TemporaryDirectory(prefix="earwise-audit-") as folder:
            for name in used_item_files(recipe):
                pool = open_pool(name, source.pools[name], source.seed, Path(folder))
                _look(audit, name, list(_pool_items(pool)), Path(folder))
                audit.findings.extend(_left_out(name, pool))
    audit.findings.sort(key=lambda finding: finding.level)
    return audit


def _folder_items(audit: TrainingAudit, name: str, file: Path) -> Iterator[Item]:
    """The items of a file with existing media; every other item is a finding."""
    items = read_jsonl(file, Item)
    audit.counts[f"{name}: items"] = len(items)
    for item in items:
        try:
            yield check_item(item, file)
        except InputError as error:
            audit.findings.append(Finding("item", "error", f"{name}: {item.id}", _said(error)))


def _pool_items(pool: OpenPool) -> Iterator[Item]:
    """Every item of every part, including items that the mixture would not draw."""
    for part in pool.parts:
        for place in range(len(part.conversations)):
            yield from part.conversations[place]


def _left_out(name: str, pool: OpenPool) -> Iterator[Finding]:
    for part in pool.parts:
        for reason, records in part.conversations.drops.records.items():
            lacking = reason.endswith(_LACKING)
            for record in records:
                where = f"{name}: {part.name}: {record}"
                yield Finding("missing" if lacking else "left out", "error" if lacking else "warning", where, reason)


def _look(audit: TrainingAudit, name: str, items: list[Item], folder: Path) -> None:
    """Decode every file that `items` show, once, and add what is found."""
    audit.counts.setdefault(f"{name}: items", len(items))
    looks: dict[str, Callable[[Path, bool], Iterable[Finding]]] = {
        "image": _image,
        "audio": partial(_sound, longest_s=audit.longest_s),
        "video": _video,
    }
    for kind, look in looks.items():
        first_of: dict[str, Item] = {}
        for item in items:
            if (path := getattr(item, kind)) is not None:
                first_of.setdefault(path, item)
        if first_of:
            audit.counts[f"{name}: {kind} files"] = len(first_of)
        # On stderr: standard output may be JSON.
        shown_on, what = Console(stderr=True), f"audit: {name}: {kind} files"
        for path, item in track(first_of.items(), len(first_of), what, console=shown_on):
            shown, cut = path.removeprefix(f"{MEDIA}/"), RECORDING in item.meta
            try:
                found = list(look(resolve(folder, path), cut))
            except InputError as error:
                found = [Finding("media", "error", "", _said(error))]
            where = f"{name}: {item.id}"
            audit.findings.extend(Finding(f.check, f.level, where, f"{shown}: {f.what}") for f in found)


def _image(path: Path, cut: bool) -> Iterator[Finding]:
    notes: list[str] = []
    width, height = load_image(path, notes).size
    if max(width, height) > EXTREME_RATIO * min(width, height):
        what = f"{width} x {height} pixels: one side is more than {EXTREME_RATIO} times the other"
        yield Finding("extreme", "warning", "", what)
    for note in notes:
        yield Finding("picture", "warning", "", f"a {note}")


def _sound(path: Path, cut: bool, *, longest_s: float) -> Iterator[Finding]:
    check_sound(path)
    seconds = header_seconds(path) or 0.0
    if seconds <= _WHOLE_S or not cut:
        load_audio(path, at_most_s=None if seconds <= _WHOLE_S else longest_s)
    if not cut and seconds > longest_s:
        yield Finding("long", "warning", "", f"{seconds:.1f} s, of which the first {longest_s:g} are heard")


def _video(path: Path, cut: bool) -> Iterator[Finding]:
    check_video(path, sound=False)
    yield from ()


def _said(error: InputError) -> str:
    return error.what + (f" ({error.remedy})" if error.remedy else "")


def console_tables(result: TrainingAudit) -> list[Table]:
    """The audit as tables: counts, then every finding."""
    facts = _table(f"Training data of {result.recipe}", "", "found")
    for what, count in result.counts.items():
        facts.add_row(Text(printable(what)), f"{count:,}")
    if not result.counts:
        facts.add_row("made by the recipe itself, nothing to look at", "")
    for (level, check), count in Counter((f.level, f.check) for f in result.findings).items():
        facts.add_row(f"{level}s: {check}", f"{count:,}")
    if not result.findings:
        return [facts]
    rows = _table("Findings", "level", "check", "record", "what")
    for finding in result.findings:
        rows.add_row(finding.level, finding.check, Text(printable(finding.record)), Text(printable(finding.what)))
    return [facts, rows]


def _table(title: str, *columns: str) -> Table:
    table = Table(
        title=Text(printable(title)), title_justify="left", box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False
    )
    for column in columns:
        table.add_column(column, overflow="fold")
    return table
