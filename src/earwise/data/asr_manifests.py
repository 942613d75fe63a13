"""ASR corpora as manifests in plain or gzipped JSON lines: Lhotse cuts, Lhotse supervisions with recordings, NeMo."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from earwise.data.asr import Corpus, Utterance, check_cut, inside, number_of_seconds
from earwise.data.drops import Drops
from earwise.data.json_records import parse_object
from earwise.errors import InputError
from earwise.io.files import text_lines

Row = Mapping[str, Any]


def read_nemo(path: str | Path, audio: str | Path | None = None) -> Corpus:
    """A NeMo manifest: lines of `{"audio_filepath", "duration", "text"}` and, for a part of a file, `offset`.

    `audio` is the folder of the paths, by default the manifest's. Raises `InputError` naming file and line for a broken
    line, a missing key, a negative duration or offset, and a path that leads out of the folder; missing audio and empty
    texts are left out and counted.
    """
    path, drops = Path(path), Drops()
    root = Path(audio) if audio is not None else path.parent
    utterances = [found for found in (_nemo(path, root, row, where, drops) for where, row in _lines(path)) if found]
    return Corpus(path, root, utterances, drops)


def _nemo(path: Path, root: Path, row: Row, where: str, drops: Drops) -> Utterance | None:
    seconds, file = _needed(row, "duration", path, where), str(_needed(row, "audio_filepath", path, where))
    cut = check_cut(path, where, offset_s=row.get("offset") or 0.0, duration_s=seconds, speaker=row.get("speaker"))
    return _usable(Utterance(where, _text(row), inside(root, file, path, where), cut, float(seconds)), root, drops)


def read_lhotse(path: str | Path, audio: str | Path | None = None, recordings: str | Path | None = None) -> Corpus:
    """A Lhotse manifest of cuts, or of supervisions with the manifest of their `recordings`.

    `audio` is the folder of the paths, by default the manifest's. Raises as `read_nemo`. Mixed cuts, cuts without a
    recording, recordings from several files or a `command` (which is never run), and recordings that Lhotse would
    transform other than by resampling are left out and counted.
    """
    path, drops = Path(path), Drops()
    root = Path(audio) if audio is not None else path.parent
    known = {str(_needed(row, "id", Path(recordings), where)): row for where, row in _lines(Path(recordings))} if (
        recordings is not None
    ) else {}  # fmt: skip
    utterances = []
    for where, row in _lines(path):
        where = f"{where} ({row['id']})" if "id" in row else where
        for start, recording, supervision in _supervisions(path, row, known, where, drops):
            found = _lhotse(path, root, start, recording, supervision, where, drops)
            utterances += [found] if found else []
    return Corpus(path, root, utterances, drops)


def _supervisions(
    path: Path, row: Row, known: Mapping[str, Row], where: str, drops: Drops
) -> Iterator[tuple[float, Row, Row]]:
    """(start of the cut, recording, supervision) of every supervision in a row."""
    if "recording_id" in row:  # a supervision
        recording = known.get(str(row["recording_id"]))
        if recording is None:
            raise InputError(
                f"recording {row['recording_id']!r} is not known", file=path, record=where, remedy="give recordings"
            )
        yield 0.0, recording, row
    elif row.get("recording") is not None:  # a cut
        start = check_cut(path, where, offset_s=row.get("start"), duration_s=row.get("duration")).offset_s
        supervisions = row.get("supervisions") or ()
        for supervision in supervisions:
            own = _object(supervision, "supervision", path, where)
            yield start, _object(row["recording"], "recording", path, where), {"channel": row.get("channel"), **own}
        if not supervisions:
            drops.add("a cut without a transcript", where)
    elif "supervisions" in row:
        drops.add("a cut without a recording", where)
    elif "tracks" in row or row.get("type") in ("MixedCut", "PaddingCut"):
        drops.add("a cut that is mixed of several", where)
    else:
        raise InputError("is neither a cut nor a supervision of Lhotse", file=path, record=where)


def _lhotse(
    path: Path, root: Path, start: float, recording: Row, supervision: Row, where: str, drops: Drops
) -> Utterance | None:
    sources = [_object(source, "source", path, where) for source in _needed(recording, "sources", path, where)]
    if len(sources) != 1 or sources[0].get("type") != "file":
        drops.add("audio that is not one file", where)
        return None
    if any(
        _object(one, "transform", path, where).get("name") != "Resample" for one in recording.get("transforms") or ()
    ):
        drops.add("a recording that is changed on reading", where)
        return None
    channel = supervision.get("channel")
    if isinstance(channel, list):
        channel = channel[0] if len(channel) == 1 else None
    cut = check_cut(
        path,
        where,
        offset_s=round(start + number_of_seconds("start", supervision.get("start") or 0.0, path, where), 6),
        duration_s=_needed(supervision, "duration", path, where),
        channel=channel if len(sources[0].get("channels") or [0]) > 1 else None,
        speaker=supervision.get("speaker"),
    )
    whole = recording.get("duration")
    if whole is not None:
        whole = number_of_seconds("recording's duration", whole, path, where)
    file = inside(root, str(sources[0].get("source", "")), path, where)
    return _usable(Utterance(where, _text(supervision), file, cut, cut.duration_s, whole), root, drops)


def _usable(utterance: Utterance, root: Path, drops: Drops) -> Utterance | None:
    reason = None if utterance.text else "no text"
    if reason is None and not (root / utterance.audio).is_file():
        reason = "audio file missing"
    if reason is None:
        return utterance
    drops.add(reason, utterance.record)
    return None


def _text(row: Row) -> str:
    return str(row.get("text") or "").strip()


def _object(value: Any, what: str, path: Path, where: str) -> Row:
    if not isinstance(value, dict):
        raise InputError(f"a {what} is not a JSON object: {value!r}", file=path, record=where)
    return value


def _needed(row: Row, key: str, path: Path, where: str) -> Any:
    if row.get(key) is None:
        raise InputError(f"no {key!r}", file=path, record=where)
    return row[key]


def _lines(path: Path) -> Iterator[tuple[str, Row]]:
    for number, line in text_lines(path):
        try:
            row = parse_object(line)
        except ValueError as error:
            raise InputError(str(error), file=path, record=f"line {number}") from None
        yield f"line {number}", row
