"""flite, a small synthesiser of another make than espeak-ng, for test voices of an engine that was never trained on.

Its voices are built from recordings of people (`awb`, `rms` and `slt` model them statistically, `kal16` joins pieces of
them), while espeak-ng computes formants. It is a program of the operating system, not a part of this package; each clip
is spoken by a process of its own, and the same arguments give the same bytes.
"""

from __future__ import annotations

import functools
import re
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import Final

import soundfile

from earwise.data.media import Waveform
from earwise.data.resample import to_16_khz
from earwise.errors import EarwiseError, InputError
from earwise.speech.engine import NORMAL_RATE_WPM, check_own_pitch, check_voice
from earwise.speech.letters import LETTER_A

EXCLUDED_VOICES: Final[dict[str, str]] = {
    "awb_time": "it can tell the time and nothing else",
    "kal": "kal16 at half the sampling rate",
}
"""Voices that are not offered, with the reason."""

RATE_WPM_LIMITS: Final = (80, 450)
"""Those of espeak-ng; flite itself takes any stretch."""

_TIMEOUT_S: Final = 120.0


class FliteEngine:
    """The program `flite` with its English voices. Raises `InputError` where it is not installed."""

    waits = True

    def __init__(self) -> None:
        program = shutil.which("flite")
        if program is None:
            remedy = "install it, on Debian and Ubuntu with `apt-get install flite`, or choose another engine"
            raise InputError("the program flite is not installed", remedy=remedy)
        self._program = program

    @functools.cached_property
    def name(self) -> str:
        """`flite` and its version."""
        found = re.search(r"flite-([\d.]+\d)", self._call("--version"))
        return f"flite {found[1] if found else 'of unknown version'}"

    def voices(self) -> list[str]:
        """The voices that are built into the program, sorted."""
        return list(self._voices)

    def speak(self, spoken: str, voice: str, rate: float, pitch: float, seed: int) -> Waveform:
        """See `SpeechEngine.speak`. `rate` stretches durations by 175 / `rate`; nothing here is random.

        Raises `InputError` for an unknown voice, a rate outside of the limits and any pitch but the voice's own.
        """
        if voice in EXCLUDED_VOICES:
            raise InputError(f"the flite voice {voice!r} is not offered: {EXCLUDED_VOICES[voice]}")
        check_voice(voice, self._voices, "flite")
        check_own_pitch(pitch, "flite")
        if not RATE_WPM_LIMITS[0] <= rate <= RATE_WPM_LIMITS[1]:
            raise InputError(f"flite takes a rate from {RATE_WPM_LIMITS[0]} to {RATE_WPM_LIMITS[1]}, got {rate:g}")
        stretch = f"duration_stretch={NORMAL_RATE_WPM / rate:.4f}"
        with tempfile.TemporaryDirectory(prefix="earwise-flite-") as folder:
            path = Path(folder) / "clip.wav"
            self._call("-voice", voice, "--setf", stretch, "-t", with_letters(spoken), "-o", str(path))
            try:
                samples, rate_hz = soundfile.read(path, dtype="float32")
            except soundfile.LibsndfileError as error:
                raise EarwiseError(f"{self.name} left no sound for voice {voice!r}: {error.error_string}") from error
        return to_16_khz(samples, rate_hz)

    @functools.cached_property
    def _voices(self) -> tuple[str, ...]:
        listed = self._call("-lv").partition(":")[2].split()
        return tuple(sorted(voice for voice in {*listed} if voice not in EXCLUDED_VOICES))

    def _call(self, *arguments: str) -> str:
        """What the program prints. Raises `EarwiseError` if it fails or does not end."""
        command = [self._program, *arguments]
        try:
            ended = subprocess.run(command, capture_output=True, text=True, timeout=_TIMEOUT_S, check=False)
        except (OSError, subprocess.TimeoutExpired) as error:
            raise EarwiseError(f"flite cannot be run: {error}") from error
        if ended.returncode and arguments != ("--version",):  # which ends with 1
            raise EarwiseError(f"flite ended with status {ended.returncode}: {ended.stderr.strip()[:200]}")
        return ended.stdout + ended.stderr


def with_letters(spoken: str) -> str:
    """Write each `A` that is a letter as `ay`, which flite says as the letter."""
    return LETTER_A.sub("ay", spoken)
