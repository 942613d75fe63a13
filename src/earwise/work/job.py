"""A job: one stage of a run as a value, and the context that its work gets.

A job is a frozen dataclass. Its fields are all that its work reads: other jobs, files and folders from outside the run
(`Input`), and settings. The fingerprint is computed from the fields. The work gets nothing else, so it cannot depend on
anything that the fingerprint leaves out.
"""

from __future__ import annotations

import fnmatch
import os
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, fields, is_dataclass
from functools import cached_property
from importlib import import_module
from pathlib import Path
from typing import Any, ClassVar, Final, Literal, TypeVar

from pydantic import JsonValue

from earwise.recipe.table import AskedPrecision, Precision, Settings
from earwise.work.metrics import Metrics
from earwise.work.progress import track

S = TypeVar("S", bound=Settings)
T = TypeVar("T")


@dataclass(frozen=True)
class Input:
    """A file or folder from outside the run. Its content counts, not its path."""

    key: str
    """Its name in the recipe, such as `model.base`."""
    given: str
    """Its path or name as the recipe gives it."""
    path: Path


SPEED_ONLY: Final = {"speed_only": True}
"""Metadata of a field that changes only speed, never a result. It is not part of the fingerprint."""


@dataclass(frozen=True, kw_only=True)
class Job:
    """One stage of a run. The work may be killed at any time. It is then called again on the same folder and continues
    from there.
    """

    verb: ClassVar[str]
    """The command that runs all jobs of this kind."""
    does: ClassVar[str]
    """`MODULE:FUNCTION` of the work, imported when the work starts, so that planning needs no torch."""
    version: ClassVar[int] = 1
    """Raised by hand when the same fields would give another result than before. Finished stages of this kind then
    start over, and so do stages that need them.
    """
    grouped: ClassVar[bool] = False
    """Whether it is reported together with all jobs whose names begin alike, up to the first slash."""
    goes_on_from: ClassVar[str] = ""
    """Pattern of independent files: the work continues from them if other files are lost."""
    reuses: ClassVar[bool] = False
    """Whether the names of its files contain all settings, so that the files can be kept when settings change."""
    outputs: ClassVar[tuple[str, ...]] = ()
    """Files that it writes outside its own folder, relative to the run's folder."""
    processes: ClassVar[Literal["main", "all", "one"]] = "main"
    """Which processes work if several run the recipe: the first while the others wait, all together, or only a run of
    one process.
    """

    seed: int = 0
    """Seed of its random draws."""
    check: tuple[Callable[[], None], ...] = field(default=(), metadata=SPEED_ONLY)
    """Checks before any stage works. Each raises `InputError`; a check that several jobs share is called once."""

    @property
    def name(self) -> str:
        """Folder below `stages/`, such as `speech/train` or `seed0/train.sft`."""
        raise NotImplementedError

    @property
    def group(self) -> str:
        """The name shown to people: jobs of one group follow each other and are reported together."""
        return self.name.partition("/")[0] if self.grouped else self.name

    @property
    def precision(self) -> tuple[AskedPrecision, ...]:
        """The recipe's precision of each training run, in order; empty without training."""
        return ()

    def keeps(self, name: str, damaged: Collection[str]) -> bool:
        """Whether an intact file of the finished stage is kept if the `damaged` ones are lost."""
        return fnmatch.fnmatch(name, self.goes_on_from)

    def work(self, context: StageContext) -> None:
        """Do the work, or continue it."""
        imported(self.does)(context, self)

    @cached_property
    def needed(self) -> dict[str, Job]:
        """The jobs among its fields, by name."""
        return {one.name: one for one in self._references if isinstance(one, Job)}

    @property
    def needs(self) -> tuple[str, ...]:
        """Names of the stages that it reads."""
        return tuple(self.needed)

    @cached_property
    def inputs(self) -> dict[str, Path]:
        """Files and folders from outside the run, by their name in the recipe."""
        return {one.key: one.path for one in self._references if isinstance(one, Input)}

    @cached_property
    def settings(self) -> dict[str, JsonValue]:
        """The fields that decide a result, as JSON. What the recipe calls an input stands there as its key: the path
        of the same bytes in another environment changes nothing.
        """
        keys = {one.given: one.key for one in self._references if isinstance(one, Input)}
        own = {name: value for name, value in _values(self).items() if name != "seed" and not _is_reference(value)}
        return {name: _json(value, keys) for name, value in own.items()}

    @cached_property
    def _references(self) -> tuple[Job | Input, ...]:
        return tuple(_leaves(_values(self)))


def imported(name: str) -> Callable[..., None]:
    """The function at `MODULE:FUNCTION`."""
    # Stages show their own progress; transformers reads this variable when it is imported.
    os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")
    module, _, function = name.partition(":")
    found: Callable[..., None] = getattr(import_module(module), function)
    return found


def _values(value: Any) -> dict[str, Any]:
    """The fields of a dataclass that decide a result."""
    return {one.name: getattr(value, one.name) for one in fields(value) if not one.metadata.get("speed_only")}


def _leaves(value: Any) -> Iterator[Job | Input]:
    """Jobs and inputs inside fields, without the content of jobs; recipe tables contain none."""
    if isinstance(value, Job | Input):
        yield value
    elif isinstance(value, str | int | float | Settings | None):
        return
    elif is_dataclass(value) and not isinstance(value, type):
        yield from _leaves(_values(value))
    elif isinstance(value, Mapping):
        yield from _leaves(tuple(value.values()))
    elif isinstance(value, tuple | list):
        for inner in value:
            yield from _leaves(inner)


def _is_reference(value: Any) -> bool:
    return isinstance(value, Job | Input) or (
        isinstance(value, tuple) and bool(value) and all(isinstance(one, Job | Input) for one in value)
    )


def _json(value: Any, keys: Mapping[str, str]) -> JsonValue:
    if isinstance(value, Job):
        return value.name
    if isinstance(value, Input):
        return value.key
    if isinstance(value, Settings):
        return _json(value.for_stage(), keys)
    if is_dataclass(value) and not isinstance(value, type):
        return {name: _json(inner, keys) for name, inner in _values(value).items()}
    if isinstance(value, Mapping):
        return {str(name): _json(inner, keys) for name, inner in value.items()}
    if isinstance(value, tuple | list):
        return [_json(inner, keys) for inner in value]
    if isinstance(value, str):
        return {"input": keys[value]} if value in keys else value
    if value is None or isinstance(value, int | float):
        return value
    raise TypeError(f"a job holds a {type(value).__name__}, which has no JSON form")


@dataclass(frozen=True)
class StageContext:
    """What the work of a job gets."""

    stage: Job
    folder: Path
    """The stage's own folder."""
    run_folder: Path
    metrics: Metrics
    """Writes to `metrics.jsonl` in the stage's folder."""
    say: Callable[[str], None]
    """Prints one line for the user."""
    timings_s: dict[str, float]
    """Seconds of each earlier stage, with interrupted attempts."""
    precision: tuple[Precision, ...] = ()
    """`Job.precision`, resolved when the stage began."""
    versions: dict[str, str] = field(default_factory=dict)
    """Versions of the running code (`earwise.work.provenance.code_versions`)."""
    made_with: dict[str, dict[str, str]] = field(default_factory=dict)
    """The versions that made each earlier stage."""

    @property
    def seed(self) -> int:
        """The stage's seed."""
        return self.stage.seed

    def folder_of(self, job: Job) -> Path:
        """Folder of a job that this one needs; `ValueError` for another job, which the fingerprint would not cover."""
        if job.name not in self.stage.needs:
            raise ValueError(f"stage {self.stage.name} reads stage {job.name}, which is not among its needs")
        return self.run_folder / "stages" / job.name

    def settled(self, settings: S, number: int = 0) -> S:
        """`settings` of the stage's training run `number`, with the resolved precision."""
        return settings.model_copy(update={"precision": self.precision[number]})

    def track(self, iterable: Iterable[T], total: int | None = None, what: str | None = None) -> Iterator[T]:
        """Yield from `iterable` and show progress under the stage's name."""
        return track(iterable, total, what or self.stage.name)
