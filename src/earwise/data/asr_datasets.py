"""ASR corpora as Hugging Face audio data sets on disk, written by `Dataset.save_to_disk`.

Only this module needs the package `datasets`. soundfile decodes the stored audio, so no other decoder is needed.
"""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import TYPE_CHECKING, Final

from earwise.data.asr import Corpus, Recording, Utterance, inside
from earwise.data.drops import Drops
from earwise.errors import InputError
from earwise.work.store import write_bytes_atomic

if TYPE_CHECKING:
    import datasets

_TEXTS: Final = ("text", "sentence", "transcription", "transcript", "normalized_text", "raw_text")
_SPEAKERS: Final = ("speaker_id", "speaker", "client_id")


def dataset_files(path: Path) -> list[Path]:
    """The small files that describe a data set and contain its fingerprints."""
    return sorted(itertools.chain(path.rglob("state.json"), path.rglob("dataset_info.json")))


def read_dataset(path: str | Path, extracted: str | Path, *, split: str | None = None) -> Corpus:
    """A data set on disk with one audio column and a text column.

    `Corpus.fetch` writes audio that is stored in the data set to the folder `extracted`, unchanged. Audio that is
    stored as paths must be inside `path`.

    Raises `InputError` naming the folder and the row for another kind of folder, an unknown split, a missing audio or
    text column, and a path that leads out of the folder; rows without text or audio are left out and counted.
    """
    path, extracted = Path(path), Path(extracted)
    rows = _open(path, split)
    audio, text, speaker = _columns(path, rows)
    # The first row with audio shows how all of it is stored.
    sounds = (row[audio] for row in rows if row[audio])
    stored = next((sound["bytes"] is not None for sound in sounds), False)
    # Without its audio, a row is a few words, so the whole list is read at once.
    light = rows.remove_columns([audio]) if stored else rows
    drops = Drops()
    utterances = []
    for number, row in enumerate(light):
        if not (transcript := str(row[text] or "").strip()):
            drops.add("no text", f"row {number}")
            continue
        if not stored and not (row[audio] or {}).get("path"):
            drops.add("no audio", f"row {number}")
            continue
        file = f"{number:08d}.audio" if stored else inside(path, str(row[audio]["path"]), path, f"row {number}")
        name = "" if speaker is None or row[speaker] is None else str(row[speaker])
        utterances.append(Utterance(f"row {number}", transcript, file, Recording(speaker=name)))
    root = extracted if stored else path
    return Corpus(path, root, utterances, drops, _Extractor(rows, audio, extracted) if stored else None)


class _Extractor:
    def __init__(self, rows: datasets.Dataset, column: str, folder: Path) -> None:
        self._rows, self._column, self._folder = rows, column, folder

    def __call__(self, utterance: Utterance) -> None:
        file = self._folder / utterance.audio
        if not file.exists():
            sound = self._rows[int(file.stem)][self._column] or {}
            # A row without audio gives an empty file, which is later counted as unreadable.
            write_bytes_atomic(file, sound.get("bytes") or b"")


def _open(path: Path, split: str | None) -> datasets.Dataset:
    try:
        import datasets
    except ImportError:
        remedy = "pip install 'earwise[datasets]'"
        raise InputError("reading this needs the package 'datasets'", file=path, remedy=remedy) from None
    if not dataset_files(path):
        raise InputError("not a Hugging Face data set on disk", file=path, remedy="save it with save_to_disk")
    found = datasets.load_from_disk(str(path))  # reads Arrow files, executes nothing
    if isinstance(found, datasets.DatasetDict):
        if split not in found:
            what = f"no split {split!r}" if split else "no split is named"
            raise InputError(what, file=path, remedy=f"there is {', '.join(found)}")
        found = found[split]
    elif split is not None:
        raise InputError(f"no split {split!r}: the data set has none", file=path, remedy="leave the split out")
    for name, kind in found.features.items():
        if isinstance(kind, datasets.Audio):
            found = found.cast_column(name, datasets.Audio(decode=False))
    return found


def _columns(path: Path, rows: datasets.Dataset) -> tuple[str, str, str | None]:
    import datasets

    audio = [name for name, kind in rows.features.items() if isinstance(kind, datasets.Audio)]
    texts = [name for name in _TEXTS if name in rows.features]
    if len(audio) != 1:
        raise InputError(f"{len(audio)} audio columns, one is needed", file=path)
    if not texts:
        raise InputError("no text column", file=path, remedy=f"name it one of {', '.join(_TEXTS)}")
    return audio[0], texts[0], next((name for name in _SPEAKERS if name in rows.features), None)
