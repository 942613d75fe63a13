"""What the public file of a benchmark should hold, and how an audit reads it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from earwise.data.findings import Finding
from earwise.io.files import found_file
from earwise.records import Item

Scan = Callable[[Path, list[Finding]], tuple[list[Item], dict[str, int]]]
"""Reads a whole file: its items and counts. Whatever is wrong with a record joins the findings."""


@dataclass(frozen=True)
class PublicFile:
    """The file of a benchmark as it is published."""

    name: str
    scan: Scan
    """Of `audit_scans`: `table_scan`, `cases_scan` or `sounds_scan`."""
    md5: str | None = None
    """As VLMEvalKit checks it; None where nobody publishes one."""
    counts: Mapping[str, int] = field(default_factory=dict)
    others: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    """Counts of other files of the same form, by name."""
    editions: Sequence[Mapping[str, int]] = ()
    """Counts of other editions of the file, told apart by their rows."""
    folder: bool = False
    """Whether it is a folder."""
    one_answer: bool = False
    """Options of the same text are one answer to the benchmark's scorers; else only one of them is right."""

    def expected(self, path: Path, rows: int) -> Mapping[str, int]:
        """Counts of the file at `path`, which has so many rows."""
        known = self.others.get(path.name, self.counts)
        return next((counts for counts in self.editions if counts["rows"] == rows), known)

    def there(self, path: Path) -> bool:
        """Whether there is such a file, or folder, at `path`; raises `InputError` for a pipe, a device or a socket."""
        return path.is_dir() if self.folder else found_file(path)
