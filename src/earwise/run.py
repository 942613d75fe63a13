"""A run: a folder in which stages leave their results, each behind a marker that is written last.

    runs/quickstart/
      run.json  recipe.json          where it came from, one entry per attempt; the recipe with all defaults in it
      stages/align/started.json      what the stage depends on, and that it was begun
      stages/align/...               whatever the stage writes
      stages/align/metrics.jsonl     its numbers over steps
      stages/align/done.json         written last: the stage is whole

Running again continues: a stage that is done with the same fingerprint is skipped, one that was begun with it is called
again on its own folder, and one whose settings, inputs or needed stages changed is cleared and starts over.
"""

from __future__ import annotations

import hashlib
import json
import re
import shutil
import tempfile
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal, TypeVar, get_args

from pydantic import JsonValue

from earwise import arithmetic
from earwise.errors import EarwiseError, InputError
from earwise.locks import FileLock
from earwise.metrics import Metrics
from earwise.progress import duration, track
from earwise.provenance import InputHashes, attempt
from earwise.ranks import ALONE, END, Ranks
from earwise.recipe import resolved_json
from earwise.settings import Recipe
from earwise.store import PART, read_json, write_atomic
from earwise.training_settings import AskedPrecision, Optimisation, Precision

S = TypeVar("S", bound=Optimisation)
T = TypeVar("T")

_PRECISIONS: Final[tuple[Precision, ...]] = get_args(Precision)


@dataclass(frozen=True, kw_only=True)
class Stage:
    """One step of a run. What it does may depend on nothing but the fields below.

    `work` may be killed at any time and is then called again on the same folder: it continues from what it finds there.
    """

    name: str
    """Folder below `stages/`, such as `speech` or `seed0/train.sft`."""
    work: Callable[[StageContext], None]
    settings: dict[str, JsonValue]
    """The part of the recipe that its result depends on."""
    seed: int = 0
    needs: tuple[str, ...] = ()
    """Stages that come before it and whose folders it reads."""
    inputs: tuple[Path, ...] = ()
    """Files and folders from outside the run that it reads."""
    outputs: tuple[str, ...] = ()
    """Files that it leaves outside its own folder, relative to the run's folder, such as `summary.json`."""
    check: Callable[[], None] | None = None
    """What can be found wrong before any stage works, where this one is among those that will; raises `InputError`."""
    processes: Literal["main", "all", "one"] = "main"
    """Who works where several processes run the recipe: the first while the others wait, all of them together, or
    nobody, as the work is made for one process.
    """
    precision: tuple[AskedPrecision, ...] = ()
    """What the recipe asks for, for each of its trainings in their order; empty where nothing is trained."""

    @property
    def verb(self) -> str:
        """What kind of stage it is: `train` for `seed0/train.sft`."""
        return self.name.rpartition("/")[2].partition(".")[0]


@dataclass(frozen=True)
class StageContext:
    """What a stage's work is given."""

    stage: Stage
    folder: Path
    """The stage's own folder."""
    run_folder: Path
    metrics: Metrics
    """Writes to `metrics.jsonl` in the stage's folder."""
    say: Callable[[str], None]
    """Tells the person who runs it one line."""
    timings_s: dict[str, float]
    """Seconds that each stage before this one took, interrupted attempts included."""
    precision: tuple[Precision, ...] = ()
    """What the stage computes in: `Stage.precision`, resolved when it began."""

    @property
    def seed(self) -> int:
        """The stage's seed."""
        return self.stage.seed

    @property
    def settings(self) -> dict[str, JsonValue]:
        """The stage's settings."""
        return self.stage.settings

    def folder_of(self, name: str) -> Path:
        """Folder of a stage that this one needs; `ValueError` if it does not say so, as its fingerprint would lie."""
        if name not in self.stage.needs:
            raise ValueError(f"stage {self.stage.name} reads stage {name}, which is not among its needs")
        return self.run_folder / "stages" / name

    def settled(self, settings: S, number: int = 0) -> S:
        """`settings` of the stage's training `number`, with the precision that was resolved when the stage began."""
        return settings.model_copy(update={"precision": self.precision[number]})

    def track(self, iterable: Iterable[T], total: int | None = None, what: str | None = None) -> Iterator[T]:
        """Yield from `iterable` and show progress under the stage's name."""
        return track(iterable, total, what or self.stage.name)


class Run:
    """The folder of one recipe's run. `say` is given one line for each thing that a person should know."""

    def __init__(
        self,
        folder: Path,
        recipe: Recipe,
        recipe_file: Path | None = None,
        *,
        command: Sequence[str] = (),
        say: Callable[[str], None] = print,
        ranks: Ranks = ALONE,
    ) -> None:
        self.folder, self.recipe, self.recipe_file = folder, recipe, recipe_file
        self.command, self.say, self.ranks = list(command), say, ranks
        self.running: str | None = None
        """Name of the stage that is at work, or that failed."""
        self._together = False
        """Whether all processes are in a stage that they work on together."""

    def execute(self, stages: Sequence[Stage], only: Collection[str] | None = None) -> list[str]:
        """Bring `stages` up to date, in order; returns the names of those whose work was called.

        With `only`, just these stages and what they need. Of several processes, all call this; all but the first work
        only where that one has them work. Raises `EarwiseError` if another run is at work in this folder, `InputError`
        for a missing input, and whatever a stage raises.
        """
        _check_plan(stages)
        chosen = _with_needs(stages, only)
        if not self.ranks.is_main:
            return self._follow(chosen)
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            lock = FileLock(self.folder / "run.lock", "the run folder")
        except OSError as error:
            raise InputError(f"cannot be a run's folder: {error.strerror}", file=self.folder) from None
        try:
            return self._bring_up_to_date(chosen)
        finally:
            lock.release()
            if not self._together:  # Else the others wait for this process elsewhere, and end with it.
                self.ranks.tell(END)

    def _follow(self, stages: Sequence[Stage]) -> list[str]:
        """What a process does that is not the first one."""
        worked = []
        while (number := self.ranks.hear()) != END:
            stage = stages[number]
            worked.append(stage.name)
            self.running = stage.name
            folder = self._folder(stage)
            precision = tuple(_PRECISIONS[self.ranks.hear()] for _ in stage.precision)
            metrics = Metrics(folder / "metrics.jsonl")
            stage.work(StageContext(stage, folder, self.folder, metrics, self.say, {}, precision))
            self.ranks.meet()
            self.running = None
        return worked

    def _bring_up_to_date(self, stages: Sequence[Stage]) -> list[str]:
        depends = self._depends(stages)
        done = {stage.name: self._done(stage, depends[stage.name]) for stage in stages}
        waiting = [stage for stage in stages if done[stage.name] is None]
        if waiting:
            _check_all(waiting)
            self._record_attempt()
        timings_s: dict[str, float] = {}
        for number, stage in enumerate(stages):
            seconds = done[stage.name]
            if seconds is None:
                self.running = stage.name
                self._check_processes(stage)
                seconds = self._work(stage, depends[stage.name], dict(timings_s), number)
                self.running = None
            timings_s[stage.name] = seconds
            self.say(f"{stage.name}: done, {duration(seconds)}")
        return [stage.name for stage in waiting]

    def _done(self, stage: Stage, depends: dict[str, Any]) -> float | None:
        """Seconds that a stage took which is done and whole; None for one that is to work."""
        done = self._read(stage, "done.json")
        if done is None or done["fingerprint"] != fingerprint(depends) or self._missing_outputs(stage):
            return None
        return float(done["seconds"])

    def _check_processes(self, stage: Stage) -> None:
        if stage.processes == "one" and self.ranks.count > 1:
            what = f"this stage is made for one process, and there are {self.ranks.count}"
            remedy = f"run `earwise {stage.verb}` by itself first, then all of the recipe with several processes"
            raise InputError(what, remedy=remedy)

    def _work(self, stage: Stage, depends: dict[str, Any], timings_s: dict[str, float], number: int) -> float:
        """Run one stage from where it stands, between its two markers; returns the seconds it took in all."""
        folder = self._folder(stage)
        before_s, kept = self._prepare(stage, depends)
        began = time.time()
        precision = arithmetic.settle(stage.precision, kept, stage.name, self.say)
        marker = {"stage": stage.name, "fingerprint": fingerprint(depends), "depends": depends, **_resolved(precision)}
        write_atomic(folder / "started.json", _json({**marker, "began": began, "seconds": before_s}))
        metrics = Metrics(folder / "metrics.jsonl")
        if stage.processes == "all":
            self.ranks.tell(number)
            self._together = True
            for one in precision:  # That of the first process, as the others may be on machines of another kind.
                self.ranks.tell(_PRECISIONS.index(one))
        stage.work(StageContext(stage, folder, self.folder, metrics, self.say, timings_s, precision))
        if self._together:
            self.ranks.meet()
            self._together = False
        if missing := self._missing_outputs(stage):
            raise EarwiseError(f"the stage ended without writing {missing[0]}")
        seconds = round(before_s + time.time() - began, 3)
        write_atomic(folder / "done.json", _json({**marker, "seconds": seconds}))
        return seconds

    def _prepare(self, stage: Stage, depends: dict[str, Any]) -> tuple[float, tuple[Precision, ...] | None]:
        """Leave the stage's folder fit to work in: as it is, or empty. Returns the seconds of work that lie in it and
        the precision that it began with.
        """
        folder = self._folder(stage)
        found = self._read(stage, "done.json") or self._read(stage, "started.json")
        if found and found["fingerprint"] == fingerprint(depends):
            before_s = _seconds_spent(folder, found)
            (folder / "done.json").unlink(missing_ok=True)
            self.say(f"{stage.name}: continues after {duration(before_s)}")
            return before_s, _began_with(stage, found)
        if found:
            self.say(f"{stage.name}: starts over, {', '.join(changes(found['depends'], depends))}")
        else:
            self.say(f"{stage.name}: starts")
        self._clear(stage)
        folder.mkdir(parents=True)
        return 0.0, None

    def _clear(self, stage: Stage) -> None:
        """Remove what the stage left. The folder goes in one step: a kill leaves no half-cleared one behind."""
        for name in stage.outputs:
            (self.folder / name).unlink(missing_ok=True)
        if self._folder(stage).exists():
            trash = Path(tempfile.mkdtemp(prefix=".cleared-", dir=self.folder / "stages"))
            self._folder(stage).rename(trash / "folder")
        for trash in (self.folder / "stages").glob(".cleared-*"):
            shutil.rmtree(trash)

    def _depends(self, stages: Sequence[Stage]) -> dict[str, dict[str, Any]]:
        """What each stage depends on: its settings, seed, input hashes and the fingerprints of the stages it needs."""
        hashes = InputHashes(self.folder / "inputs.json")
        depends: dict[str, dict[str, Any]] = {}
        for stage in stages:
            depends[stage.name] = {
                "settings": json.loads(json.dumps(stage.settings)),
                "seed": stage.seed,
                "inputs": {str(path): hashes.of(path) for path in stage.inputs},
                "needs": {name: fingerprint(depends[name]) for name in stage.needs},
            }
        hashes.save()
        return depends

    def _record_attempt(self) -> None:
        """Add this attempt to `run.json` and write the resolved recipe, before the first stage works."""
        for unfinished in self.folder.rglob(f".*{PART}"):
            unfinished.unlink()
        path = self.folder / "run.json"
        attempts = read_json(path)["attempts"] if path.exists() else []
        this = attempt(self.folder, self.command, self.recipe.seeds, self.recipe_file)
        attempts.append({**this, "processes": self.ranks.count})
        write_atomic(path, _json({"recipe": self.recipe.name, "attempts": attempts}))
        write_atomic(self.folder / "recipe.json", resolved_json(self.recipe))

    def _folder(self, stage: Stage) -> Path:
        return self.folder / "stages" / stage.name

    def _missing_outputs(self, stage: Stage) -> list[str]:
        return [name for name in stage.outputs if not (self.folder / name).exists()]

    def _read(self, stage: Stage, marker: str) -> dict[str, Any] | None:
        path = self._folder(stage) / marker
        return read_json(path) if path.exists() else None


def _check_all(stages: Sequence[Stage]) -> None:
    """Call the checks of the stages; several have the same one."""
    checks: list[Callable[[], None]] = []
    for stage in stages:
        if stage.check is not None and stage.check not in checks:
            checks.append(stage.check)
            stage.check()


def fingerprint(depends: dict[str, Any]) -> str:
    """sha256 of what a stage depends on; of an input it is the content that counts, not where it lies."""
    content = {**depends, "inputs": list(depends["inputs"].values())}
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def _resolved(precision: tuple[Precision, ...]) -> dict[str, JsonValue]:
    """What a marker says of the precision: one word, or one for each training where they differ."""
    if not precision:
        return {}
    return {"precision": precision[0] if len({*precision}) == 1 else [*precision]}


def _began_with(stage: Stage, marker: dict[str, Any]) -> tuple[Precision, ...] | None:
    """The inverse of `_resolved`."""
    said = marker.get("precision")
    if said is None:
        return None
    return tuple(said) if isinstance(said, list) else (said,) * len(stage.precision)


def changes(old: dict[str, Any], new: dict[str, Any]) -> list[str]:
    """What differs between two `depends`, in words: settings as `lr: 0.1 -> 0.2`, inputs and stages by name."""
    was, now = _flat({**old["settings"], "seed": old["seed"]}), _flat({**new["settings"], "seed": new["seed"]})
    differ = [key for key in {**was, **now} if was.get(key) != now.get(key)]
    said = [f"{key}: {was.get(key, 'absent')} -> {now.get(key, 'absent')}" for key in differ]
    for kind, of in (("input", "inputs"), ("stage", "needs")):
        names = {**old[of], **new[of]}
        said += [f"{kind} {name} changed" for name in names if old[of].get(name) != new[of].get(name)]
    return said


def _flat(value: Any, key: str = "") -> dict[str, str]:
    """Dotted key -> JSON of each leaf."""
    if isinstance(value, dict | list) and value:
        pairs = value.items() if isinstance(value, dict) else enumerate(value)
        return {k: v for name, inner in pairs for k, v in _flat(inner, f"{key}.{name}".lstrip(".")).items()}
    return {key: json.dumps(value)}


def _seconds_spent(folder: Path, marker: dict[str, Any]) -> float:
    """Seconds of work that lie in a folder. An attempt that was killed counts until its last write."""
    if "began" not in marker:
        return float(marker["seconds"])
    last = max(path.stat().st_mtime for path in folder.rglob("*"))
    return float(marker["seconds"]) + max(0.0, last - marker["began"])


def _check_plan(stages: Sequence[Stage]) -> None:
    """Names are folders apart from each other, and stages stand after what they need; `ValueError` otherwise."""
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


def _with_needs(stages: Sequence[Stage], only: Collection[str] | None) -> list[Stage]:
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
