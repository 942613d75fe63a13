"""The cache of files that are made from data: pictures from tables, crops, frames and sounds of videos.

The cache is the folder in the environment variable EARWISE_CACHE, or else `earwise` in the user's cache folder. It is
not beside the data, which may be read-only. It can be deleted when no run is active; its files are made again.

Files are named by the content of their input, so a changed input never gives an old file. They are written in one step,
so several processes can make the same file at the same time.
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
"""Increased when the same input gives other files."""


def cache_folder() -> Path:
    """The cache, which may not exist yet. Raises `InputError` if there is no home folder for it."""
    if named := os.environ.get(VARIABLE):
        return Path(named).absolute()
    if sys.platform == "win32":
        base = os.environ.get("LOCALAPPDATA")
    else:
        base = os.environ.get("XDG_CACHE_HOME")
    if base and Path(base).is_absolute():  # the XDG specification ignores relative paths
        return Path(base) / "earwise"
    try:
        home = Path.home()
    except RuntimeError:
        raise InputError("no home folder to keep derived files in", remedy=f"name a folder in {VARIABLE}") from None
    return home / ("Library/Caches" if sys.platform == "darwin" else ".cache") / "earwise"


def is_derived(path: str | Path) -> bool:
    """Whether an absolute path is in the cache."""
    path = Path(path)
    return path.is_absolute() and ".." not in path.parts and path.is_relative_to(cache_folder())


def derived_path(kind: str, content: str, *choices: object, ending: str = "") -> Path:
    """The path of the file or folder that is made from an input.

    Args:
        kind: folder of the cache: `images`, `crops`, `frames`, `sounds`, `media`.
        content: hex SHA-256 of the input.
        choices: everything else that the result depends on.
        ending: file name ending, with the dot.
    """
    name = hashlib.sha256(repr((_FORM, content, choices)).encode()).hexdigest()[:32]
    return cache_folder() / kind / f"{name}{ending}"


def content_digest(path: Path) -> str:
    """Hex SHA-256 of a file's content, cached until the file changes."""
    state = path.stat()
    return _digest(path.absolute(), state.st_ino, state.st_size, state.st_mtime_ns, state.st_ctime_ns)


@lru_cache(maxsize=65536)
def _digest(path: Path, *state: int) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def write_derived(path: Path, content: bytes) -> None:
    """Write a file of the cache in one step; raises `InputError` with the remedy for a full cache."""
    try:
        write_bytes_atomic(path, content)
    except InputError as error:
        raise cannot_write(error) from None


def cannot_write(error: InputError) -> InputError:
    """A write error of the cache, with its remedy."""
    remedy = f"this is the cache: make room, or name another folder in {VARIABLE}"
    return InputError(error.what, file=error.file, record=error.record, remedy=remedy)
