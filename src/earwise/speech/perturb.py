"""Noise, speed and reverberation, for training and for robustness tests.

All samples are mono float32 at 16 kHz, shape (num_samples,). A result outside [-1, 1] is scaled to peak 1, which avoids
clipping and keeps the ratio of speech to noise.
"""

from __future__ import annotations

from typing import Final, Literal, get_args

import numpy as np
import numpy.typing as npt

from earwise.data.media import Waveform
from earwise.data.resample import resample
from earwise.errors import InputError
from earwise.recipe.speech import Perturb
from earwise.records import SAMPLE_RATE_HZ

Noise = Literal["white", "pink", "speech"]
"""`white`: equal power per Hz; `pink`: equal power per octave; `speech`: the spectrum of the clip itself, which masks
like a crowd of similar voices.
"""

DIRECT_TO_REVERBERANT_DB: Final = 3.0
"""Energy of the direct sound relative to the tail, for a listener slightly inside the critical distance."""


def perturb(samples: Waveform, settings: Perturb, rng: np.random.Generator) -> Waveform:
    """Change speed, then add reverberation, then noise, each with the settings' probability and independently.

    Values are uniform in their ranges, and so is the kind of noise. The generator makes the same draws whether or not a
    kind is applied.
    """
    for kind, bounds in (
        ("speed", settings.speed),
        ("reverb", settings.reverb_rt60_s),
        ("noise", settings.noise_snr_db),
    ):
        if bounds is None:
            continue
        apply, value, noise = rng.random() < settings.probability, rng.uniform(*bounds), rng.choice(get_args(Noise))
        own = np.random.default_rng(rng.integers(2**63))
        if not apply:
            continue
        if kind == "speed":
            samples = change_speed(samples, value)
        elif kind == "reverb":
            samples = reverberate(samples, value, own)
        else:
            samples = add_noise(samples, value, own, kind=noise)
    return samples


def add_noise(samples: Waveform, snr_db: float, rng: np.random.Generator, kind: Noise = "white") -> Waveform:
    """`samples` with noise `snr_db` below them: `10 log10(sum s^2 / sum n^2)` over the whole clip.

    Raises `InputError` for a silent clip.
    """
    power = float(np.mean(np.square(samples, dtype=np.float64))) if samples.size else 0.0
    if power == 0.0:
        raise InputError("a silent clip has no signal-to-noise ratio")
    noise = _noise(samples, kind, rng)
    noise *= np.sqrt(power / np.mean(np.square(noise)) / 10 ** (snr_db / 10))
    return _within_full_scale(samples + noise)


def _noise(samples: Waveform, kind: Noise, rng: np.random.Generator) -> npt.NDArray[np.float64]:
    white = rng.standard_normal(len(samples))
    if kind == "white":
        return white
    if kind == "pink":
        shape = 1 / np.sqrt(np.maximum(np.arange(len(samples) // 2 + 1), 1))
    else:
        shape = np.abs(np.fft.rfft(samples.astype(np.float64)))
    return np.fft.irfft(np.fft.rfft(white) * shape, n=len(samples))


def change_speed(samples: Waveform, speed: float) -> Waveform:
    """`samples` played `speed` times as fast, pitch included, in exactly `floor(n / speed + 1/2)` samples."""
    if not speed > 0:
        raise InputError(f"a speed is above 0, got {speed:g}")
    if speed == 1:
        return samples
    return _within_full_scale(resample(samples, speed, 1.0, int(np.floor(len(samples) / speed + 0.5))))


def reverberate(samples: Waveform, rt60_s: float, rng: np.random.Generator) -> Waveform:
    """`samples` in a room with reverberation time `rt60_s`, cut to their length and with the same energy."""
    response = room_response(rt60_s, rng)
    size = 1 << (len(samples) + len(response) - 2).bit_length()
    spectrum = np.fft.rfft(samples.astype(np.float64), size) * np.fft.rfft(response, size)
    wet = np.fft.irfft(spectrum, size)[: len(samples)]
    energy = np.sum(np.square(wet))
    if energy > 0:
        wet *= np.sqrt(np.sum(np.square(samples, dtype=np.float64)) / energy)
    return _within_full_scale(wet)


def room_response(rt60_s: float, rng: np.random.Generator) -> npt.NDArray[np.float64]:
    """A synthetic impulse response: the direct sound, then noise whose energy falls by 60 dB in `rt60_s` seconds."""
    if not rt60_s > 0:
        raise InputError(f"a reverberation time is above 0 seconds, got {rt60_s:g}")
    time_s = np.arange(1, max(2, round(rt60_s * SAMPLE_RATE_HZ))) / SAMPLE_RATE_HZ
    tail = rng.standard_normal(len(time_s)) * 10 ** (-3 * time_s / rt60_s)
    tail *= np.sqrt(10 ** (-DIRECT_TO_REVERBERANT_DB / 10) / np.sum(np.square(tail)))
    return np.concatenate([[1.0], tail])


def _within_full_scale(samples: npt.NDArray[np.float64] | Waveform) -> Waveform:
    peak = float(np.abs(samples).max(initial=0.0))
    return (samples / max(peak, 1.0)).astype(np.float32)
