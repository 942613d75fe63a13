"""Where files go that are made out of data: pictures out of tables, crops, frames and sounds of videos.

Never beside the data, which may be read-only and belongs to somebody else, but into the cache: the folder that the
environment variable EARWISE_CACHE names, else `earwise` in the user's cache folder. Everything there can be deleted
whenever no run is at work; it is made again.

Files are named by the content that they are made from, so a changed input has another name and never gives an old
file. They are written in one step, so several processes may make the same one at a time.
"""

from __future__ import annotations

import hashlib
import os
import sys
from functools import lru_cache
from pathlib import Path
from typing import Final

from earwise.errors import InputError
from earwise.work.store import write_bytes_atomic

VARIABLE: Final = "EARWISE_CACHE"
_FORM: Final = 1
"""Counted up when the same input begins to give other files."""


def cache_folder() -> Path:
    """The cache; it need not exist yet. Raises `InputError` where there is no home folder to put it into."""
    if named := os.environ.get(VARIABLE):
        return Path(named).absolute()
    if sys.platform == "win32":
        base = os.environ.get("LOCALAPPDATA")
    else:
        base = os.environ.get("XDG_CACHE_HOME")
    if base and Path(base).is_absolute():  # as the XDG specification has it: a relative one is ignored
        return Path(base) / "earwise"
    try:
        home = Path.home()
    except RuntimeError:
        raise InputError("no home folder to keep derived files in", remedy=f"name a folder in {VARIABLE}") from None
    return home / ("Library/Caches" if sys.platform == "darwin" else ".cache") / "earwise"


def is_derived(path: str | Path) -> bool:
    """Whether an absolute path leads into the cache."""
    path = Path(path)
    return path.is_absolute() and ".." not in path.parts and path.is_relative_to(cache_folder())


def derived_path(kind: str, content: str, *choices: object, ending: str = "") -> Path:
    """Where the file or folder is that is made from `content` (a digest) by `choices`.

    Args:
        kind: folder of the cache: `images`, `crops`, `frames`, `sounds`, `media`.
        content: hex SHA-256 of what it is made from.
        choices: everything else that decides what it holds.
        ending: of its name, with the dot.
    """
    name = hashlib.sha256(repr((_FORM, content, choices)).encode()).hexdigest()[:32]
    return cache_folder() / kind / f"{name}{ending}"


def content_digest(path: Path) -> str:
    """Hex SHA-256 of a file's content, which is read again only if the file has changed since."""
    state = path.stat()
    return _digest(path.absolute(), state.st_ino, state.st_size, state.st_mtime_ns, state.st_ctime_ns)


@lru_cache(maxsize=65536)
def _digest(path: Path, *state: int) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def write_derived(path: Path, content: bytes) -> None:
    """Write a file of the cache in one step; raises `InputError` that says how to name another cache."""
    try:
        write_bytes_atomic(path, content)
    except InputError as error:
        raise cannot_write(error) from None


def cannot_write(error: InputError) -> InputError:
    """`error`, that a file of the cache cannot be written, with its remedy."""
    remedy = f"this is the cache: make room, or name another folder in {VARIABLE}"
    return InputError(error.what, file=error.file, record=error.record, remedy=remedy)
