"""A run: a folder in which each stage writes its results, with a final marker.

    runs/quickstart/
      run.json  recipe.json          the origin, one entry per attempt; the recipe with all defaults
      stages/align/started.json      what the stage depends on
      stages/align/...               what the stage writes
      stages/align/metrics.jsonl     its numbers by step
      stages/align/done.json         written last: the stage is complete

Running again continues. A finished stage with the same fingerprint is skipped. An unfinished one is called again on its
own folder. A stage whose settings, inputs or needed stages changed is cleared and starts over; a needed stage that was
repeated with the same result does not count as changed. `done.json` lists the stage's files (`earwise.work.manifest`):
a stage with lost or damaged files is repaired or repeated.
"""

from __future__ import annotations

import json
import re
import shutil
import tempfile
import time
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Any, Final, Protocol, get_args

from earwise.errors import EarwiseError, InputError
from earwise.recipe.table import Precision
from earwise.work import arithmetic
from earwise.work.fingerprints import changes, fingerprint
from earwise.work.job import Job as Job
from earwise.work.job import StageContext as StageContext
from earwise.work.locks import FileLock
from earwise.work.markers import DONE, STARTED, Found, Marker, clear_but, read_marker
from earwise.work.metrics import Metrics
from earwise.work.progress import duration
from earwise.work.provenance import InputHashes, attempt, code_versions
from earwise.work.ranks import ALONE, END, Ranks
from earwise.work.store import PART, read_json, write_atomic

RECIPE: Final = "recipe.json"
_PRECISIONS: Final[tuple[Precision, ...]] = get_args(Precision)


class Written(Protocol):
    """The parts of a recipe that a run records."""

    @property
    def name(self) -> str:
        """The recipe's name."""

    @property
    def seeds(self) -> tuple[int, ...]:
        """The seeds of its training runs."""

    def model_dump_json(self, *, indent: int) -> str:
        """The recipe with defaults and overrides."""


class Run:
    """The folder of a recipe's run. `say` receives the lines for the user."""

    def __init__(
        self,
        folder: Path,
        recipe: Written,
        recipe_file: Path | None = None,
        *,
        command: Sequence[str] = (),
        say: Callable[[str], None] = print,
        ranks: Ranks = ALONE,
        read_all: bool = False,
    ) -> None:
        self.folder, self.recipe, self.recipe_file = folder, recipe, recipe_file
        self.command, self.say, self.ranks, self.read_all = list(command), say, ranks, read_all
        self.running: str | None = None
        """Name of the stage that is working or has failed."""
        self._group, self._group_seconds, self._group_is_shown = "", 0.0, False
        self._groups: dict[str, str] = {}
        """The group of each stage."""
        self._together = False
        """Whether all processes are working on a stage together."""

    def execute(self, stages: Sequence[Job], only: Collection[str] | None = None) -> list[str]:
        """Bring `stages` up to date, in order; returns the names of those that worked. With `only`, just these stages
        and what they need. With several processes, each calls this; only the first works, except in stages of all
        processes. Raises `InputError` if another run is working in this folder or an input is missing, and whatever a
        stage raises.
        """
        _check_plan(stages)
        chosen = _with_needs(stages, only)
        if not self.ranks.is_main:
            return self._follow(chosen)
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            remedy = "wait until that one ends, or choose another folder with --out"
            lock = FileLock(self.folder / "run.lock", "the run folder", remedy)
        except OSError as error:
            raise InputError(f"cannot be a run's folder: {error.strerror}", file=self.folder) from None
        try:
            return self._bring_up_to_date(chosen)
        finally:
            lock.release()
            if not self._together:  # else the others wait inside the stage, and end with this process
                self.ranks.tell(END)

    def _follow(self, stages: Sequence[Job]) -> list[str]:
        """The work of a process that is not the first."""
        worked = []
        while (number := self.ranks.hear()) != END:
            stage = stages[number]
            worked.append(stage.name)
            self.running = stage.name
            precision = tuple(_PRECISIONS[self.ranks.hear()] for _ in stage.precision)
            stage.work(self._context(stage, precision, {}))
            self.ranks.meet()
            self.running = None
        return worked

    def _bring_up_to_date(self, stages: Sequence[Job]) -> list[str]:
        depends = self._depends(stages)
        self._groups = {stage.name: stage.group for stage in stages}
        found = {stage.name: self._found(stage, depends[stage.name]) for stage in stages}
        if waiting := _may_work(stages, found):
            _check_all(waiting)
            self._record_attempt()
        elif not _is_json(self.folder / RECIPE):
            self.say(f"{self.folder / RECIPE}: was lost or damaged and is written again")
            self._record_recipe()
        done: dict[str, Marker] = {}
        worked: list[str] = []
        for number, stage in enumerate(stages):
            self._begin_group(stage)
            marker = found[stage.name].whole
            if marker is None or _other_now(marker, done):
                worked.append(stage.name)
                self.running = stage.name
                self._check_processes(stage)
                self._open_again(stage, found[stage.name])
                marker = self._work(stage, depends[stage.name], done, number)
                self.running = None
            done[stage.name] = marker
            self._group_seconds += marker.seconds
            if number + 1 == len(stages) or stages[number + 1].group != stage.group:
                self.say(f"{stage.group}: done, {duration(self._group_seconds)}")
        return worked

    def _begin_group(self, stage: Job) -> None:
        if stage.group != self._group:
            self._group, self._group_seconds, self._group_is_shown = stage.group, 0.0, False

    def _check_processes(self, stage: Job) -> None:
        if stage.processes == "one" and self.ranks.count > 1:
            what = f"this stage is made for one process, and there are {self.ranks.count}"
            remedy = f"run `earwise {stage.verb}` by itself first, then all of the recipe with several processes"
            raise InputError(what, remedy=remedy)

    def _found(self, stage: Job, depends: dict[str, Any]) -> Found:
        """The state of the stage's folder; nothing is cleared yet."""
        marker = self._read(self._folder(stage), DONE)
        if marker is None or marker.fingerprint != fingerprint(depends) or self._missing_outputs(stage):
            return Found(None)
        damage = marker.damage(read_all=self.read_all)
        return Found(marker, tuple(damage)) if damage else Found(marker.refresh(self._folder(stage)))

    def _read(self, folder: Path, name: str) -> Marker | None:
        return read_marker(self.folder, folder, name, self.say)

    def _open_again(self, stage: Job, found: Found) -> None:
        """Report damage and what is repeated, and reset the folder to an unfinished stage."""
        if found.done is None or not found.damage:
            return
        gone, files = {one.name for one in found.damage}, found.done.files.names
        more = f" and {len(gone) - 1} more files are damaged" if len(gone) > 1 else ""
        self.say(f"{stage.name}: damaged: {found.damage[0].name}: {found.damage[0].what}{more}")
        keeps = stage.keeps
        kept = [name for name in files if name not in gone and (not gone & files or keeps(name, gone))]
        if kept:
            self.say(f"{stage.name}: opened again, {len(kept)} of {len(files)} files are kept")
            clear_but(self._folder(stage), kept)
        else:
            took, way_out = duration(found.done.seconds), "to keep it, stop now and put back the file"
            self.say(f"{stage.name}: all of it is done again, which took {took} ({way_out})")
            self._clear(stage)

    def _work(self, stage: Job, depends: dict[str, Any], done: dict[str, Marker], number: int) -> Marker:
        """Run one stage between its two markers; returns the final one."""
        folder = self._folder(stage)
        with self._about_the_folder():
            started = self._prepare(stage, depends, done)
        began = time.time()
        precision = arithmetic.settle(stage.precision, _began_with(stage, started), stage.name, self.say)
        started = replace(started, precision=precision)
        started.write(folder, STARTED, began=began)
        if stage.processes == "all":
            self.ranks.tell(number)
            self._together = True
            for one in precision:  # the first process decides: other machines may be of another kind
                self.ranks.tell(_PRECISIONS.index(one))
        stage.work(self._context(stage, precision, done))
        if self._together:
            self.ranks.meet()
            self._together = False
        if missing := self._missing_outputs(stage):
            raise EarwiseError(f"the stage ended without writing {missing[0]}")
        _remove_unfinished(folder)
        seconds = round(started.seconds + time.time() - began, 3)
        ended = started.vouch(self.folder, folder, stage.outputs, seconds=seconds)
        ended.write(folder, DONE)
        return ended

    def _context(self, stage: Job, precision: tuple[Precision, ...], done: dict[str, Marker]) -> StageContext:
        folder = self._folder(stage)
        timings_s: dict[str, float] = {}
        for name, one in done.items():
            group = self._groups[name]
            timings_s[group] = round(timings_s.get(group, 0.0) + one.seconds, 3)
        made_with = {name: one.versions for name, one in done.items()}
        metrics = Metrics(folder / "metrics.jsonl")
        return StageContext(
            stage, folder, self.folder, metrics, self.say, timings_s, precision, self._versions, made_with
        )

    @cached_property
    def _versions(self) -> dict[str, str]:
        return code_versions()

    def _prepare(self, stage: Job, depends: dict[str, Any], done: dict[str, Marker]) -> Marker:
        """Prepare the stage's folder, continued or empty; returns the marker for its beginning."""
        folder = self._folder(stage)
        made_from = {name: done[name].content for name in stage.needs}
        fresh = Marker(stage.name, fingerprint(depends), depends, versions=self._versions, made_from=made_from)
        found = self._read(folder, DONE) or self._read(folder, STARTED)
        if found and found.fingerprint == fresh.fingerprint and found.made_from == made_from:
            again = found.continued(folder, self._versions)
            (folder / DONE).unlink(missing_ok=True)
            self.say(f"{stage.name}: continues after {duration(again.seconds)}")
            return again
        if found:
            self.say(f"{stage.name}: starts over, {changes(found, fresh)}")
        elif not self._group_is_shown:
            self.say(f"{stage.group}: starts")
            self._group_is_shown = True
        if found and stage.reuses:
            (folder / DONE).unlink(missing_ok=True)
        else:
            self._clear(stage)
            folder.mkdir(parents=True)
        return fresh

    @contextmanager
    def _about_the_folder(self) -> Iterator[None]:
        """Report problems with the run's folder itself as `InputError`."""
        try:
            yield
        except (NotADirectoryError, IsADirectoryError, FileExistsError, PermissionError) as error:
            remedy = "delete what is there, or choose another folder with --out"
            raise InputError(
                f"is in the way of the run: {error.strerror}", file=error.filename, remedy=remedy
            ) from None

    def _clear(self, stage: Job) -> None:
        """Remove the stage's results. The folder is renamed first: a kill leaves no half-cleared one."""
        for name in stage.outputs:
            (self.folder / name).unlink(missing_ok=True)
        if self._folder(stage).exists():
            trash = Path(tempfile.mkdtemp(prefix=".cleared-", dir=self.folder / "stages"))
            self._folder(stage).rename(trash / "folder")
        for trash in (self.folder / "stages").glob(".cleared-*"):
            shutil.rmtree(trash)

    def _depends(self, stages: Sequence[Job]) -> dict[str, dict[str, Any]]:
        """What each stage depends on, except the content of the stages that it needs."""
        hashes = InputHashes(self.folder / "inputs.json")
        depends: dict[str, dict[str, Any]] = {}
        for stage in stages:
            depends[stage.name] = {
                "settings": json.loads(json.dumps(stage.settings)),
                "seed": stage.seed,
                "inputs": {key: hashes.of(path) for key, path in stage.inputs.items()},
                "needs": list(stage.needs),
                "version": stage.version,
            }
        hashes.save()
        return depends

    def _record_attempt(self) -> None:
        """Add this attempt to `run.json` and write the resolved recipe, before the first stage works."""
        _remove_unfinished(self.folder)
        path = self.folder / "run.json"
        attempts = _attempts(path)
        this = attempt(self.folder, self.command, self.recipe.seeds, self.recipe_file)
        attempts.append({**this, "processes": self.ranks.count})
        write_atomic(path, _json({"recipe": self.recipe.name, "attempts": attempts}))
        self._record_recipe()

    def _record_recipe(self) -> None:
        with self._about_the_folder():
            write_atomic(self.folder / RECIPE, self.recipe.model_dump_json(indent=2) + "\n")

    def _folder(self, stage: Job) -> Path:
        return self.folder / "stages" / stage.name

    def _missing_outputs(self, stage: Job) -> list[str]:
        return [name for name in stage.outputs if not (self.folder / name).exists()]


def _is_json(path: Path) -> bool:
    try:
        json.loads(path.read_bytes())
    except (OSError, ValueError):
        return False
    return True


def _may_work(stages: Sequence[Job], found: dict[str, Found]) -> list[Job]:
    """The stages that must work, and all that need them, which may have to."""
    may: list[Job] = []
    whole: dict[str, Marker] = {}
    for stage in stages:
        marker = found[stage.name].whole
        if marker is None or not whole.keys() >= {*stage.needs} or _other_now(marker, whole):
            may.append(stage)
        else:
            whole[stage.name] = marker
    return may


def _other_now(marker: Marker, done: dict[str, Marker]) -> list[str]:
    """Needed stages whose content has changed since the stage of `marker` was made."""
    return [name for name, was in marker.made_from.items() if done[name].content != was]


def _check_all(stages: Sequence[Job]) -> None:
    """Call each distinct check of the stages once."""
    checks: list[Callable[[], None]] = []
    for check in (check for stage in stages for check in stage.check):
        if check not in checks:
            checks.append(check)
            check()


def _remove_unfinished(folder: Path) -> None:
    """Remove the temporary files that killed processes left: of an earlier command, or workers of this one."""
    for unfinished in folder.rglob(f".*{PART}"):
        unfinished.unlink()


def _began_with(stage: Job, marker: Marker) -> tuple[Precision, ...] | None:
    """The precisions that an earlier attempt began with; None without one."""
    told = marker.precision
    return (told * len(stage.precision) if len(told) == 1 else told) or None


def _attempts(path: Path) -> list[Any]:
    """The attempts in a `run.json`; raises `InputError` for a damaged file."""
    found = read_json(path) if path.exists() else {"attempts": []}
    if not isinstance(found, dict) or not isinstance(found.get("attempts"), list):
        raise InputError("is not a list of attempts", file=path, remedy="delete it to begin a new one")
    return list(found["attempts"])


def _check_plan(stages: Sequence[Job]) -> None:
    """Check that stages have separate folders and come after what they need; raises `ValueError`."""
    names: list[str] = []
    for stage in stages:
        if not re.fullmatch(r"[\w-][\w.-]*(/[\w-][\w.-]*)*", stage.name):
            raise ValueError(f"{stage.name!r} is not the name of a stage")
        for name in names:
            if f"{stage.name}/".startswith(f"{name}/") or f"{name}/".startswith(f"{stage.name}/"):
                raise ValueError(f"stages {name} and {stage.name} would share a folder")
        if late := [need for need in stage.needs if need not in names]:
            raise ValueError(f"stage {stage.name} needs {late[0]}, which does not come before it")
        names.append(stage.name)


def _with_needs(stages: Sequence[Job], only: Collection[str] | None) -> list[Job]:
    """The stages named in `only` and all that they need, in order."""
    if only is None:
        return list(stages)
    if unknown := set(only) - {stage.name for stage in stages}:
        raise ValueError(f"no stage is named {sorted(unknown)[0]!r}")
    wanted = set(only)
    for stage in reversed(stages):
        if stage.name in wanted:
            wanted.update(stage.needs)
    return [stage for stage in stages if stage.name in wanted]


def _json(value: Any) -> str:
    return json.dumps(value, indent=2) + "\n"
