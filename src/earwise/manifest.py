"""What a folder held when its work was done, and what has become of it since.

A file is taken as unchanged while its size and its times of change (of content and of inode, in nanoseconds) are what
they were, as git does. One with other times is read, and its sha256 decides: a copied run is read once and is whole.
"""

from __future__ import annotations

import fnmatch
import hashlib
import json
import os
import shutil
import stat
from collections.abc import Callable, Collection, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, NamedTuple, TypeVar

T = TypeVar("T")

_THREADS: Final = 16
"""Files that are read and synced at a time: hashing lets go of the interpreter, syncs wait for the disk together."""
_OTHER_TIMES: Final = "its times changed"
_ASIDE: Final = ("counts.json", "metrics.jsonl")
"""Files that tell how the work went: nothing is made from them but the report."""


class Held(NamedTuple):
    """One file as it was."""

    size: int
    mtime_ns: int
    ctime_ns: int
    sha256: str


class Damage(NamedTuple):
    """One file that is not what it was."""

    name: str
    what: str


@dataclass(frozen=True)
class Manifest:
    """Files by name, relative to `folder`, and links, of which only is known that they lead somewhere."""

    folder: Path
    files: dict[str, Held] = field(default_factory=dict)
    links: tuple[str, ...] = ()

    @classmethod
    def of(cls, folder: Path, *, without: Collection[str] = ()) -> Manifest:
        """Everything below `folder` that is not hidden, but not the names `without`. All of it is on the disk when this
        returns (`fsync` of files and folders), so that it survives a power cut.
        """
        names, links, folders = listed(folder)
        made = cls.of_files(folder, [name for name in names if name not in without])
        _each(sync, [folder / name for name in folders])
        return cls(folder, made.files, tuple(links))

    @classmethod
    def of_files(cls, folder: Path, names: Iterable[str]) -> Manifest:
        """The files `names` of `folder`; they are on the disk when this returns."""
        chosen = sorted(names)
        held = _each(_held, [folder / name for name in chosen])
        return cls(folder, dict(zip(chosen, held, strict=True)))

    @classmethod
    def from_json(cls, folder: Path, found: dict[str, Any]) -> Manifest:
        """What `to_json` gave. Raises `KeyError`, `TypeError` or `ValueError` for anything else."""
        files = {str(name): Held(int(s), int(m), int(c), str(sha)) for name, (s, m, c, sha) in found["files"].items()}
        return cls(folder, files, tuple(map(str, found["links"])))

    def to_json(self) -> str:
        """One line for each file: size in bytes, two times in nanoseconds, sha256."""
        lines = ",\n".join(f"   {json.dumps(name)}: {json.dumps(held)}" for name, held in self.files.items())
        return f'{{"links": {json.dumps(self.links)}, "files": {{\n{lines}\n  }}}}'

    @property
    def names(self) -> set[str]:
        """Of all files and links."""
        return {*self.files, *self.links}

    @property
    def content(self) -> str:
        """sha256 of all names and contents that something can be made from."""
        told = [(n, held.sha256) for n, held in sorted(self.files.items()) if Path(n).name not in _ASIDE]
        return hashlib.sha256(json.dumps([told, sorted(self.links)]).encode()).hexdigest()

    def damage(self, *, read_all: bool = False) -> list[Damage]:
        """Files that are missing or have another content. With `read_all` also those are read that look unchanged."""
        looks = {name: self._look(name, held) for name, held in self.files.items()}
        unsure = [name for name, look in looks.items() if look == _OTHER_TIMES or (read_all and not look)]
        digests = _each(_digest, [self.folder / name for name in unsure])
        for name, digest in zip(unsure, digests, strict=True):
            looks[name] = "" if digest == self.files[name].sha256 else "its content changed"
        found = [Damage(name, look) for name, look in looks.items() if look]
        broken = [name for name in self.links if not (self.folder / name).exists()]
        return found + [Damage(name, "the link is missing or leads nowhere") for name in broken]

    def _look(self, name: str, held: Held) -> str:
        """What is wrong with a file by its entry in the folder: nothing, or `_OTHER_TIMES`, or in words."""
        try:
            found = (self.folder / name).stat()
        except OSError as error:
            return "it is missing" if isinstance(error, FileNotFoundError) else str(error.strerror)
        if not stat.S_ISREG(found.st_mode):
            return "it is no file any more"
        if found.st_size != held.size:
            return f"it has {found.st_size} bytes and had {held.size}"
        return "" if (found.st_mtime_ns, found.st_ctime_ns) == held[1:3] else _OTHER_TIMES

    def refreshed(self) -> Manifest | None:
        """The same with the times of today; None where they are the same. Only for a folder without damage."""
        files = {name: _with_times(self.folder / name, held.sha256) for name, held in self.files.items()}
        return Manifest(self.folder, files, self.links) if files != self.files else None


def sync(path: Path) -> None:
    """Have a file, or the list of names in a folder, on the disk when this returns."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def link(path: Path, target: Path) -> None:
    """Make `path` a link to the folder `target`, whatever it was before: a copy without links has the folder there."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    path.unlink(missing_ok=True)
    path.symlink_to(target, target_is_directory=True)


def matching(*patterns: str) -> Callable[[str, Collection[str]], bool]:
    """Files by name whose content stands for itself, whatever else of their folder is damaged."""
    return lambda name, damaged: any(fnmatch.fnmatch(name, pattern) for pattern in patterns)


def listed(folder: Path) -> tuple[list[str], list[str], list[str]]:
    """Relative names of all files, links and folders below `folder` that are not hidden; links are not followed."""
    files, links, folders = [], [], ["."]
    for inside in folders:
        for entry in os.scandir(folder / inside):
            if entry.name.startswith("."):
                continue
            name = entry.name if inside == "." else f"{inside}/{entry.name}"
            kind = links if entry.is_symlink() else folders if entry.is_dir() else files
            kind.append(name)
    return sorted(files), sorted(links), folders


def _held(path: Path) -> Held:
    """A file's state; its content is on the disk when this returns."""
    with path.open("rb") as file:
        os.fsync(file.fileno())
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    return _with_times(path, digest)


def _with_times(path: Path, sha256: str) -> Held:
    found = path.stat()
    return Held(found.st_size, found.st_mtime_ns, found.st_ctime_ns, sha256)


def _digest(path: Path) -> str:
    """sha256 of a file; nothing where it cannot be read."""
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
