"""The sound of a clip: its events in noise, under the conditions of the training domain or of the shifted domain."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from earwise.data.media import Waveform
from earwise.micro.sounds.timbres import sound_of
from earwise.micro.sounds.world import CLIP_S, SLOT_S, Event
from earwise.records import SAMPLE_RATE_HZ

CLIP_SAMPLES = round(CLIP_S * SAMPLE_RATE_HZ)
"""Length of every clip: 30,720 samples."""


@dataclass(frozen=True)
class Conditions:
    """Recording conditions. Pairs are the bounds of uniform draws."""

    noise: tuple[float, float]
    """Root mean square of the background, relative to a full scale of 1."""
    color: float
    """Exponent of the background's power spectrum 1 / f^color: 0 is white, 1 is pink, 2 is brown."""
    gain_db: tuple[float, float]
    """Gain of each event."""
    delay_s: tuple[float, float]
    """Delay of each event after the start of its slot."""
    overlap: float
    """Share of the things with one event in the slot of another thing."""


HOME = Conditions(noise=(0.004, 0.01), color=0.0, gain_db=(-2.0, 2.0), delay_s=(0.0, 0.03), overlap=0.0)
"""The training domain."""

AWAY = Conditions(noise=(0.006, 0.018), color=0.5, gain_db=(-5.0, 2.0), delay_s=(-0.02, 0.05), overlap=0.25)
"""The shifted domain: louder noise of another colour, and distant, shifted and overlapping events of the same timbres.
"""


def sound_clip(events: Sequence[Event], conditions: Conditions, rng: np.random.Generator) -> Waveform:
    """`events` as one clip of `CLIP_SAMPLES` samples at 16 kHz, within [-1, 1]."""
    mixed = background(conditions, rng)
    for event in sorted(events):
        gain = 10 ** (rng.uniform(*conditions.gain_db) / 20)
        start = max(0, round((event.slot * SLOT_S + rng.uniform(*conditions.delay_s)) * SAMPLE_RATE_HZ))
        part = gain * sound_of(event.kind, rng)[: CLIP_SAMPLES - start]
        mixed[start : start + len(part)] += part
    return np.clip(mixed, -1, 1).astype(np.float32)


def background(conditions: Conditions, rng: np.random.Generator) -> Waveform:
    """A clip of noise."""
    noise = rng.standard_normal(CLIP_SAMPLES)
    if conditions.color:
        spectrum = np.fft.rfft(noise)
        # Small ears hear nothing below 60 Hz, where steep spectra would have all their power.
        hertz = np.maximum(np.fft.rfftfreq(CLIP_SAMPLES, 1 / SAMPLE_RATE_HZ), 60)
        noise = np.fft.irfft(spectrum / hertz ** (conditions.color / 2), CLIP_SAMPLES)
    return (noise * (rng.uniform(*conditions.noise) / noise.std())).astype(np.float32)
