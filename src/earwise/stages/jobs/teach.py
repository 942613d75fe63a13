"""Stages `descriptions/FILE`, `traces`, `verify` and `answers`: what teachers say about the items."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar

from earwise.recipe.scale import Scale
from earwise.recipe.teach import Descriptions, Traces, Verify
from earwise.stages.jobs.data import BenchmarkSource, DataJob
from earwise.work.job import SPEED_ONLY, Input, Job


@dataclass(frozen=True, kw_only=True)
class DescriptionsJob(Job):
    """The sounds of one item file, or of one benchmark, as text."""

    verb: ClassVar[str] = "descriptions"
    does: ClassVar[str] = "earwise.stages.descriptions:work"
    grouped: ClassVar[bool] = True
    goes_on_from: ClassVar[str] = "responses.jsonl"

    data: DataJob
    file: str
    """Item file, or `benchmarks/NAME`."""
    benchmark: BenchmarkSource | None = None
    settings_of: Descriptions
    folders: tuple[Input, ...] = ()
    scale: Scale | None = field(default=None, metadata=SPEED_ONLY)

    @property
    def name(self) -> str:
        """`descriptions/FILE`."""
        return f"descriptions/{self.file}"


@dataclass(frozen=True, kw_only=True)
class TracesJob(Job):
    """A teacher reasons about silent videos; its traces are filtered by agreement."""

    verb: ClassVar[str] = "traces"
    does: ClassVar[str] = "earwise.stages.traces:work"
    goes_on_from: ClassVar[str] = "responses.jsonl"

    data: DataJob
    traces: Traces
    folders: tuple[Input, ...] = ()
    scale: Scale | None = field(default=None, metadata=SPEED_ONLY)

    @property
    def name(self) -> str:
        """`traces`."""
        return "traces"


@dataclass(frozen=True, kw_only=True)
class VerifyJob(Job):
    """A checker that passed a test judges whether the teacher is right."""

    verb: ClassVar[str] = "verify"
    does: ClassVar[str] = "earwise.stages.verify:work"
    goes_on_from: ClassVar[str] = "responses.jsonl"

    data: DataJob
    drawn: TracesJob
    verify: Verify
    items: str
    """Item file that the teacher was asked about."""
    folders: tuple[Input, ...] = ()
    scale: Scale | None = field(default=None, metadata=SPEED_ONLY)

    @property
    def name(self) -> str:
        """`verify`."""
        return "verify"
