"""What can be told about a clip from its samples alone: how loud, how much of it is silent, how much is clipped."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from earwise.data.media import Waveform
from earwise.records import SAMPLE_RATE_HZ

FRAME_S: Final = 0.01
"""Loudness is measured over frames of so many seconds."""

SILENT_DB: Final = -50.0
"""A clip is silent if no frame is louder than this, in dB of full scale."""

QUIET_DB: Final = 40.0
"""A frame is silent if it is so many dB below the loudest one, or more."""

FULL_SCALE: Final = 32_766 / 32_768
"""What 16 bits cannot hold is cut here, one step below the largest sample on either side."""


@dataclass(frozen=True)
class Signal:
    """Measures of one clip; shares are of all its samples."""

    duration_s: float
    level_db: float
    """Root mean square of the loudest frame, in dB of full scale."""
    leading_s: float
    """Silence before the first sound; the whole clip where it is silent."""
    trailing_s: float
    clipped: float
    """Share of samples at full scale."""

    @property
    def is_silent(self) -> bool:
        """Whether nothing in the clip can be heard."""
        return self.level_db < SILENT_DB

    @property
    def sounding_s(self) -> float:
        """From the first sound to the last."""
        return self.duration_s - self.leading_s - self.trailing_s

    @property
    def silence(self) -> float:
        """Share of the clip that lies before the first sound and after the last."""
        return (self.leading_s + self.trailing_s) / self.duration_s


def measure(samples: Waveform) -> Signal:
    """The measures of a mono 16 kHz waveform that holds at least one sample."""
    duration_s = len(samples) / SAMPLE_RATE_HZ
    size = round(FRAME_S * SAMPLE_RATE_HZ)
    starts = np.arange(0, len(samples), size)
    sums = np.add.reduceat(samples.astype(np.float64) ** 2, starts)
    lengths = np.diff([*starts, len(samples)])
    levels = 10 * np.log10(np.maximum(sums / lengths, 1e-20))
    loudest = float(levels.max())
    clipped = float(np.mean(np.abs(samples) >= FULL_SCALE))
    if loudest < SILENT_DB:
        return Signal(duration_s, loudest, duration_s, 0.0, clipped)
    sounding = np.flatnonzero(levels > loudest - QUIET_DB)
    first, last = starts[sounding[0]], starts[sounding[-1]] + lengths[sounding[-1]]
    return Signal(
        duration_s, loudest, float(first / SAMPLE_RATE_HZ), float(duration_s - last / SAMPLE_RATE_HZ), clipped
    )
