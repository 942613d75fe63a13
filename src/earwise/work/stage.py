"""One step of a run, and what its work is given."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, TypeVar

from pydantic import JsonValue

from earwise.recipe.train import AskedPrecision, Optimisation, Precision
from earwise.work.metrics import Metrics
from earwise.work.progress import track

S = TypeVar("S", bound=Optimisation)
T = TypeVar("T")


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
    check: tuple[Callable[[], None], ...] = ()
    """What can be found wrong before any stage works, where this one is among those that may; each raises `InputError`,
    and is called once where several stages have it."""
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
    versions: dict[str, str] = field(default_factory=dict)
    """Of the code that works now (`earwise.work.provenance.code_versions`)."""
    made_with: dict[str, dict[str, str]] = field(default_factory=dict)
    """The versions that each stage before this one was made with."""

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
