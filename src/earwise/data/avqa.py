"""AVQA (Yang et al., ACM MM 2022): questions about videos with four options, `train_qa.json` and `val_qa.json`.

A record has `id`, `video_name`, `question_text`, `question_type`, `question_relation`, `multi_choice` (four texts) and
`answer`, the place of the right text from 0. Tests use the validation file; the test file has no answers. SightSound-R1
(arXiv 2509.15661, section 3) trains on AVQA: the student hears the sound of the video, and its question says "the
audio" where the file says "the video".
"""

from __future__ import annotations

import re
from functools import partial
from pathlib import Path
from typing import Final, Literal

from earwise.data.choices import LETTERS
from earwise.data.drops import Drops
from earwise.data.fields import Fields, Refuse, read_each
from earwise.records import Item

TYPES: Final = ("Which", "Come From", "Happening", "Where", "Why", "Before Next", "When", "Used For")

Wording = Literal["audio", "video"]
_VIDEO: Final = re.compile(r"\bvideo(s?)\b", re.IGNORECASE)


def read_avqa(
    path: str | Path, *, wording: Wording = "audio", refuse: Refuse | None = None, drops: Drops | None = None
) -> list[Item]:
    """Items of an AVQA file; `wording` "audio" asks about the audio, "video" keeps the questions.

    Videos are `videos/VIDEO_NAME.mp4` beside the file. The sound is `audios/VIDEO_NAME.wav` if it exists, else that of
    the video. The cluster is the video, the kind is the question's type. `refuse` and `drops` as in `fields.read_each`.
    Raises `InputError` naming file and record for missing fields and media, unknown types, and an answer without an
    option.
    """
    return read_each(Path(path), partial(_item, wording=wording), refuse=refuse, drops=drops)


def about_the_audio(question: str) -> str:
    """`question` with "audio" for every "video", in the same letter case."""
    return _VIDEO.sub(lambda found: _like(found[0], "audio" + found[1].lower()), question)


def _like(pattern: str, word: str) -> str:
    if pattern.isupper():
        return word.upper()
    return word.capitalize() if pattern[0].isupper() else word


def _item(fields: Fields, wording: Wording) -> Item:
    options = fields.options("multi_choice", blanks="end")
    place = fields.place("answer", options)
    kind = fields.text("question_type")
    if kind not in TYPES:
        raise fields.error(f"unknown question type {kind!r}", f"known: {', '.join(TYPES)}")
    name, question = fields.text("video_name"), fields.text("question_text")
    video, audio = fields.video_and_sound([f"videos/{name}.mp4"], [f"audios/{name}.wav"])
    return Item(
        id=f"avqa-{fields.name('id')}",
        source="avqa",
        question=about_the_audio(question) if wording == "audio" else question,
        answers=(LETTERS[place],),
        choices=options,
        video=video,
        audio=audio,
        cluster=name,
        kind=kind,
        meta={"relation": fields.optional("question_relation"), "wording": wording},
    )
