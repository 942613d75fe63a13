"""Measures of a clip's samples: loudness, silence at the ends, clipping."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from earwise.data.media import Waveform
from earwise.records import SAMPLE_RATE_HZ

FRAME_S: Final = 0.01
"""Length of the frames over which loudness is measured."""

SILENT_DB: Final = -50.0
"""A clip without a frame louder than this, in dB of full scale, is silent."""

QUIET_DB: Final = 40.0
"""A frame is silent if it is at least this many dB below the loudest frame."""

FULL_SCALE: Final = 32_766 / 32_768
"""Samples at or above this level count as clipped: one step below the 16-bit maximum."""


@dataclass(frozen=True)
class Signal:
    """Measures of one clip."""

    duration_s: float
    level_db: float
    """Root mean square of the loudest frame, in dB of full scale."""
    leading_s: float
    """Silence before the first sound; the whole duration of a silent clip."""
    trailing_s: float
    clipped: float
    """Share of samples at full scale."""

    @property
    def is_silent(self) -> bool:
        """Whether nothing in the clip can be heard."""
        return self.level_db < SILENT_DB

    @property
    def sounding_s(self) -> float:
        """Time from the first sound to the last."""
        return self.duration_s - self.leading_s - self.trailing_s

    @property
    def silence(self) -> float:
        """Share of the clip before the first sound and after the last."""
        return (self.leading_s + self.trailing_s) / self.duration_s


def measure(samples: Waveform) -> Signal:
    """Measure a mono 16 kHz waveform with at least one sample."""
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
