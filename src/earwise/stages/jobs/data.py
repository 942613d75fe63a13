"""Stages `data` and `data.media`: the items that a recipe reads, and the check of their media."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from earwise.recipe.data import CorporaData, FolderData, MicroData, MicroFeelings, MicroSounds
from earwise.recipe.evaluate import Iemocap, MMAlign, Own
from earwise.views import View
from earwise.work.job import Input, Job


@dataclass(frozen=True, kw_only=True)
class DataJob(Job):
    """Items, media and benchmarks, from a laboratory, a folder or corpora."""

    verb: ClassVar[str] = "data"
    does: ClassVar[str] = "earwise.stages.data:work"

    source: MicroData | MicroSounds | MicroFeelings | FolderData | CorporaData
    files: tuple[Input, ...] = ()
    """Files outside the run that decide which items there are."""

    @property
    def name(self) -> str:
        """`data`."""
        return "data"


@dataclass(frozen=True, kw_only=True)
class BenchmarkSource:
    """The tested items of one benchmark."""

    name: str
    limit: int | None = None
    mmalign: MMAlign | None = None
    iemocap: Iemocap | None = None
    own: Own | None = None
    file: Input | None = None
    """The file of `own`."""


@dataclass(frozen=True, kw_only=True)
class ShownFile:
    """An item file or a benchmark, and its views."""

    name: str
    views: dict[str, tuple[View, ...]]
    """By the recipe's key that names them."""


@dataclass(frozen=True, kw_only=True)
class MediaJob(Job):
    """The check of all media that the recipe shows, so that a broken picture is found before hours of training."""

    verb: ClassVar[str] = "data"
    does: ClassVar[str] = "earwise.stages.media:work"

    data: DataJob
    files: tuple[ShownFile, ...]
    benchmarks: tuple[BenchmarkSource, ...]
    shown: tuple[ShownFile, ...]
    """The benchmarks, with their views."""
    profile: str | None
    """The scoring profile, to reject now a benchmark without it."""
    bring_descriptions: bool
    """Whether items with described views must come with a file of descriptions."""

    @property
    def name(self) -> str:
        """`data.media`."""
        return "data.media"
