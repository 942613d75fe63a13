"""An engine."""

import numpy as np

from earwise.data.media import Waveform
from earwise.speech.engine import check_voice
from earwise_extra.settings import TonesEngine

HERTZ = {"low": 220.0, "high": 440.0}


class Tones:
    """As long for each word as the rate says."""

    name = "tones 1"
    waits = False

    def __init__(self, settings: TonesEngine) -> None:
        self._factor = 2.0**settings.octave

    def voices(self) -> list[str]:
        return [*HERTZ]

    def speak(self, spoken: str, voice: str, rate: float, pitch: float, seed: int) -> Waveform:
        check_voice(voice, self.voices(), self.name)
        samples = round(16_000 * 60 / rate * len(spoken.split()))
        phase = 2 * np.pi * HERTZ[voice] * self._factor * np.arange(samples) / 16_000
        return (0.3 * np.sin(phase)).astype(np.float32)
