"""The schema of `[gate]`: which clips are good enough, by their samples and by a round trip through an ASR model."""

from __future__ import annotations

from typing import ClassVar

from pydantic import Field

from earwise.records import NonEmpty
from earwise.schema import Count, Range, Settings, Share


class Asr(Settings):
    """A speech recogniser that `transformers` loads: Whisper, or any CTC model."""

    model: NonEmpty
    """Folder or hub id."""
    revision: str | None = None
    batch_size: Count = 8

    speed_only: ClassVar[frozenset[str]] = frozenset({"batch_size"})


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
    train: bool = False
    """Whether the clips of the training files are judged, too; they are only counted."""
