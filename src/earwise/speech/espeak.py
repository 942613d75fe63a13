"""The default engine: espeak-ng, offline through `espeakng-loader`. A clip's bytes depend only on the arguments.

espeak-ng keeps state between clips that no call resets: the position in the pitch-flutter table, the automatic gain
and the phase of the last wave (see its `wavegen.c`). So the shared library is loaded and unloaded for every clip, which
takes about 0.5 ms. Its random generator is seeded from the arguments instead of the clock.
"""

from __future__ import annotations

import _ctypes
import atexit
import ctypes
import functools
import os
import re
import shutil
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import espeakng_loader
import numpy as np

from earwise.data.media import Waveform
from earwise.data.resample import to_16_khz
from earwise.errors import EarwiseError, InputError
from earwise.recipe.speech import EspeakSettings as Settings
from earwise.speech.engine import check_voice
from earwise.speech.letters import LETTER_A

RATE_WPM_LIMITS: Final = (80, 450)
PITCH_LIMITS: Final = (0, 99)

EXCLUDED_VARIANTS: Final[dict[str, str]] = {
    "AnxiousAndy": "formants 3 and 4 are switched off",
    "Demonic": "distorted: formants shifted by up to 30 % against each other, with echo",
    "RicishayMax": "echo as loud as the voice",
    "RicishayMax2": "echo as loud as the voice",
    "RicishayMax3": "echo as loud as the voice",
    "Tweaky": "formant 3 at twice its frequency",
    "UniRobot": "robot: level pitch with echo",
    "anikaRobot": "robot: level pitch with echo",
    "announcer": "public-address echo",
    "croak": "novelty: vocal fry, formants lowered by a fifth",
    "fast": "a test of speeds above the normal limit, not a voice",
    "robosoft": "robot: level pitch with echo",
    "robosoft2": "robot: level pitch with echo",
    "robosoft3": "robot: level pitch with echo",
    "robosoft4": "robot: level pitch with echo",
    "robosoft5": "robot: level pitch with echo",
    "robosoft6": "robot: level pitch with echo",
    "robosoft7": "robot: level pitch with echo",
    "robosoft8": "robot: level pitch with echo",
    "whisper": "breath without voice",
    "whisperf": "breath without voice",
}
"""Voice variants that are not offered, with the reason from the variant files of espeak-ng 1.52."""

EXCLUDED_ACCENTS: Final[dict[str, str]] = {
    "en-shaw": "for text in the Shavian alphabet",
}

_SYNCHRONOUS_OUTPUT: Final = 2
_DONT_EXIT: Final = 0x8000
_UTF8_WITH_PHONEMES: Final = 0x0001 | 0x0100
_RATE, _PITCH, _RANGE = 1, 3, 4
_Callback = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.POINTER(ctypes.c_short), ctypes.c_int, ctypes.c_void_p)

_ONE_AT_A_TIME = threading.RLock()
"""The library has one set of global variables per process."""


class EspeakEngine:
    """espeak-ng with its English accents and voice variants; safe for threads and processes."""

    waits = False

    def __init__(self, settings: Settings | None = None) -> None:
        """There is nothing to set."""

    @functools.cached_property
    def name(self) -> str:
        """`espeak-ng` and its version."""
        with _ONE_AT_A_TIME, _fresh_library() as library:
            library.espeak_Info.restype = ctypes.c_char_p
            return f"espeak-ng {library.espeak_Info(None).decode()}"

    def voices(self) -> list[str]:
        """`ACCENT+VARIANT` for all accents and variants, for example `en-gb-scotland+f2`, sorted."""
        return sorted(_voices())

    def speak(
        self, spoken: str, voice: str, rate: float, pitch: float, seed: int, *, pitch_range: float | None = None
    ) -> Waveform:
        """`spoken` as 16 kHz samples: espeak's n samples at 22,050 Hz become `n * 16000 / 22050`, rounded to nearest.

        `rate` in words per minute, `pitch` and `pitch_range` are rounded to whole numbers. `pitch_range`, 0 to 99, sets
        how far the pitch moves within a sentence; the default is the voice's own. `seed` changes only the noise of
        breathy variants.

        Raises `InputError` for an unknown voice, and for a rate or pitch outside of espeak's limits.
        """
        _check_voice(voice)
        pace = _check_number("rate", rate, RATE_WPM_LIMITS)
        height = _check_number("pitch", pitch, PITCH_LIMITS)
        span = None if pitch_range is None else _check_number("pitch range", pitch_range, PITCH_LIMITS)
        with _ONE_AT_A_TIME, _fresh_library() as library:
            samples, rate_hz = _synthesise(library, with_letters(spoken), voice, pace, height, span, seed)
        return to_16_khz(samples, rate_hz)


def with_letters(spoken: str) -> str:
    """Mark each `A` that is a letter (`LETTER_A`); espeak would read it as the article before a word."""
    plain = spoken.replace("[[", " ").replace("]]", " ")
    return LETTER_A.sub("[['eI]]", plain)


def _check_voice(voice: str) -> None:
    if voice in _voices():
        return
    accent, _, variant = voice.partition("+")
    reason = EXCLUDED_VARIANTS.get(variant) or EXCLUDED_ACCENTS.get(accent)
    if reason:
        raise InputError(f"the espeak-ng voice {voice!r} is not offered: {reason}")
    check_voice(voice, sorted(_voices()), "espeak-ng")


def _check_number(name: str, value: float, limits: tuple[int, int]) -> int:
    low, high = limits
    if not low <= value <= high:
        raise InputError(f"espeak-ng takes a {name} from {low} to {high}, got {value:g}")
    return round(value)


@functools.cache
def _voices() -> frozenset[str]:
    return frozenset(f"{accent}+{variant}" for accent in _accents() for variant in _variants())


@functools.cache
def _accents() -> dict[str, Path]:
    found: dict[str, Path] = {}
    for path in sorted((_data() / "lang" / "gmw").glob("en*")):
        languages = re.findall(r"(?m)^language\s+(\S+)", path.read_text(encoding="utf-8"))
        if languages and languages[0] not in EXCLUDED_ACCENTS:
            found[languages[0]] = path
    return found


@functools.cache
def _variants() -> tuple[str, ...]:
    names = (path.name for path in (_data() / "voices" / "!v").iterdir())
    return tuple(sorted(name for name in names if name not in EXCLUDED_VARIANTS))


def _data() -> Path:
    return Path(espeakng_loader.get_data_path())


@functools.cache
def _small_data(process: int) -> Path:
    """A folder of links to the part of espeak's data that English needs; removed when the process that made it ends.

    espeak lower-cases a voice's name and looks for that file. The installed files have capitals, so it would read all
    240 voice files to find one: 2.3 ms a clip. It finds the names of the links at once.
    """
    root, data = Path(tempfile.mkdtemp(prefix="earwise-espeak-")), _data()

    def remove() -> None:
        if os.getpid() == process:
            shutil.rmtree(root, ignore_errors=True)

    atexit.register(remove)
    for part in ("phontab", "phonindex", "phondata", "intonations", "en_dict", "voices"):
        (root / part).symlink_to(data / part)
    (root / "lang").mkdir()
    for accent, path in _accents().items():
        (root / "lang" / accent).symlink_to(path)
    return root


@contextmanager
def _fresh_library() -> Iterator[ctypes.CDLL]:
    """The library in its initial state. Raises `EarwiseError` if another part of the process has loaded it."""
    path = espeakng_loader.get_library_path()
    if _is_loaded(path):
        raise EarwiseError("another part of this process uses espeak-ng: speech would not be reproducible beside it")
    library = ctypes.CDLL(path)
    try:
        rate_hz = library.espeak_Initialize(_SYNCHRONOUS_OUTPUT, 0, bytes(_small_data(os.getpid())), _DONT_EXIT)
        if rate_hz <= 0:
            raise EarwiseError(f"espeak-ng does not start with the data in {_data()}")
        yield library
        library.espeak_Terminate()
    finally:
        _ctypes.dlclose(library._handle)


def _is_loaded(path: str) -> bool:
    try:
        handle = _ctypes.dlopen(path, os.RTLD_NOLOAD | os.RTLD_LAZY)
    except OSError:
        return False
    _ctypes.dlclose(handle)
    return True


def _synthesise(
    library: ctypes.CDLL, text: str, voice: str, rate: int, pitch: int, pitch_range: int | None, seed: int
) -> tuple[Waveform, int]:
    parts: list[bytes] = []

    @_Callback
    def collect(samples: ctypes._Pointer[ctypes.c_short], count: int, _events: int | None) -> int:
        if samples and count > 0:
            parts.append(ctypes.string_at(samples, 2 * count))
        return 0

    def call(function: str, *arguments: object) -> None:
        status = getattr(library, function)(*arguments)
        if status != 0:
            raise EarwiseError(f"espeak-ng: {function} failed with status {status} for voice {voice!r}")

    call("espeak_ng_SetRandSeed", ctypes.c_long(seed))
    library.espeak_SetSynthCallback(collect)
    call("espeak_SetVoiceByName", voice.encode())
    call("espeak_SetParameter", _RATE, rate, 0)
    call("espeak_SetParameter", _PITCH, pitch, 0)
    if pitch_range is not None:
        call("espeak_SetParameter", _RANGE, pitch_range, 0)
    data = text.encode()
    call("espeak_Synth", data, ctypes.c_size_t(len(data) + 1), 0, 1, 0, _UTF8_WITH_PHONEMES, None, None)
    call("espeak_Synchronize")
    samples = np.frombuffer(b"".join(parts), dtype="<i2").astype(np.float32) / np.float32(32768)
    return samples, library.espeak_ng_GetSampleRate()
