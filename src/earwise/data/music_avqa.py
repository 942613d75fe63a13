"""MUSIC-AVQA (Li et al., CVPR 2022): questions about music videos with answers from a closed vocabulary.

Files `avqa-train.json`, `avqa-val.json` and `avqa-test.json` exist in two editions, in the folders `json` (test: 9,185
questions, 55 of their ids twice) and `json_update` (9,129); results must name the edition. A record has `video_id`,
`question_id`, `type` (a list written as text, `["Audio", "Counting"]`), `question_content` with slots such as
`<Object>`, `templ_values` (a list written as text, the values of the slots from left to right) and `anser` (sic).
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final, Literal

from earwise.data.drops import Drops
from earwise.data.fields import Fields, Refuse, read_each
from earwise.data.printed_lists import printed_list
from earwise.records import Item

CELLS: Final = (
    "Audio Counting",
    "Audio Comparative",
    "Visual Counting",
    "Visual Location",
    "Audio-Visual Existential",
    "Audio-Visual Location",
    "Audio-Visual Counting",
    "Audio-Visual Comparative",
    "Audio-Visual Temporal",
)
"""Modality and type of a question. Results report these nine numbers."""

SUFFIX: Final = " Answer the question using a single word or phrase."
"""The files request no format, and evaluation kits do not agree on one."""

Edition = Literal["json_update", "json", "other"]
_TEST_SIZES: Final[dict[int, Edition]] = {9129: "json_update", 9185: "json"}
_SLOT: Final = re.compile(r"<[^<>]+>")


def read_music_avqa(path: str | Path, *, refuse: Refuse | None = None, drops: Drops | None = None) -> list[Item]:
    """Items of a MUSIC-AVQA file, with the slots of questions filled.

    Videos are `videos/VIDEO_ID.mp4` beside the file; separate sounds are `audios/VIDEO_ID.wav`. The cluster is the
    video, the kind is one of `CELLS`. `refuse` and `drops` as in `fields.read_each`. Raises `InputError` naming file
    and record for missing fields and media, an unknown cell, and different numbers of values and slots.
    """
    return read_each(Path(path), _item, refuse=refuse, drops=drops)


def edition(num_records: int) -> Edition:
    """The edition of a test file with this number of records; the sizes of other files do not tell."""
    return _TEST_SIZES.get(num_records, "other")


def fill(question: str, values: list[str]) -> str:
    """`question` with its slots filled from left to right; raises `ValueError` unless there is one value for each slot.

    `Is the <Object> in the video always playing?` with `["violin"]` is `Is the violin in the video always playing?`
    """
    slots = _SLOT.findall(question)
    if len(slots) != len(values):
        raise ValueError(f"{len(slots)} slots in {question!r}, but {len(values)} template values {values}")
    rest = iter(values)
    return _SLOT.sub(lambda _: next(rest), question)


def _item(fields: Fields) -> Item:
    modality_and_type = _list(fields, "type")
    cell = " ".join(modality_and_type)
    if cell not in CELLS:
        raise fields.error(f"unknown type {modality_and_type}", f"known: {', '.join(CELLS)}")
    try:
        question = fill(fields.text("question_content"), _list(fields, "templ_values"))
    except ValueError as error:
        raise fields.error(str(error)) from None
    name = fields.text("video_id")
    video, audio = fields.video_and_sound([f"videos/{name}.mp4"], [f"audios/{name}.wav"])
    return Item(
        id=f"music_avqa-{fields.name('question_id')}",
        source="music_avqa",
        question=question,
        answers=(fields.text("anser"),),
        video=video,
        audio=audio,
        cluster=name,
        kind=cell,
        suffix=SUFFIX,
        meta={"deleted": bool(fields.values.get("question_deleted"))},
    )


def _list(fields: Fields, key: str) -> list[str]:
    """A list of texts that is written as text, `'["violin"]'`."""
    written = fields.text(key)
    value = printed_list(written)
    if value is None or not all(isinstance(text, str) for text in value):
        raise fields.error(f"{key!r} is not a list of texts: {written!r}")
    return value
