"""Wheels and Debian archives to plain folders. Nothing of them is imported or run, and no root is needed."""

from __future__ import annotations

import shutil
import tempfile
import zipfile
from collections.abc import Callable
from pathlib import Path

from earwise.errors import InputError
from earwise.real.fetch import program, run


def unpack(archive: Path, folder: Path) -> None:
    """Put the files of a `.whl` or `.deb` below `folder`; raises `InputError` for a damaged one."""
    if archive.suffix == ".deb":
        program("dpkg", archive.name)
        run(["dpkg", "--extract", str(archive.resolve()), str(folder.resolve())], folder, archive.name)
        return
    try:
        with zipfile.ZipFile(archive) as wheel:  # its names cannot lead out of the folder: `zipfile` cuts them
            wheel.extractall(folder)
    except zipfile.BadZipFile as error:
        raise InputError(f"is no wheel: {error}", file=archive, remedy="delete it and run again") from None


def make_once(folder: Path, stamp: str, make: Callable[[Path], None]) -> bool:
    """Fill `folder` by `make`, whole or not at all, unless it was made with the same `stamp`; whether it was made now.

    The stamp names all that decides the content, and stands in `made-from.txt`.
    """
    told = folder / "made-from.txt"
    if told.is_file() and told.read_text(encoding="utf-8") == stamp:
        return False
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix="making-") as place:
        made = Path(place) / "made"
        made.mkdir()
        make(made)
        (made / told.name).write_text(stamp, encoding="utf-8")
        shutil.rmtree(folder, ignore_errors=True)
        made.replace(folder)
    return True
