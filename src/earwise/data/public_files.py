"""The expected content of a benchmark's public file, and its scan for audits."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from earwise.data.findings import Finding
from earwise.io.files import found_file
from earwise.records import Item

Scan = Callable[[Path, list[Finding]], tuple[list[Item], dict[str, int]]]
"""Reads a whole file: returns its items and counts, and adds findings for everything wrong with a record."""


@dataclass(frozen=True)
class PublicFile:
    """The published file of a benchmark."""

    name: str
    scan: Scan
    """One of `audit_scans`: `table_scan`, `cases_scan` or `sounds_scan`."""
    md5: str | None = None
    """VLMEvalKit's checksum; None if there is none."""
    counts: Mapping[str, int] = field(default_factory=dict)
    others: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    """Counts of other files of the same format, by name."""
    editions: Sequence[Mapping[str, int]] = ()
    """Counts of other editions of the file, which differ in their number of rows."""
    folder: bool = False
    """Whether it is a folder."""
    one_answer: bool = False
    """Whether scorers take options with the same text as one answer."""

    def expected(self, path: Path, rows: int) -> Mapping[str, int]:
        """Expected counts of the file at `path` with this number of rows."""
        known = self.others.get(path.name, self.counts)
        return next((counts for counts in self.editions if counts["rows"] == rows), known)

    def there(self, path: Path) -> bool:
        """Whether the file or folder exists at `path`; raises `InputError` for a pipe, a device or a socket."""
        return path.is_dir() if self.folder else found_file(path)
