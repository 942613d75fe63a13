"""The content of a folder when its work was done, and how it has changed since.

A file counts as unchanged if its size and its two times of change (content and inode, in nanoseconds) are the same, as
in git. A file with other times is read, and its sha256 decides: a copied run is read once and is intact.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import stat
from collections.abc import Callable, Collection, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, Final, NamedTuple, TypeVar

T = TypeVar("T")

_THREADS: Final = 16
"""Files that are hashed or synced in parallel: hashing releases the interpreter, and syncs wait for the disk together.
"""
_MANY: Final = 256
"""From this number of files, one sync of all file systems is faster than one per file."""
_OTHER_TIMES: Final = "its times changed"
_ASIDE: Final = ("counts.json", "metrics.jsonl")
"""Files about the work itself, which only the report reads."""


class Held(NamedTuple):
    """One file as it was."""

    size: int
    mtime_ns: int
    ctime_ns: int
    sha256: str


class Damage(NamedTuple):
    """One file that changed."""

    name: str
    what: str


@dataclass(frozen=True)
class Manifest:
    """Files by name, relative to `folder`, and links, of which only the existence of the target is checked."""

    folder: Path
    files: dict[str, Held] = field(default_factory=dict)
    links: tuple[str, ...] = ()

    @classmethod
    def of(cls, folder: Path, *, without: Collection[str] = ()) -> Manifest:
        """All files below `folder`, except hidden ones and the names `without`. They are on the disk when this returns,
        so that they survive a power cut.
        """
        names, links, folders = listed(folder)
        files = [name for name in names if name not in without]
        if len(files) > _MANY:
            os.sync()
        else:
            _each(sync, [folder / name for name in (*files, *folders)])
        return cls(folder, cls._held(folder, files), tuple(links))

    @classmethod
    def of_files(cls, folder: Path, names: Iterable[str]) -> Manifest:
        """The files `names` of `folder`; they are on the disk when this returns."""
        files = sorted(names)
        _each(sync, [folder / name for name in files])
        return cls(folder, cls._held(folder, files))

    @staticmethod
    def _held(folder: Path, names: Sequence[str]) -> dict[str, Held]:
        return dict(zip(names, _each(_held, [folder / name for name in names]), strict=True))

    @classmethod
    def from_json(cls, folder: Path, found: dict[str, Any]) -> Manifest:
        """Parse `to_json`. Raises `KeyError`, `TypeError` or `ValueError` for anything else."""
        files = {str(name): Held(int(s), int(m), int(c), str(sha)) for name, (s, m, c, sha) in found["files"].items()}
        return cls(folder, files, tuple(map(str, found["links"])))

    def to_json(self) -> str:
        """JSON with one line per file: size in bytes, two times in nanoseconds, sha256."""
        lines = ",\n".join(f"   {json.dumps(name)}: {json.dumps(held)}" for name, held in self.files.items())
        return f'{{"links": {json.dumps(self.links)}, "files": {{\n{lines}\n  }}}}'

    @property
    def names(self) -> set[str]:
        """All files and links."""
        return {*self.files, *self.links}

    @property
    def content(self) -> str:
        """sha256 of the names and contents that later work can read."""
        told = [(n, held.sha256) for n, held in sorted(self.files.items()) if Path(n).name not in _ASIDE]
        return hashlib.sha256(json.dumps([told, sorted(self.links)]).encode()).hexdigest()

    def damage(self, *, read_all: bool = False) -> list[Damage]:
        """Files that are missing or have another content. `read_all` also reads files that look unchanged."""
        unsure = [name for name, look in self._looks.items() if look == _OTHER_TIMES or (read_all and not look)]
        digests = _each(_digest, [self.folder / name for name in unsure])
        other = {n: digest for n, digest in zip(unsure, digests, strict=True) if digest != self.files[n].sha256}
        found = [Damage(n, look) for n, look in self._looks.items() if look and look != _OTHER_TIMES]
        found += [Damage(name, "its content changed") for name in other]
        broken = [name for name in self.links if not (self.folder / name).exists()]
        return found + [Damage(name, "the link is missing or leads nowhere") for name in broken]

    @cached_property
    def _looks(self) -> dict[str, str]:
        """By file, the problem that its directory entry shows: none, `_OTHER_TIMES`, or a description."""
        root = os.fspath(self.folder)
        return {name: _look(f"{root}/{name}", held) for name, held in self.files.items()}

    def refreshed(self) -> Manifest | None:
        """The same with today's times; None if they are the same. Only for a folder without damage."""
        other = [name for name, look in self._looks.items() if look]
        if not other:
            return None
        times = {name: _with_times(self.folder / name, self.files[name].sha256) for name in other}
        return Manifest(self.folder, {**self.files, **times}, self.links)


def _look(path: str, held: Held) -> str:
    try:
        found = os.stat(path)  # noqa: PTH116 - a path object for each of many thousand files takes longer than the call
    except OSError as error:
        return "it is missing" if isinstance(error, FileNotFoundError) else str(error.strerror)
    if not stat.S_ISREG(found.st_mode):
        return "it is not a file any more"
    if found.st_size != held.size:
        return f"it has {found.st_size} bytes and had {held.size}"
    return "" if (found.st_mtime_ns, found.st_ctime_ns) == held[1:3] else _OTHER_TIMES


def sync(path: Path) -> None:
    """Sync a file, or the list of names in a folder, to the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def link(path: Path, target: Path) -> None:
    """Make `path` a link to the folder `target`. In a copy made without links, it replaces a folder."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    path.unlink(missing_ok=True)
    path.symlink_to(target, target_is_directory=True)


def listed(folder: Path) -> tuple[list[str], list[str], list[str]]:
    """Relative names of all files, links and folders below `folder` that are not hidden; links are not followed."""
    files: list[str] = []
    links: list[str] = []
    folders = ["."]
    for inside in folders:
        for entry in os.scandir(folder / inside):
            if entry.name.startswith("."):
                continue
            name = entry.name if inside == "." else f"{inside}/{entry.name}"
            kind = links if entry.is_symlink() else folders if entry.is_dir() else files
            kind.append(name)
    return sorted(files), sorted(links), folders


def _held(path: Path) -> Held:
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    return _with_times(path, digest)


def _with_times(path: Path, sha256: str) -> Held:
    found = path.stat()
    return Held(found.st_size, found.st_mtime_ns, found.st_ctime_ns, sha256)


def _digest(path: Path) -> str:
    """sha256 of a file; empty if it cannot be read."""
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError:
        return ""


def _each(work: Callable[[Path], T], paths: Sequence[Path]) -> list[T]:
    if not paths:
        return []
    with ThreadPoolExecutor(_THREADS) as pool:
        return list(pool.map(work, paths))
