"""festival, the synthesiser of the University of Edinburgh, a second kind of synthesis beside espeak-ng.

Its diphone voices join pieces of a person's recordings; its HTS voices model recordings statistically. It shares two
speakers with flite: `kal_diphone` is `kal16`, and `cmu_us_slt_arctic_hts` is `slt`. festival is a program of the
operating system. Each clip runs a new process, and the same arguments give the same bytes.

festival is a Scheme interpreter. It evaluates only constant code: the text is a plain-text file, and voice and rate are
environment variables.
"""

from __future__ import annotations

import functools
import os
import re
import tempfile
from pathlib import Path
from typing import Final

import numpy as np

from earwise.data.media import Waveform
from earwise.data.resample import to_16_khz
from earwise.errors import EarwiseError, InputError
from earwise.recipe.speech import FestivalSettings as Settings
from earwise.speech.engine import NORMAL_RATE_WPM, check_own_pitch, check_rate, check_voice
from earwise.speech.letters import in_ascii, with_letters
from earwise.speech.programs import find_program, read_sound, run_program

KINDS: Final = ("diphone", "hts")
"""Kinds of voices, by the end of their names, that follow the requested rate. `ldom` voices speak a limited domain such
as the time, `mbrola` needs another program, and other kinds are untested."""

_HEAP_CELLS: Final = "1000000"
"""A tenth of festival's default, which uses 0.3 GB and doubles the start time."""

_LIST: Final = """
(mapcar
  (lambda (voice)
    (let ((described (cadr (assoc voice Voice_descriptions))))
      (format t "voice %s %s\\n" voice (if described (cadr (assoc 'language described)) 'unknown))))
  (voice.list))
"""

_SAY: Final = """
(begin
  (gc-status nil)
  (voice.select (getenv "EARWISE_VOICE"))
  (Parameter.set 'Duration_Stretch (parse-number (getenv "EARWISE_STRETCH")))
  (if (symbol-bound? 'hts_engine_params)
    (set! hts_engine_params
      (cons (list "-r" (parse-number (getenv "EARWISE_SPEED"))) hts_engine_params)))
  (set! earwise_pieces 0)
  (define (earwise_save utt)
    (utt.save.wave utt (format nil "%d.wav" earwise_pieces) 'riff)
    (set! earwise_pieces (+ 1 earwise_pieces)))
  (set! tts_hooks (list utt.synth earwise_save))
  (tts_file "spoken.txt" nil)
  (format t "pieces %d\\n" earwise_pieces))
"""
"""Speaks `spoken.txt` into files `0.wav`, `1.wav` and so on, one per phrase, and prints their number. HTS voices ignore
`Duration_Stretch` and have their own speed factor."""


class FestivalEngine:
    """The program `festival` with its English voices. Raises `InputError` if it is not installed."""

    waits = True

    def __init__(self, settings: Settings | None = None) -> None:
        self._program = find_program("festival", "festival festvox-kallpc16k festvox-us-slt-hts")

    @functools.cached_property
    def name(self) -> str:
        """`festival` and its version."""
        found = re.search(r"System: ([\d.]+\d)", run_program([self._program, "--version"]))
        return f"festival {found[1] if found else 'of unknown version'}"

    def voices(self) -> list[str]:
        """The installed English voices of one of the `KINDS`, sorted."""
        return list(self._voices)

    def speak(self, spoken: str, voice: str, rate: float, pitch: float, seed: int) -> Waveform:
        """As `SpeechEngine.speak`. `rate` stretches durations by 175 / `rate`; the seed has no effect.

        Raises `InputError` for an unknown voice, a rate outside of the limits and any pitch but the voice's own.
        """
        check_voice(voice, self._voices, "festival")
        check_own_pitch(pitch, "festival")
        check_rate(rate, "festival")
        variables = {
            "EARWISE_VOICE": voice,
            "EARWISE_STRETCH": f"{NORMAL_RATE_WPM / rate:.4f}",
            "EARWISE_SPEED": f"{rate / NORMAL_RATE_WPM:.4f}",
        }
        with tempfile.TemporaryDirectory(prefix="earwise-festival-") as folder:
            (Path(folder) / "spoken.txt").write_text(in_ascii(with_letters(spoken)) + "\n", encoding="ascii")
            printed = self._evaluate(_SAY, Path(folder), variables)
            found = re.search(r"^pieces (\d+)$", printed, re.MULTILINE)
            if found is None or found[1] == "0":
                raise EarwiseError(f"{self.name} left no sound for voice {voice!r}: {printed.strip()[-200:]}")
            paths = [Path(folder) / f"{number}.wav" for number in range(int(found[1]))]
            sounds = [read_sound(path, self.name, voice) for path in paths]
        return to_16_khz(np.concatenate([samples for samples, _ in sounds]), sounds[0][1])

    @functools.cached_property
    def _voices(self) -> tuple[str, ...]:
        with tempfile.TemporaryDirectory(prefix="earwise-festival-") as folder:
            printed = self._evaluate(_LIST, Path(folder), {})
        listed = re.findall(r"^voice (\S+) (\S+)$", printed, re.MULTILINE)
        if not listed:
            raise InputError("festival has no voices", remedy="install one, e.g. `apt-get install festvox-kallpc16k`")
        english = {voice for voice, language in listed if "english" in language}
        return tuple(sorted(voice for voice in english if voice.rpartition("_")[2] in KINDS))

    def _evaluate(self, code: str, folder: Path, variables: dict[str, str]) -> str:
        """The output of festival for `code` in `folder`, with these environment variables."""
        # festival would evaluate a `.festivalrc` in the home folder, and clips would depend on it.
        environment = {**os.environ, **variables, "HOME": str(folder)}
        return run_program(
            [self._program, "--heap", _HEAP_CELLS, "-b", code.strip()], folder=folder, environment=environment
        )
