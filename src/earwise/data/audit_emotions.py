"""The audit of MELD and IEMOCAP: known defects, counts, transcripts."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final

from earwise.data.asr import header_seconds
from earwise.data.drops import Drops
from earwise.data.emotions import MELD
from earwise.data.fields import Refuse
from earwise.data.findings import Finding
from earwise.data.iemocap import LEFT_OUT, SESSIONS, evaluations, left_out, read_iemocap, read_words, transcription
from earwise.data.legacy_text import read_legacy_text
from earwise.data.media import MAX_CLIP_S
from earwise.data.meld import ABSENT, UNPLAYABLE, clip_folders, rows, split_of
from earwise.data.video import sound_seconds
from earwise.errors import InputError
from earwise.records import Item

MELD_TEST: Final[Mapping[str, int]] = {
    "rows": 2610,
    "dialogues": 280,
    "neutral": 1256,
    "joy": 402,
    "anger": 345,
    "surprise": 281,
    "sadness": 208,
    "disgust": 68,
    "fear": 50,
}
"""From MELD's own tables."""
MELD_OTHERS: Final[Mapping[str, Mapping[str, int]]] = {
    "train_sent_emo.csv": {
        "rows": 9989,
        "dialogues": 1038,
        "neutral": 4710,
        "joy": 1743,
        "anger": 1109,
        "surprise": 1205,
        "sadness": 683,
        "disgust": 271,
        "fear": 268,
    },
    "dev_sent_emo.csv": {
        "rows": 1109,
        "dialogues": 114,
        "neutral": 470,
        "joy": 163,
        "anger": 153,
        "surprise": 150,
        "sadness": 111,
        "disgust": 22,
        "fear": 40,
    },
}
"""The other two splits. MELD's page says 1,039 dialogues in train; its table has 1,038."""

IEMOCAP_COUNTS: Final[Mapping[str, int]] = {
    "rows": 5531,
    "ang": 1103,
    "hap": 1636,
    "neu": 1708,
    "sad": 1084,
    "session 1": 1085,
    "session 2": 1023,
    "session 3": 1151,
    "session 4": 1031,
    "session 5": 1241,
    left_out("xxx"): 2507,
    left_out("fru"): 1849,
    left_out("sur"): 107,
    left_out("fea"): 40,
    left_out("oth"): 3,
    left_out("dis"): 2,
}
"""All five sessions: 10,039 turns, 5,531 of them in the four classes."""

_CLIP: Final = re.compile(r"(dia\d+_utt\d+)\.(?:mp4|wav)")


def read_every_session(path: Path, *, refuse: Refuse | None = None) -> list[Item]:
    """The items of all existing sessions of IEMOCAP; raises `InputError` if there are none."""
    return read_iemocap(path, sessions=_sessions(path), refuse=refuse)


def meld_extras(path: Path, items: Sequence[Item], findings: list[Finding], num_rows: int) -> dict[str, int]:
    """Counts of dialogues, of rows by emotion (with or without clip) and of clips without a row. Known defects among
    the `findings` become warnings.
    """
    split = split_of(path)
    known = [clip for defect, clip in (ABSENT, UNPLAYABLE) if defect == split]
    findings[:] = [_known(finding, known) for finding in findings]
    findings += [*_encoding([path]), *_long(path.parent, items)]
    table = [row.values for row in rows(path)]
    named = {f"dia{row['Dialogue_ID'].strip()}_utt{row['Utterance_ID'].strip()}" for row in table}
    emotions = Counter(row["Emotion"].strip().lower() for row in table)
    there = [file.name for folder in clip_folders(path) for file in (path.parent / folder).glob("*dia*_utt*.*")]
    spare = {name for name in there if (match := _CLIP.fullmatch(name)) is None or match[1] not in named}
    return {
        "dialogues": len({row["Dialogue_ID"].strip() for row in table}),
        **{emotion: emotions[emotion] for emotion in MELD},
        "clips that no row names": len(spare),
    }


def iemocap_extras(path: Path, items: Sequence[Item], findings: list[Finding], num_rows: int) -> dict[str, int]:
    """Counts of items by session and of left-out turns by label; findings about transcripts."""
    drops = Drops()
    sessions = _sessions(path)
    read_iemocap(path, sessions=sessions, refuse=lambda _: None, drops=drops)
    files = [(session, file.stem) for session in sessions for file in evaluations(path, session)]
    words = [transcription(path, session, dialogue) for session, dialogue in files]
    lacking = [file for file in words if not file.is_file()]
    findings += [Finding("transcript", "warning", file.stem, "no transcript of this dialogue") for file in lacking]
    without = {file.stem for file in lacking}
    silent = [item.id for item in items if not item.meta["transcript"] and item.cluster not in without]
    findings += [Finding("transcript", "warning", item, "no words of this turn in its transcript") for item in silent]
    findings += [*_encoding([file for file in words if file.is_file()]), *_long(path.absolute().parent, items)]
    return {
        "dialogues": len(files),
        **Counter(f"session {item.meta['session']}" for item in items),
        **{left_out(label): drops[left_out(label)] for label in LEFT_OUT},
        "lines of transcripts that belong to no turn": sum(read_words(file).loose for file in words),
    }


def _sessions(path: Path) -> list[int]:
    there = [session for session in SESSIONS if (path / f"Session{session}").is_dir()]
    if not there:
        raise InputError("no session in this folder", remedy="name the folder that holds Session1 to Session5")
    return there


def _known(finding: Finding, clips: Sequence[str]) -> Finding:
    if any(re.search(rf"\b{clip}\b", f"{finding.record} {finding.what}") for clip in clips):
        return replace(finding, check="known defect", level="warning")
    return finding


def _encoding(files: Sequence[Path]) -> Iterator[Finding]:
    for file in files:
        if mended := read_legacy_text(file).mended:
            what = f"{mended:,} of its characters are Windows-1252, not UTF-8: read as what they stand for"
            yield Finding("encoding", "warning", file.name, what)


def _long(folder: Path, items: Sequence[Item]) -> Iterator[Finding]:
    """Warnings of sounds that are too long to be heard whole. Unreadable sounds are found elsewhere."""
    for item in items:
        try:
            seconds = _seconds(folder, item)
        except InputError:
            continue
        if seconds > MAX_CLIP_S:
            yield Finding("long", "warning", item.id, f"{seconds:.0f} s of sound, of which {MAX_CLIP_S} are heard")


def _seconds(folder: Path, item: Item) -> float:
    if item.audio is not None:
        return header_seconds(folder / item.audio) or 0.0
    assert item.video is not None
    return sound_seconds(folder / item.video)
