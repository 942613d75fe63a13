"""What a speech engine is, and how one is opened from a recipe's settings."""

from __future__ import annotations

from typing import Final, Protocol

from earwise.data.media import Waveform

NORMAL_RATE_WPM: Final = 175.0
"""Words per minute of unhurried speech. Rates are words per minute for every engine; one that takes a speed factor
gets `rate / NORMAL_RATE_WPM`."""

OWN_PITCH: Final = 50.0
"""The voice's own pitch on espeak's scale of 0 to 99. Engines that cannot change the pitch accept only this value."""


class SpeechEngine(Protocol):
    """Turns a spoken form into a waveform. The same arguments give the same samples where the engine allows it."""

    @property
    def name(self) -> str:
        """Name and version, as it is recorded in clips, e.g. `espeak-ng 1.52.0`."""
        ...

    def voices(self) -> list[str]:
        """Names of the voices, best known first; empty if the engine takes names but cannot list them."""
        ...

    def speak(self, spoken: str, voice: str, rate: float, pitch: float, seed: int) -> Waveform:
        """`spoken` as mono float32 samples at 16 kHz, within [-1, 1].

        Args:
            spoken: a spoken form (`earwise.speech.spoken_form`).
            voice: one of `voices()`.
            rate: words per minute.
            pitch: 0 to 99, 50 is the voice's own.
            seed: of whatever is random in the engine.

        Raises `InputError` for a voice, rate or pitch that the engine does not have.
        """
        ...
