"""Resampling to a length that is known in advance."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import soxr

from earwise.records import SAMPLE_RATE_HZ

Waveform = npt.NDArray[np.float32]
"""Mono samples at 16 kHz, shape (num_samples,), nominally within [-1, 1]."""


def resampled_length(num_samples: int, rate_hz: int) -> int:
    """Samples at 16 kHz for `num_samples` at `rate_hz`: `num_samples * 16000 / rate_hz`, halves rounded up."""
    return (2 * num_samples * SAMPLE_RATE_HZ + rate_hz) // (2 * rate_hz)


def to_16_khz(samples: Waveform, rate_hz: int) -> Waveform:
    """Mono `samples` at `rate_hz` as 16 kHz: exactly `resampled_length(len(samples), rate_hz)` samples, within [-1, 1].

    soxr at its HQ quality may overshoot full scale slightly; the waveform is then scaled to peak 1 to avoid clipping.
    """
    if rate_hz != SAMPLE_RATE_HZ:
        samples = resample(samples, rate_hz, SAMPLE_RATE_HZ, resampled_length(len(samples), rate_hz))
    peak = float(np.abs(samples).max(initial=0.0))
    return samples / np.float32(peak) if 1 < peak < np.inf else samples


def resample(samples: Waveform, from_hz: float, to_hz: float, length: int) -> Waveform:
    """`samples` resampled by `to_hz / from_hz`, then cut or zero-padded by at most a sample or two to `length`."""
    resampled = soxr.resample(samples, from_hz, to_hz, quality="HQ")[:length]
    return np.pad(resampled, (0, length - len(resampled))).astype(np.float32, copy=False)
