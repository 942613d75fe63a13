"""Asterisk's telephone prompts: one professional voice, digits, letters, the phonetic alphabet and sentences.

The package of sounds names digits, letters and the phonetic alphabet by what is said. What the sentences say stands in
`core-sounds-en.txt` of the source package, which is read where it lies beside the converted folders.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from earwise.io.files import read_text
from earwise.real.recordings import Recording

TEXTS: Final = "core-sounds-en.txt"
VOICE: Final = "en_US_f_Allison"

_ONES = "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen eighteen nineteen"  # noqa: E501
_ORDINALS = "first second third fourth fifth sixth seventh eighth ninth tenth eleventh twelfth thirteenth fourteenth fifteenth sixteenth seventeenth eighteenth nineteenth"  # noqa: E501
_TENS = "twenty thirty forty fifty sixty seventy eighty ninety"
_DAYS = "sunday monday tuesday wednesday thursday friday saturday"
_MONTHS = "january february march april may june july august september october november december"
_ALPHABET = "alpha bravo charlie delta echo foxtrot golf hotel india juliet kilo lima mike november oscar papa quebec romeo sierra tango uniform victor whiskey x-ray yankee zulu"  # noqa: E501


def _said() -> dict[str, str]:
    """What is said in the files whose names tell it, by name."""
    numbers = dict(enumerate(_ONES.split())) | {10 * n: word for n, word in enumerate(_TENS.split(), start=2)}
    tens = {10 * n: f"{word[:-1]}ieth" for n, word in enumerate(_TENS.split(), start=2)}
    ordinals = dict(enumerate(_ORDINALS.split(), start=1)) | tens
    large = ("hundred", "thousand", "million", "billion")
    named = ("at", "dollars", "minus", "oclock", "oh", "pound", "star", "today", "tomorrow", "yesterday", *large)
    found = {f"digits/{number}": word for number, word in numbers.items()}
    found |= {f"digits/h-{number}": word for number, word in ordinals.items()}
    found |= {f"digits/h-{word}": f"{word}th" for word in large} | {f"digits/{word}": word for word in named}
    found |= {f"digits/day-{n}": day for n, day in enumerate(_DAYS.split())}
    found |= {f"digits/mon-{n}": month for n, month in enumerate(_MONTHS.split())}
    found |= {"digits/oclock": "o'clock", "digits/a-m": "a m", "digits/p-m": "p m"}
    found |= {f"letters/{letter}": letter for letter in "abcdefghijklmnopqrstuvwxyz"}
    found |= {f"phonetic/{word[0]}_p": word for word in _ALPHABET.split()} | {"phonetic/9_p": "niner"}
    return found


SAID: Final = _said()


def read_asterisk(package: Path, folder: Path) -> Iterator[Recording]:
    """The prompts whose words are known, in manifests `digits`, `letters`, `phonetic` and `sentences`.

    `package` is unpacked; sentences need `core-sounds-en.txt` in `folder`.
    """
    sounds = package / "usr/share/asterisk/sounds" / VOICE
    sentences = read_sentences(folder / TEXTS) if (folder / TEXTS).is_file() else {}
    for name, text in {**sentences, **SAID}.items():
        file = sounds / f"{name}.g722"
        if file.is_file():
            manifest = name.partition("/")[0] if name in SAID else "sentences"
            yield Recording(file, text, name, manifest, speaker="allison")


def read_sentences(path: Path) -> dict[str, str]:
    """What the list says of prompts in the main folder: `NAME: WORDS`. Left out are names of sounds that nobody says
    (`[...]`, `(...)`) and prompts that are cut out of a sentence (`...`).
    """
    found = {}
    for line in read_text(path).splitlines():
        if match := re.fullmatch(r"([\w-]+): *(.*\w.*)", line.strip()):
            name, text = match.groups()
            if not re.search(r"[\[(]|\.\.\.", text):
                found[name] = text
    return found
