"""The interface of speech engines."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from typing import Final, Protocol, runtime_checkable

from earwise.data.media import Waveform
from earwise.errors import InputError
from earwise.recipe.plugged import made
from earwise.recipe.speech import Engine

NORMAL_RATE_WPM: Final = 175.0
"""Unhurried speech. Rates are words per minute for every engine; an engine with a speed factor gets
`rate / NORMAL_RATE_WPM`."""

RATE_WPM_LIMITS: Final = (80, 450)
"""Limits of espeak-ng, also for programs that accept any rate."""

OWN_PITCH: Final = 50.0
"""The voice's own pitch on espeak's scale of 0 to 99. Engines that cannot change the pitch accept only this value."""


@runtime_checkable
class SpeechEngine(Protocol):
    """Turns a spoken form into a waveform. The same arguments give the same samples if the engine allows it."""

    @property
    def name(self) -> str:
        """Name and version for the records of clips, for example `espeak-ng 1.52.0`."""
        ...

    @property
    def waits(self) -> bool:
        """Whether it waits for a server or another program; then threads are used instead of processes."""
        ...

    def voices(self) -> list[str]:
        """Names of the voices; empty if the engine accepts names but cannot list them."""
        ...

    def speak(self, spoken: str, voice: str, rate: float, pitch: float, seed: int) -> Waveform:
        """`spoken` as mono float32 samples at 16 kHz, within [-1, 1].

        Args:
            spoken: a spoken form (`earwise.speech.spoken_form`).
            voice: one of `voices()`.
            rate: words per minute.
            pitch: 0 to 99, 50 is the voice's own.
            seed: seed of the engine's random numbers.

        Raises `InputError` for a voice, rate or pitch that the engine does not have.
        """
        ...


def open_engine(settings: Engine) -> SpeechEngine:
    """The engine of a recipe. Only its own file is imported."""
    engine: SpeechEngine = made(settings, SpeechEngine)
    return engine


def check_voice(voice: str, known: Sequence[str], engine: str) -> None:
    """Raise `InputError` naming the nearest voice if `voice` is not among `known`."""
    if voice not in known:
        near = difflib.get_close_matches(voice, known, n=1, cutoff=0)
        remedy = f"did you mean {near[0]!r}?" if near else None
        raise InputError(f"{engine} has no voice {voice!r}", remedy=remedy)


def check_rate(rate: float, engine: str) -> None:
    """Raise `InputError` unless `rate`, in words per minute, is within `RATE_WPM_LIMITS`, both included."""
    low, high = RATE_WPM_LIMITS
    if not low <= rate <= high:
        raise InputError(f"{engine} takes a rate from {low:g} to {high:g}, got {rate:g}")


def check_own_pitch(pitch: float, engine: str) -> None:
    """Raise `InputError` unless `pitch` is the voice's own."""
    if pitch != OWN_PITCH:
        raise InputError(
            f"{engine} cannot change the pitch, got {pitch:g}", remedy=f"set pitches to [{OWN_PITCH:g}, {OWN_PITCH:g}]"
        )
