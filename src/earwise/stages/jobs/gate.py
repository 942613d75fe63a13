"""Stages `gate.transcripts/FILE` and `gate/FILE`: every clip is transcribed, then judged. The transcripts of
`evaluate.transcripts/FILE` are what a cascade reads.

They are separate, so that other thresholds do not repeat the transcription.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

from earwise.recipe.speech import Asr, Gate
from earwise.stages.jobs.data import DataJob
from earwise.stages.jobs.speech import SpeechJob
from earwise.work.job import Input, Job


@dataclass(frozen=True, kw_only=True)
class TranscriptsJob(Job):
    """Transcripts of the clips of one item file, under a condition if the clips are."""

    verb: ClassVar[str] = "gate"
    does: ClassVar[str] = "earwise.stages.gate:transcribe"
    grouped: ClassVar[bool] = True
    goes_on_from: ClassVar[str] = "heard.jsonl"

    reader: Literal["gate", "evaluate"] = "gate"
    clips: SpeechJob
    asr: Asr
    model: Input | None = None

    @property
    def name(self) -> str:
        """`READER.transcripts/FILE`, or `READER.transcripts/conditions/NAME/FILE`."""
        place = f"conditions/{self.clips.condition}/" if self.clips.condition else ""
        return f"{self.reader}.transcripts/{place}{self.clips.file}"


@dataclass(frozen=True, kw_only=True)
class GateJob(Job):
    """Which clips of one item file fail, and why."""

    verb: ClassVar[str] = "gate"
    does: ClassVar[str] = "earwise.stages.gate:judge"
    grouped: ClassVar[bool] = True

    data: DataJob
    clips: SpeechJob
    transcripts: TranscriptsJob | None
    gate: Gate
    """Without the recogniser and the use in training, which `compile` removes because they do not count here."""

    @property
    def name(self) -> str:
        """`gate/FILE`."""
        return f"gate/{self.clips.file}"
