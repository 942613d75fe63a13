"""flite, a small synthesiser, for test voices of an engine that is absent from training.

Its voices are built from recordings of people (`awb`, `rms` and `slt` model them statistically, `kal16` joins pieces of
them), while espeak-ng computes formants. flite is a program of the operating system. Each clip runs a new process, and
the same arguments give the same bytes.
"""

from __future__ import annotations

import functools
import re
import tempfile
from pathlib import Path
from typing import Final

from earwise.data.media import Waveform
from earwise.data.resample import to_16_khz
from earwise.errors import InputError
from earwise.recipe.speech import FliteSettings as Settings
from earwise.speech.engine import NORMAL_RATE_WPM, check_own_pitch, check_rate, check_voice
from earwise.speech.letters import in_ascii, with_letters
from earwise.speech.programs import find_program, read_sound, run_program

EXCLUDED_VOICES: Final[dict[str, str]] = {
    "awb_time": "it can tell the time and nothing else",
    "kal": "kal16 at half the sampling rate",
}
"""Voices that are not offered, with the reason."""


class FliteEngine:
    """The program `flite` with its English voices. Raises `InputError` if it is not installed."""

    waits = True

    def __init__(self, settings: Settings | None = None) -> None:
        self._program = find_program("flite", "flite")

    @functools.cached_property
    def name(self) -> str:
        """`flite` and its version."""
        found = re.search(r"flite-([\d.]+\d)", run_program([self._program, "--version"], statuses=(0, 1)))
        return f"flite {found[1] if found else 'of unknown version'}"

    def voices(self) -> list[str]:
        """The voices that are built into the program, sorted."""
        return list(self._voices)

    def speak(self, spoken: str, voice: str, rate: float, pitch: float, seed: int) -> Waveform:
        """As `SpeechEngine.speak`. `rate` stretches durations by 175 / `rate`; the seed has no effect.

        Raises `InputError` for an unknown voice, a rate outside of the limits and any pitch but the voice's own.
        """
        if voice in EXCLUDED_VOICES:
            raise InputError(f"the flite voice {voice!r} is not offered: {EXCLUDED_VOICES[voice]}")
        check_voice(voice, self._voices, "flite")
        check_own_pitch(pitch, "flite")
        check_rate(rate, "flite")
        stretch = f"duration_stretch={NORMAL_RATE_WPM / rate:.4f}"
        with tempfile.TemporaryDirectory(prefix="earwise-flite-") as folder:
            path = Path(folder) / "clip.wav"
            text = in_ascii(with_letters(spoken))
            run_program([self._program, "-voice", voice, "--setf", stretch, "-t", text, "-o", str(path)])
            samples, rate_hz = read_sound(path, self.name, voice)
        return to_16_khz(samples, rate_hz)

    @functools.cached_property
    def _voices(self) -> tuple[str, ...]:
        listed = run_program([self._program, "-lv"]).partition(":")[2].split()
        return tuple(sorted(voice for voice in {*listed} if voice not in EXCLUDED_VOICES))
