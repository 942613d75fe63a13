"""IEMOCAP (Busso et al., 2008): dialogues of ten actors in five sessions, turns of the four usual classes.

The release is a folder, `IEMOCAP_full_release`, with these files in each `SessionN`:

- `dialog/EmoEvaluation/DIALOGUE.txt`: for every turn a line `[START - END]<tab>TURN<tab>EMOTION<tab>[V, A, D]`; other
  lines are of single annotators and ignored,
- `sentences/wav/DIALOGUE/TURN.wav`,
- `dialog/transcriptions/DIALOGUE.txt`: lines `TURN [START-END]: WORDS`; others (`M: Yeah.`) belong to no turn.

As is usual, excitement is merged with happiness, which gives 5,531 turns: angry, happy, neutral and sad. Turns with
another label, or without a majority label, are left out and counted. Each session has two actors of its own, so tests
use a session that is absent from training: by default the fifth.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final

from earwise.data.choices import LETTERS
from earwise.data.drops import Drops
from earwise.data.emotions import IEMOCAP, QUESTION
from earwise.data.fields import Fields, MissingMedia, Refuse, make_each
from earwise.data.legacy_text import read_legacy_text
from earwise.errors import InputError
from earwise.records import Item

log = logging.getLogger(__name__)

SESSIONS: Final = (1, 2, 3, 4, 5)

TEST: Final = (5,)
"""Sessions for tests by default; the other four are for training."""

MERGED: Final[Mapping[str, str]] = {"exc": "hap"}
"""Labels that are merged into another class."""

LEFT_OUT: Final[Mapping[str, str]] = {
    "xxx": "annotators disagree",
    "fru": "frustration",
    "sur": "surprise",
    "fea": "fear",
    "dis": "disgust",
    "oth": "other",
}
"""Labels outside of the four classes."""

_TURN: Final = re.compile(r"\[\s*-?[\d.]+\s*-\s*[\d.]+\s*\]\s+(\S+)\s+(\S+)\s+\[[^\]]*\]")
_SPEAKER: Final = re.compile(r"_([FM])\w+")
"""The part of a turn's name after the dialogue's, with the speaker."""
_SAID: Final = re.compile(r"(\S+)\s+\[[^\]]*\]:\s*(.*)")


def read_iemocap(
    path: str | Path,
    *,
    sessions: Sequence[int] = TEST,
    refuse: Refuse | None = None,
    drops: Drops | None = None,
) -> list[Item]:
    """Items of some sessions: which of the four emotions does the speaker express?

    Sound paths are relative to the folder that contains `path`. The kind is the class (`ang`, `hap`, `neu`, `sad`), the
    cluster the dialogue; `meta` has transcript, speaker, session and the annotated label. `refuse` and `drops` as in
    `fields.read_each`; `drops` also counts turns with other labels, which are logged without it. Raises `InputError`
    naming file and line for a missing session, a turn's line in another form or of another dialogue, an unknown label,
    a repeated turn, and a missing sound.
    """
    release = Path(path).absolute()
    counted = Drops() if drops is None else drops
    records = (record for session in sessions for record in _records(release, session))
    items = make_each(release, records, partial(_item, release=release, drops=counted), refuse=refuse, drops=drops)
    if drops is None:
        for line in counted.lines():
            log.info("%s: %s", path, line)
    return items


def evaluations(path: str | Path, session: int) -> list[Path]:
    """The files with the turns of a session, one for each dialogue; raises `InputError` if there are none.

    Hidden files, which archives from a Mac contain beside each file, are ignored.
    """
    folder = Path(path) / f"Session{session}" / "dialog" / "EmoEvaluation"
    files = sorted(file for file in folder.glob("*.txt") if not file.name.startswith("."))
    if not files:
        remedy = "name the folder that holds Session1 to Session5"
        raise InputError("no dialogues in this session", file=folder, remedy=remedy)
    return files


def listing_files(path: str | Path, sessions: Sequence[int]) -> list[Path]:
    """All files that list the turns of some sessions, and the transcriptions that exist."""
    turns = [(session, file) for session in sessions for file in evaluations(path, session)]
    words = [transcription(path, session, file.stem) for session, file in turns]
    return [*(file for _, file in turns), *(file for file in words if file.is_file())]


def transcription(path: str | Path, session: int, dialogue: str) -> Path:
    """The file with the words of a dialogue."""
    return Path(path) / f"Session{session}" / "dialog" / "transcriptions" / f"{dialogue}.txt"


@dataclass(frozen=True)
class Words:
    """The words of a dialogue by turn, and the number of lines without a turn."""

    by_turn: Mapping[str, str]
    loose: int


def read_words(path: Path) -> Words:
    """The words of a dialogue; empty for a missing file."""
    if not path.is_file():
        return Words({}, 0)
    lines = [line.strip() for line in read_legacy_text(path).text.splitlines() if line.strip()]
    found = [match for line in lines if (match := _SAID.fullmatch(line))]
    return Words({match[1]: match[2].strip() for match in found}, len(lines) - len(found))


def _records(release: Path, session: int) -> Iterator[Fields]:
    for file in evaluations(release, session):
        words = read_words(transcription(release, session, file.stem)).by_turn
        for number, line in enumerate(read_legacy_text(file).text.splitlines(), start=1):
            if line.startswith("["):
                yield Fields(file, f"line {number}", {"line": line.strip(), "session": session, "words": words})


def _item(fields: Fields, release: Path, drops: Drops) -> Item | None:
    session, dialogue = fields.values["session"], fields.path.stem
    match = _TURN.fullmatch(fields.values["line"])
    if match is None:
        raise fields.error("not a turn's line", "it reads [START - END] TURN EMOTION [V, A, D], with tabs between")
    turn, label = match.groups()
    speaker = _SPEAKER.fullmatch(turn.removeprefix(dialogue))
    if speaker is None or not dialogue.startswith(f"Ses{session:02}"):
        raise fields.error(f"turn {turn!r} is not of this dialogue", f"it belongs to session {session}")
    if label in LEFT_OUT:
        drops.add(left_out(label), turn)
        return None
    kind = MERGED.get(label, label)
    if kind not in IEMOCAP:
        raise fields.error(f"unknown emotion {label!r}", f"known: {', '.join((*IEMOCAP, *MERGED, *LEFT_OUT))}")
    sound = f"{release.name}/Session{session}/sentences/wav/{dialogue}/{turn}.wav"
    if not (release.parent / sound).is_file():
        raise MissingMedia(f"file {sound!r} not found", file=fields.path, record=fields.record)
    return Item(
        id=f"iemocap-{turn}",
        source="iemocap",
        question=QUESTION,
        answers=(LETTERS[tuple(IEMOCAP).index(kind)],),
        choices=tuple(IEMOCAP.values()),
        audio=sound,
        cluster=dialogue,
        kind=kind,
        meta={
            "transcript": fields.values["words"].get(turn, ""),
            "speaker": f"Ses{session:02}{speaker[1]}",
            "session": session,
            "label": label,
        },
    )


def left_out(label: str) -> str:
    """The reason why turns of this label are left out."""
    return f"labelled {label} ({LEFT_OUT[label]}), none of the four classes"
