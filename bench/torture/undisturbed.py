"""An undisturbed run of a recipe, and what a disturbed run must have in common with it."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

from commands import LIMIT_S, run

_UNLIKE = {"started.json", "done.json", "run.json", "inputs.json", "run.lock", "report.html", "counts.json"}
_ASIDE = {"timings_s", "traces", "other_versions"}
"""Entries of a summary about the work itself."""


def results(folder: Path) -> dict[str, object]:
    """Results of a run that must not depend on when and how often it was started."""
    files = [p for p in folder.rglob("*") if p.is_file() and p.name not in _UNLIKE and p.suffix != ".patch"]
    found: dict[str, object] = {str(p.relative_to(folder)): p.read_bytes() for p in files}
    if (folder / "summary.json").is_file():
        told = json.loads((folder / "summary.json").read_text())
        found["summary.json"] = {key: value for key, value in told.items() if key not in _ASIDE}
    return found


def difference(one: dict[str, object], two: dict[str, object]) -> str:
    """The first file in which two runs differ."""
    for name in sorted({*one, *two}):
        if one.get(name) != two.get(name):
            return f"{name} is {'another' if name in one and name in two else 'not in both'}"
    return ""


class Whole:
    """An undisturbed run of a recipe, its stages and how long each took. Raises `RuntimeError` if it fails.

    Args:
        place: holds `own.toml`.
        overrides: of the recipe.
        verb: `run`, or the kind of stages that the run ends with.
    """

    def __init__(self, place: Path, *overrides: str, verb: str = "run") -> None:
        self.place, self.folder, self.overrides, self.verb = place, place / "whole", overrides, verb
        first = run(place, *self.command("whole"), limit_s=10 * LIMIT_S)
        if first.code:
            raise RuntimeError(f"exit {first.code}: {first.stderr}")
        stages = self.folder / "stages"
        done = sorted(stages.rglob("done.json"), key=lambda path: path.stat().st_mtime)
        self.seconds = {str(p.parent.relative_to(stages)): json.loads(p.read_text())["seconds"] for p in done}
        self.results = results(self.folder)

    def command(self, name: str) -> tuple[str, ...]:
        """Arguments of the command that makes the run `name`."""
        return self.verb, "own.toml", "--out", name, *self.overrides

    def without(self, stage: str, name: str) -> Path:
        """A copy of the run under `name` that lost a stage."""
        folder = self.place / name
        shutil.rmtree(folder, ignore_errors=True)
        shutil.copytree(self.folder, folder, symlinks=True)
        shutil.rmtree(folder / "stages" / stage)
        return folder

    def unlike(self, name: str) -> str:
        """Finish the run `name` with the same command; returns the problem with its end or result, if any."""
        last = run(self.place, *self.command(name), limit_s=10 * LIMIT_S)
        if last.code:
            return f"continues with exit {last.code}: {last.stderr}"
        again = run(self.place, *self.command(name))
        if "nothing to do" not in again.stdout:
            return f"is not finished: {again.stdout[-200:]}"
        return difference(results(self.place / name), self.results)
