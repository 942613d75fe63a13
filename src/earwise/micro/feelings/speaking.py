"""The sound of a feeling: pitch, pitch range, rate and loudness of a voice, with random variation.

The distributions overlap, and voices have different pitches, so that no single number reveals a feeling.
"""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import Final

import numpy as np

from earwise.data.media import Waveform
from earwise.micro.feelings.utterances import Utterance
from earwise.micro.feelings.words import Feeling
from earwise.micro.sounds.guards import Side, steady_voices
from earwise.micro.sounds.sounding import HOME
from earwise.records import SAMPLE_RATE_HZ
from earwise.speech.espeak import EspeakEngine

TRAIN_VOICES: Final = 48
TEST_VOICES: Final = 10
"""Voices of the test items. They share no variant with the training items, for any seed, or with the training speakers
of the shipped encoder `whisper-micro`, from which a student may start."""

LEVEL: Final = 0.05
"""Root mean square of speech with normal loudness, relative to a full scale of 1."""
PEAK: Final = 0.9
"""Largest absolute sample of speech; it takes precedence over the loudness."""
MARGIN_S: Final = (0.03, 0.2)
"""Shortest and longest noise before and after the speech."""


@dataclass(frozen=True)
class Manner:
    """Means of the voice parameters of a feeling."""

    rate_wpm: float
    pitch: float
    """espeak's scale, 0 to 99; 50 is the voice's own."""
    pitch_range: float
    """espeak's scale of pitch movement, 0 to 99; 50 is the voice's own."""
    gain_db: float


MANNERS: Final[dict[Feeling, Manner]] = {
    "angry": Manner(205, 42, 75, 6.0),
    "happy": Manner(195, 68, 80, 2.0),
    "neutral": Manner(180, 50, 45, 0.0),
    "sad": Manner(150, 38, 20, -5.0),
}
SPREAD: Final = Manner(18, 9, 18, 2.5)
"""Standard deviations around the means, the same for every feeling."""


class Actor:
    """Speaks utterances in the voices of one side."""

    def __init__(self, side: Side) -> None:
        self._engine = EspeakEngine()
        self.voices = steady_voices(self._engine, side, TRAIN_VOICES, TEST_VOICES)

    def say(self, utterance: Utterance, rng: random.Random, voice: str | None = None) -> tuple[Waveform, str]:
        """16 kHz samples of `utterance` in `voice` or a random voice, with a little noise around it; and the voice."""
        voice, manner = voice or rng.choice(self.voices), draw_manner(utterance.feeling, rng)
        noise = np.random.default_rng(rng.getrandbits(64))
        spoken = self._engine.speak(
            utterance.text, voice, manner.rate_wpm, manner.pitch, 0, pitch_range=manner.pitch_range
        )
        before, after = (round(rng.uniform(*MARGIN_S) * SAMPLE_RATE_HZ) for _ in range(2))
        return _in_noise(spoken, manner.gain_db, before, after, noise), voice


def draw_manner(feeling: Feeling, rng: random.Random) -> Manner:
    """A random manner of `feeling`, within the limits of the engine."""
    middle = MANNERS[feeling]

    def near(name: str, low: float, high: float) -> float:
        return min(max(rng.gauss(getattr(middle, name), getattr(SPREAD, name)), low), high)

    return Manner(
        near("rate_wpm", 110, 260), near("pitch", 0, 99), near("pitch_range", 0, 99), near("gain_db", -12, 12)
    )


def _in_noise(spoken: Waveform, gain_db: float, before: int, after: int, rng: np.random.Generator) -> Waveform:
    """`spoken` at its loudness, in white noise as loud as in the laboratory of sounds."""
    gain = LEVEL * 10 ** (gain_db / 20) / float(np.sqrt(np.mean(spoken**2)))
    gain = min(gain, PEAK / float(np.abs(spoken).max()))
    mixed = rng.standard_normal(before + len(spoken) + after) * rng.uniform(*HOME.noise)
    mixed[before : before + len(spoken)] += gain * spoken
    return np.clip(mixed, -1, 1).astype(np.float32)
