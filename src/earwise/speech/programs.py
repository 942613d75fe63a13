"""Speech engines that are programs of the operating system: finding them, running them, reading what they leave."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

import soundfile

from earwise.data.media import Waveform
from earwise.errors import EarwiseError, InputError

_TIMEOUT_S: Final = 120.0


def find_program(name: str, packages: str) -> str:
    """The path of the program `name`. Raises `InputError` saying how to install it; `packages` are those of Debian."""
    program = shutil.which(name)
    if program is None:
        remedy = f"install it, on Debian and Ubuntu with `apt-get install {packages}`, or choose another engine"
        raise InputError(f"the program {name} is not installed", remedy=remedy)
    return program


def run_program(
    command: Sequence[str],
    *,
    folder: str | Path | None = None,
    environment: Mapping[str, str] | None = None,
    statuses: Sequence[int] = (0,),
) -> str:
    """What the program prints, on standard output and then on standard error; no shell is between.

    Args:
        command: program and arguments.
        folder: that it starts in; the current one when absent.
        environment: all of its environment; that of this process when absent.
        statuses: with which it may end.

    Raises `EarwiseError` if it cannot be started, ends with another status, or not within two minutes.
    """
    name = Path(command[0]).name
    try:
        ended = subprocess.run(
            command,
            cwd=folder,
            env=environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=_TIMEOUT_S,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise EarwiseError(f"{name} cannot be run: {error}") from error
    if ended.returncode not in statuses:
        raise EarwiseError(f"{name} ended with status {ended.returncode}: {ended.stderr.strip()[:200]}")
    return ended.stdout + ended.stderr


def read_sound(path: Path, engine: str, voice: str) -> tuple[Waveform, int]:
    """Samples, shape (num_samples,), and sampling rate in Hz of the mono file that `engine` wrote.

    Raises `EarwiseError` naming engine and voice if there is none.
    """
    try:
        samples, rate_hz = soundfile.read(path, dtype="float32")
    except soundfile.LibsndfileError as error:
        raise EarwiseError(f"{engine} left no sound for voice {voice!r}: {error.error_string}") from error
    return samples, rate_hz
