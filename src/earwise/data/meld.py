"""MELD (Poria et al., ACL 2019): utterances of a television series, each with one of seven emotions.

A split is a table `train_sent_emo.csv`, `dev_sent_emo.csv` or `test_sent_emo.csv` with the columns `Utterance` (the
transcript), `Speaker`, `Emotion`, `Sentiment`, `Dialogue_ID`, `Utterance_ID` and others, and a folder of clips
`dia{Dialogue_ID}_utt{Utterance_ID}.mp4`. Both numbers start again in each split. Some editions of the tables have
control characters as apostrophes (`legacy_text`).
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Final

from earwise.data.choices import LETTERS
from earwise.data.drops import Drops
from earwise.data.emotions import MELD, QUESTION
from earwise.data.fields import Fields, MissingMedia, Refuse, make_each
from earwise.data.legacy_text import read_legacy_text
from earwise.data.video import check_video
from earwise.errors import InputError
from earwise.records import Item

COLUMNS: Final = ("Utterance", "Speaker", "Emotion", "Sentiment", "Dialogue_ID", "Utterance_ID")
"""The required columns; a table may have more."""

CLIPS: Final[Mapping[str, str]] = {
    "train": "train_splits",
    "dev": "dev_splits_complete",
    "test": "output_repeated_splits_test",
}
"""Split -> folder of its clips in the release."""

ABSENT: Final = ("dev", "dia110_utt7")
"""A row without a clip in the release (MELD issues 22 and 27)."""
UNPLAYABLE: Final = ("train", "dia125_utt3")
"""A clip without an index of its frames in the release, which cannot be played (MELD issue 39)."""


def read_meld(path: str | Path, *, refuse: Refuse | None = None, drops: Drops | None = None) -> list[Item]:
    """Items of one split: which of the seven emotions does the speaker express?

    Clips are in one of `clip_folders` beside the table. The sound is a WAV file with the clip's name if it exists, else
    that of the video. The kind is the emotion, the cluster the dialogue; `meta` has transcript, speaker and sentiment.
    `refuse` and `drops` as in `fields.read_each`; the clip that is broken in the release counts as missing. Raises
    `InputError` naming file and line for an unreadable table, missing columns and clips, unknown emotions, invalid
    numbers, and a clip with two rows.
    """
    path = Path(path)
    folders = clip_folders(path)
    return make_each(path, rows(path), partial(_item, folders=folders), refuse=refuse, drops=drops)


def split_of(path: Path) -> str:
    """The split of a table, from its name: `train` for `train_sent_emo.csv`."""
    return path.stem.removesuffix("_sent_emo")


def clip_folders(path: Path) -> list[str]:
    """The folders of a table's clips, relative to its own; the published name if none exists.

    They have the published name, also inside a folder of the split's name, as the archives unpack; or the split's name.
    """
    split = split_of(path)
    published = CLIPS.get(split, f"{split}_splits")
    names = (published, f"{split}/{published}", split)
    return [name for name in names if (path.parent / name).is_dir()] or [published]


def rows(path: Path) -> Iterator[Fields]:
    """The unchecked rows of a table; raises `InputError` for a table that cannot be read."""
    reader = csv.reader(io.StringIO(read_legacy_text(path).text, newline=""), strict=True)
    try:
        header = next(reader, [])
        if lacking := [name for name in COLUMNS if name not in header]:
            raise InputError(f"missing columns: {', '.join(lacking)}", file=path, remedy=f"it has: {', '.join(header)}")
        for row in reader:
            record = f"line {reader.line_num}"
            if row and len(row) != len(header):
                raise InputError(f"{len(row)} fields where the header has {len(header)}", file=path, record=record)
            if row:
                yield Fields(path, record, dict(zip(header, row, strict=True)))
    except csv.Error as error:
        record = f"line {reader.line_num}"
        raise InputError(f"not a readable CSV file: {error}", file=path, record=record) from None


def _item(fields: Fields, folders: Sequence[str]) -> Item:
    emotion = fields.text("Emotion").lower()
    if emotion not in MELD:
        raise fields.error(f"unknown emotion {emotion!r}", f"known: {', '.join(MELD)}")
    dialogue = f"dia{_number(fields, 'Dialogue_ID')}"
    clip, split = f"{dialogue}_utt{_number(fields, 'Utterance_ID')}", split_of(fields.path)
    videos, sounds = ([f"{folder}/{clip}.{ending}" for folder in folders] for ending in ("mp4", "wav"))
    video, audio = fields.video_and_sound(videos, sounds)
    if (split, clip) == UNPLAYABLE and audio is None and video is not None:
        _require_playable(fields, video)
    return Item(
        id=f"meld-{split}-{clip}",
        source="meld",
        question=QUESTION,
        answers=(LETTERS[MELD.index(emotion)],),
        choices=MELD,
        video=video,
        audio=audio,
        cluster=f"{split}-{dialogue}",
        kind=emotion,
        meta={
            "transcript": fields.values["Utterance"].strip(),
            "speaker": fields.values["Speaker"].strip(),
            "sentiment": fields.values["Sentiment"].strip(),
        },
    )


def _number(fields: Fields, key: str) -> int:
    value = fields.text(key)
    if not value.isdecimal():
        raise fields.error(f"{key!r} is not a whole number: {value!r}")
    return int(value)


def _require_playable(fields: Fields, video: str) -> None:
    try:
        check_video(fields.path.parent / video)
    except InputError as error:
        what = f"file {video!r} cannot be played: {error.what}"
        raise MissingMedia(what, file=fields.path, record=fields.record) from None
