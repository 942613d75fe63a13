"""The schema of `[gate]`: which clips are good enough, by their samples and by a round trip through an ASR model."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal

from pydantic import BeforeValidator, Field, JsonValue

from earwise.records import NonEmpty
from earwise.schema import ENCODER, Count, Range, Settings, Share


class Asr(Settings):
    """A speech recogniser that `transformers` loads: Whisper, or any CTC model."""

    model: Annotated[NonEmpty, ENCODER]
    """Folder or hub id."""
    revision: str | None = None
    batch_size: Count = 8

    speed_only: ClassVar[frozenset[str]] = frozenset({"batch_size"})


def _use(value: Any) -> Any:
    """`true` and `false` in words."""
    return {True: "count", False: "off"}[value] if isinstance(value, bool) else value


class Gate(Settings):
    """Clips that fail are kept, counted by reason, and results are reported with and without them."""

    asr: Asr | None = None
    """Writes down every clip; without it, only the samples are judged."""
    max_wer: float = Field(default=0.05, ge=0)
    """Word error rate of the round trip."""
    recovered: bool = True
    """Whether numbers, option letters and quoted strings must come back, whatever the word error rate."""
    rates_wpm: Range = (60.0, 400.0)
    """Words per minute from the first sound to the last."""
    max_silence: Share = 0.5
    """Share of the clip before the first sound and after the last."""
    max_clipped: Share = 0.001
    """Share of the samples at full scale."""
    train: Annotated[Literal["off", "count", "leave_out"], BeforeValidator(_use)] = "off"
    """Of the clips of the training files: they are not judged, judged and counted, or those that fail are left out of
    every training. `true` is `count`, `false` is `off`."""

    def for_stage(self) -> dict[str, JsonValue]:
        """What judging depends on: not what trainings do with the result."""
        return {**super().for_stage(), "train": self.train != "off"}
