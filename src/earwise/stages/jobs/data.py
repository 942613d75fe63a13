"""Stages `data` and `data.media`: the items that a recipe reads, and whether their media are there."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from earwise.recipe.data import CorporaData, FolderData, MicroData, MicroFeelings, MicroSounds
from earwise.recipe.evaluate import Iemocap, MMAlign, Own
from earwise.views import View
from earwise.work.job import Input, Job


@dataclass(frozen=True, kw_only=True)
class DataJob(Job):
    """Items, media and benchmarks: made by a laboratory, read from a folder or from corpora."""

    verb: ClassVar[str] = "data"
    does: ClassVar[str] = "earwise.stages.data:work"

    source: MicroData | MicroSounds | MicroFeelings | FolderData | CorporaData
    files: tuple[Input, ...] = ()
    """What decides, outside the run, which items there are."""

    @property
    def name(self) -> str:
        """`data`."""
        return "data"


@dataclass(frozen=True, kw_only=True)
class BenchmarkSource:
    """The items of one benchmark that are tested."""

    name: str
    limit: int | None = None
    mmalign: MMAlign | None = None
    """Of MMAlign alone."""
    iemocap: Iemocap | None = None
    """Of IEMOCAP alone."""
    own: Own | None = None
    """Of a file of one's own."""
    file: Input | None = None
    """That file."""


@dataclass(frozen=True, kw_only=True)
class ShownFile:
    """An item file, or a benchmark, and the views under which it is shown."""

    name: str
    views: dict[str, tuple[View, ...]]
    """By the key in the recipe that names them."""


@dataclass(frozen=True, kw_only=True)
class MediaJob(Job):
    """A look at everything that the recipe shows: a broken picture is found before hours of training, not after."""

    verb: ClassVar[str] = "data"
    does: ClassVar[str] = "earwise.stages.media:work"

    data: DataJob
    files: tuple[ShownFile, ...]
    benchmarks: tuple[BenchmarkSource, ...]
    shown: tuple[ShownFile, ...]
    """The benchmarks, with their views."""
    profile: str | None
    """Under which answers will be scored: a benchmark without it is found now."""
    bring_descriptions: bool
    """Whether items that are shown by description must bring a file of descriptions."""

    @property
    def name(self) -> str:
        """`data.media`."""
        return "data.media"
