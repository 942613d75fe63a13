"""The sound of each kind: 0.26 s of tone, harmonics, noise, sweep or pulses, with random variation.

Pitch varies by up to 6 % and carries no meaning. The kinds differ in the place and the movement of their energy, so
that they are distinct in noise.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from earwise.data.media import Waveform
from earwise.records import SAMPLE_RATE_HZ

EVENT_S = 0.26
"""Length of an event in seconds; a slot is longer."""
LEVEL = 0.12
"""Root mean square of an event before its gain, relative to a full scale of 1."""
PEAK = 0.8
"""Largest absolute sample of an event before its gain; it takes precedence over `LEVEL`."""

_SAMPLES = round(EVENT_S * SAMPLE_RATE_HZ)
_TIME = np.arange(_SAMPLES) / SAMPLE_RATE_HZ
_Floats = np.ndarray


def sound_of(kind: str, rng: np.random.Generator) -> Waveform:
    """One event of `kind` as 16 kHz samples, 0.26 s, at `LEVEL`."""
    raw = _TIMBRES[kind](rng, rng.uniform(0.94, 1.06))
    raw = raw * _edges(0.004, 0.01)
    level = LEVEL / np.sqrt(np.mean(raw**2))
    return (raw * min(level, PEAK / np.abs(raw).max())).astype(np.float32)


def _bell(rng: np.random.Generator, pitch: float) -> _Floats:
    """Inharmonic partials that decay."""
    partials = ((1.0, 1.0, 0.10), (2.76, 0.7, 0.06), (4.07, 0.5, 0.04))
    return sum((amp * np.exp(-_TIME / decay) * _tone(1450 * pitch * ratio) for ratio, amp, decay in partials), _zeros())


def _bird(rng: np.random.Generator, pitch: float) -> _Floats:
    """Two quick upward sweeps."""
    within = (_TIME % 0.13) / 0.13
    return _sweep((2700 + 2300 * within) * pitch) * np.sin(np.pi * np.clip(within / 0.8, 0, 1))


def _clock(rng: np.random.Generator, pitch: float) -> _Floats:
    """Four clicks."""
    within = _TIME % (0.065 * pitch)
    return np.diff(rng.standard_normal(_SAMPLES + 1)) * np.exp(-within / 0.0025)


def _dog(rng: np.random.Generator, pitch: float) -> _Floats:
    """Two barks: a falling, rough voice."""
    within = np.clip((_TIME % 0.14) / 0.10, 0, 1)
    base = (520 - 220 * within) * pitch
    voice = sum((np.exp(-(((k * 400 - 1000) / 700) ** 2)) * _sweep(k * base) for k in range(1, 7)), _zeros())
    return (voice + 0.35 * rng.standard_normal(_SAMPLES)) * np.sin(np.pi * within) ** 0.7


def _drum(rng: np.random.Generator, pitch: float) -> _Floats:
    """A low thump with noise of the skin."""
    thump = _sweep((75 + 90 * np.exp(-_TIME / 0.03)) * pitch) * np.exp(-_TIME / 0.09)
    smooth = np.convolve(rng.standard_normal(_SAMPLES), np.full(24, 1 / 24), mode="same")
    return thump + smooth * np.exp(-_TIME / 0.02)


def _flute(rng: np.random.Generator, pitch: float) -> _Floats:
    """Almost a pure tone, with breath noise."""
    tone = _tone(820 * pitch) + 0.12 * _tone(1640 * pitch)
    return (tone + 0.04 * rng.standard_normal(_SAMPLES)) * np.clip(_TIME / 0.05, 0, 1)


def _siren(rng: np.random.Generator, pitch: float) -> _Floats:
    """A tone with odd harmonics that rises and falls."""
    base = (450 + 900 * (1 - np.abs(2 * _TIME / EVENT_S - 1))) * pitch
    return _sweep(base) + 0.4 * _sweep(3 * base) + 0.2 * _sweep(5 * base)


def _trumpet(rng: np.random.Generator, pitch: float) -> _Floats:
    """A held low note with many strong harmonics."""
    return sum((k**-0.4 * _tone(k * 290 * pitch) for k in range(1, 16)), _zeros()) * np.clip(_TIME / 0.02, 0, 1)


_TIMBRES: dict[str, Callable[[np.random.Generator, float], _Floats]] = {
    "bell": _bell,
    "bird": _bird,
    "clock": _clock,
    "dog": _dog,
    "drum": _drum,
    "flute": _flute,
    "siren": _siren,
    "trumpet": _trumpet,
}


def _tone(hertz: float) -> _Floats:
    return np.sin(2 * np.pi * hertz * _TIME)


def _sweep(hertz: _Floats) -> _Floats:
    """A tone whose pitch in Hz changes from sample to sample."""
    return np.sin(2 * np.pi * np.cumsum(hertz) / SAMPLE_RATE_HZ)


def _zeros() -> _Floats:
    return np.zeros(_SAMPLES)


def _edges(rise_s: float, fall_s: float) -> _Floats:
    """A fade in and out, to avoid clicks."""
    return np.clip(np.minimum(_TIME / rise_s, (EVENT_S - _TIME) / fall_s), 0, 1)
