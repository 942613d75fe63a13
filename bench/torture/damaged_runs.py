"""Finished runs with one lost or damaged file, and full disks: the same command must repair the run."""

from __future__ import annotations

import random
import shutil
from collections.abc import Callable
from pathlib import Path

from bad_inputs import DAMAGE
from commands import LIMIT_S, Command, run
from places import Places
from table import Table
from undisturbed import difference, results

KINDS = ("missing", "empty", "half", "zeros", "a folder", "a link to itself")


def _flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def try_all(table: Table, places: Places, share: int = 1) -> None:
    """Each kind of damage to one file of each kind of name; then lost folders, and full disks."""
    place = places.fresh()
    first = run(place, "run", "own.toml", "--out", "whole", limit_s=5 * LIMIT_S)
    if first.code:
        table.note("damaged runs", "undisturbed", first.stderr)
        return
    whole = results(place / "whole")
    spoils: dict[str, Callable[[Path], None]] = {"a flipped bit": _flip, **{kind: DAMAGE[kind] for kind in KINDS}}
    tries = [
        (kind, name)
        for name in _one_of_each(place / "whole")
        for kind in spoils
        if (place / "whole" / name).stat().st_size  # an empty file has no bit to flip and no half
    ]
    for kind, name in tries[::share]:
        table.note("damaged runs", f"{name}: {kind}", _mended(place, name, spoils[kind], whole))
    for name in ("stages/data", "stages/speech/train", "stages/seed0/align", "stages/seed0"):
        table.note("damaged runs", f"{name}: lost", _mended(place, name, shutil.rmtree, whole))
    full_disks(table, place, whole, share)
    places.done(place)


def _one_of_each(folder: Path) -> list[str]:
    """One file for each ending in each folder, without the run's lock."""
    rng, kinds = random.Random(1), {}
    files = [path for path in sorted(folder.rglob("*")) if path.is_file() and path.name != "run.lock"]
    rng.shuffle(files)
    for path in files:
        place = path.parent.parent if path.parent.parent.name == "wav" else path.parent
        key = path.suffix if path.suffix in (".wav", ".png", ".patch") else path.name
        kinds.setdefault((place, key), path.relative_to(folder).as_posix())
    return sorted(kinds.values())


def _mended(place: Path, name: str, spoil: Callable[[Path], None], whole: dict[str, object]) -> str:
    """The problem after at most two runs: the first may say what to delete, which is then deleted."""
    folder = place / "copy"
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(place / "whole", folder, symlinks=True)
    path = folder / name
    spoil(path)
    for last in (False, True):
        try:
            result = run(place, "run", "own.toml", "--out", "copy", limit_s=5 * LIMIT_S)
        except TimeoutError:
            return "hangs"
        if result.code == 0:
            return difference(results(folder), whole)
        if result.code != 2 or result.stderr.count("\n") != 1 or "delete" not in result.stderr or last:
            return f"exit {result.code}: {result.stderr}"
        shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink(missing_ok=True)
    return "is not mended"


def full_disks(table: Table, place: Path, whole: dict[str, object], share: int) -> None:
    """Limit file sizes: the command must exit with 2 and one line, and continue when there is room."""
    for largest in (0, 100, 3_000, 20_000, 60_000, 90_000, 120_000, 150_000)[::share]:
        shutil.rmtree(place / "full", ignore_errors=True)
        result = Command(place, "run", "own.toml", "--out", "full", largest_file=largest).result(5 * LIMIT_S)
        wrong = ""
        if result.code not in (0, 2) or (result.code == 2 and largest and result.stderr.count("\n") != 1):
            wrong = f"exit {result.code}: {result.stderr}"
        again = run(place, "run", "own.toml", "--out", "full", limit_s=5 * LIMIT_S)
        wrong = wrong or (again.stderr if again.code else difference(results(place / "full"), whole))
        table.note("full disk", f"files of {largest} bytes at most", wrong)
