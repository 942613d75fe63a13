"""ASR corpora as folders: LibriSpeech (and trees of the same form, such as LibriTTS) and Common Voice."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Final

from earwise.data.asr import Corpus, Recording, Utterance
from earwise.data.drops import Drops
from earwise.errors import InputError
from earwise.io.files import text_lines

_ENDINGS: Final = (".flac", ".wav", ".mp3", ".ogg", ".opus")


def librispeech_files(path: Path) -> list[Path]:
    """The transcript files below `path`, sorted; raises `InputError` if there are none."""
    files = sorted(path.rglob("*.trans.txt"))
    if not files:
        raise InputError("no transcripts", file=path, remedy="LibriSpeech has READER/CHAPTER/*.trans.txt")
    return files


def read_librispeech(path: str | Path) -> Corpus:
    """`READER/CHAPTER/READER-CHAPTER.trans.txt` with lines `READER-CHAPTER-NUMBER TEXT`, and audio files beside it.

    Raises `InputError` naming file and line for a line without a text; missing audio is left out and counted.
    """
    path = Path(path)
    drops = Drops()
    utterances = [utterance for file in librispeech_files(path) for utterance in _chapter(path, file, drops)]
    return Corpus(path, path, utterances, drops)


def _chapter(root: Path, file: Path, drops: Drops) -> Iterator[Utterance]:
    there = {each.stem: each for each in sorted(file.parent.iterdir()) if each.suffix in _ENDINGS}
    for number, line in text_lines(file):
        name, *rest = line.split(maxsplit=1)
        where = f"{file.relative_to(root)} line {number}"
        if not rest:
            raise InputError("no text after the utterance's name", file=file, record=f"line {number}")
        if name not in there:
            drops.add("audio file missing", where)
            continue
        speaker = name.partition("-")[0]
        yield Utterance(where, rest[0].strip(), str(there[name].relative_to(root)), Recording(speaker=speaker))


def common_voice_file(path: Path, split: str) -> Path:
    """The file that lists a split; raises `InputError` naming the existing splits."""
    file = path / f"{split}.tsv"
    if not file.is_file():
        there = ", ".join(sorted(each.stem for each in path.glob("*.tsv"))) or "no .tsv file"
        raise InputError(f"no split {split!r}", file=path, remedy=f"there is {there}")
    return file


def read_common_voice(path: str | Path, split: str = "validated") -> Corpus:
    """`SPLIT.tsv` with the columns `client_id`, `path` and `sentence`, and the audio in `clips/`.

    Raises `InputError` naming file and line for missing columns, a short line and a path that leaves `clips/`; missing
    audio and empty sentences are left out and counted.
    """
    root = Path(path)
    file = common_voice_file(root, split)
    drops = Drops()
    return Corpus(file, root / "clips", list(_rows(root / "clips", file, drops)), drops)


def _rows(clips: Path, file: Path, drops: Drops) -> Iterator[Utterance]:
    there = {each.name for each in clips.iterdir()} if clips.is_dir() else set()
    rows = ((number, line.split("\t")) for number, line in text_lines(file))
    _, header = next(rows, (0, []))
    wanted = ("client_id", "path", "sentence")
    if missing := [name for name in wanted if name not in header]:
        raise InputError(f"no column {missing[0]!r}", file=file, remedy=f"it has {', '.join(header)}")
    columns = [header.index(name) for name in wanted]
    for number, row in rows:
        where = f"line {number}"
        if len(row) <= max(columns):
            raise InputError(f"{len(row)} fields, {len(header)} columns", file=file, record=where)
        speaker, name, sentence = (row[column].strip() for column in columns)
        name = name if Path(name).suffix else f"{name}.mp3"  # early releases left the ending out
        if name != Path(name).name or "\\" in name:
            raise InputError(f"the audio path {name!r} is outside the data folder {clips}", file=file, record=where)
        reason = "no sentence" if not sentence else "audio file missing" if name not in there else None
        if reason:
            drops.add(reason, where)
            continue
        yield Utterance(where, sentence, name, Recording(speaker=speaker[:16]))
