"""MMAR (Ma et al. 2025): 1,000 multiple-choice questions about real recordings, many of them mixtures.

`MMAR-meta.jsonl` has `id`, `audio_path`, `question`, `choices`, `answer` (the text of a choice), `modality` and, for
breakdowns, `category`, `sub-category` and `language`; `url` is the recording that the sound was cut from.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

from earwise.data.choices import LETTERS
from earwise.data.drops import Drops
from earwise.data.fields import Fields, Refuse, read_each
from earwise.records import Item

MODALITIES: Final = (
    "speech",
    "mix-sound-speech",
    "music",
    "sound",
    "mix-music-speech",
    "mix-sound-music-speech",
    "mix-sound-music",
)


def read_mmar(path: str | Path, *, refuse: Refuse | None = None, drops: Drops | None = None) -> list[Item]:
    """Items of an MMAR file. The kind is the modality; the cluster is the recording that the sound was cut from.

    `refuse` and `drops` as in `fields.read_each`. Raises `InputError` naming file and record for missing fields and
    sounds, an unknown modality, and an answer that is not one of the choices. Blank choices are left out (four records
    of the public file end in one).
    """
    return read_each(Path(path), _item, refuse=refuse, drops=drops)


def _item(fields: Fields) -> Item:
    options = fields.options("choices")
    place = fields.place_of_text("answer", options)
    modality = fields.one_of("modality", MODALITIES)
    sound = fields.sound("audio_path")
    return Item(
        id=f"mmar-{fields.name('id')}",
        source="mmar",
        question=fields.text("question"),
        answers=(LETTERS[place],),
        choices=options,
        audio=sound,
        cluster=fields.optional("url") or sound,
        kind=modality,
        meta={key: fields.optional(key) for key in ("category", "sub-category", "language")},
    )
