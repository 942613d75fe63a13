"""Finding and running speech programs of the operating system, and reading their sound files."""

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
    """The path of the program `name`. Raises `InputError` with the Debian `packages` to install."""
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
    """The program's standard output followed by its standard error; no shell is involved.

    Args:
        command: program and arguments.
        folder: working folder; the current one by default.
        environment: the whole environment; that of this process by default.
        statuses: accepted exit statuses.

    Raises `EarwiseError` if the program cannot be started, ends with another status, or runs for over two minutes.
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

    Raises `EarwiseError` naming engine and voice if the file is missing or unreadable.
    """
    try:
        samples, rate_hz = soundfile.read(path, dtype="float32")
    except soundfile.LibsndfileError as error:
        raise EarwiseError(f"{engine} left no sound for voice {voice!r}: {error.error_string}") from error
    return samples, rate_hz
