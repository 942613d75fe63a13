"""How an audit reads each format of file: it names every unusable record, not only the first."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Final, Protocol

from earwise.data.aro import Type, check_case, is_symmetric, load_cases, read_aro
from earwise.data.fields import ODD, Refuse
from earwise.data.findings import Finding, Level
from earwise.data.media import load_audio
from earwise.data.public_files import Scan
from earwise.data.tsv import scan_tsv
from earwise.data.tsv_layouts import Layout
from earwise.data.video import check_video
from earwise.errors import InputError
from earwise.records import Item

Extras = Callable[[Path, Sequence[Item], list[Finding], int], Mapping[str, int]]
"""A function of path, items, findings and number of rows: returns further counts, and adds findings."""
NOTHING_KNOWN: Final[Mapping[str, str]] = MappingProxyType({})


class ReadSounds(Protocol):
    """A reader of a sound benchmark; it calls `refuse` with every unusable record."""

    def __call__(self, path: Path, *, refuse: Refuse | None = None) -> list[Item]:
        """The items of the file at `path`."""


def nothing_else(path: Path, items: Sequence[Item], findings: list[Finding], rows: int) -> Mapping[str, int]:
    """The extras of a file without any."""
    return {}


def yes_answers(items: Iterable[Item]) -> int:
    """Number of gold answers that are yes."""
    return sum(item.answers[0].strip().lower() == "yes" for item in items)


def explained(error: InputError) -> str:
    """An error with its remedy."""
    return error.what + (f" ({error.remedy})" if error.remedy else "")


def table_scan(
    layout: Layout,
    split: str | None = None,
    known: Mapping[str, str] = NOTHING_KNOWN,
    extras: Extras = nothing_else,
) -> Scan:
    """The scan of a TSV file with fully decoded images. `known` defects, by index, become warnings."""

    def scan_table(path: Path, findings: list[Finding]) -> tuple[list[Item], dict[str, int]]:
        refused = 0

        def refuse(index: str, error: InputError) -> None:
            nonlocal refused
            refused += 1
            level: Level = "warning" if index in known else "error"
            check = "known defect" if index in known else "row"
            findings.append(Finding(check, level, str(error.record), explained(error)))

        scan = scan_tsv(path, layout, split, refuse, write_images=False)
        odd = [Finding("no image", "warning", record, "no image, so it is not asked") for record in scan.without_image]
        odd += [Finding("short row", "warning", record, f"{lacking}: filled up") for record, lacking in scan.short]
        findings += odd
        if not scan.items and not refused and not scan.without_image:
            raise InputError(f"no rows{f' of split {split!r}' if split else ''}")
        rows = len(scan.items) + refused
        counts = {"rows": rows, "images": len({item.image for item in scan.items})}
        counts |= {"rows without image": scan.text_only} if layout.text_only_rows else {}
        counts |= extras(path, scan.items, findings, rows)
        return scan.items, counts | _pictures(scan.pictures, findings)

    return scan_table


def cases_scan(type_: Type) -> Scan:
    """The scan of a file of ARO."""

    def scan_cases(path: Path, findings: list[Finding]) -> tuple[list[Item], dict[str, int]]:
        cases, before = load_cases(path), len(findings)
        changed: list[tuple[str, str]] = []
        for place, case in enumerate(cases):
            try:
                changed += [(f"case {place}", note) for note in check_case(path, type_, place, case)]
            except InputError as error:
                findings.append(Finding("row", "error", f"case {place}", explained(error)))
        broken = len(findings) > before
        counts = {"cases": len(cases), "symmetric, not drawn": sum(is_symmetric(type_, case) for case in cases)}
        # A broken case could be among the drawn ones, so nothing is drawn.
        items = [] if broken else read_aro(path, type_, crop="full")
        counts |= _pictures(changed, findings)
        return items, counts | {"items": len(items), "gold A": sum(item.answers[0] == "A" for item in items)}

    return scan_cases


def sounds_scan(read: ReadSounds, extras: Extras = nothing_else, *, folder: bool = False) -> Scan:
    """The scan of a file, or `folder`, of questions about sounds. It counts items by kind and difficulty, and checks
    sounds and videos to their end.
    """

    def scan_sounds(path: Path, findings: list[Finding]) -> tuple[list[Item], dict[str, int]]:
        refused: list[InputError] = []
        items = read(path, refuse=refused.append)
        findings += [Finding("row", "error", _record(error, folder), explained(error)) for error in refused]
        findings += [Finding("odd record", "warning", item.id, str(odd)) for item in items for odd in _odd(item)]
        findings += _media(path.absolute().parent, items)
        rows = len(items) + len(refused)
        counts = {"rows": rows} | Counter(item.kind for item in items)
        counts |= Counter(str(level) for item in items if (level := item.meta.get("difficulty")))
        return items, counts | dict(extras(path, items, findings, rows))

    return scan_sounds


def _pictures(changed: Iterable[tuple[str, str]], findings: list[Finding]) -> dict[str, int]:
    """Number of records by each change of their picture; each record becomes a finding."""
    changed = list(changed)
    findings += [Finding("picture", "warning", record, f"a {what}") for record, what in changed]
    return dict(Counter(what for _, what in changed))


def _odd(item: Item) -> Sequence[object]:
    found = item.meta.get(ODD)
    return found if isinstance(found, list) else []


def _record(error: InputError, folder: bool) -> str:
    """The refused record, with its file if there are several."""
    return f"{Path(error.file).name}: {error.record}" if folder and error.file else str(error.record)


def _media(folder: Path, items: Sequence[Item]) -> Iterator[Finding]:
    """Sounds that cannot be fully decoded, and videos that are truncated or lack a stream."""
    first_of: dict[str, Item] = {}
    for item in items:
        for media in filter(None, (item.audio, item.video)):
            first_of.setdefault(media, item)
    for media, item in first_of.items():
        try:
            if media == item.audio:
                load_audio(folder / media)
            else:
                check_video(folder / media, sound=item.audio is None)
        except InputError as error:
            yield Finding("media", "error", item.id, f"{media}: {explained(error)}")
