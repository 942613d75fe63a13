"""MMAU test-mini (Sakshi et al., ICLR 2025): 1,000 multiple-choice questions about sound, music and speech.

`mmau-test-mini.json` has `id`, `audio_id` (`./test-mini-audios/ID.wav`), `question`, `choices`, `answer` (the text of a
choice), `task` and, for breakdowns, `category`, `sub-category` and `difficulty`. The answers of the full test are not
published. Release v05.15.25 changed about a quarter of the questions of the first release, which had 143 wrong answers,
so a result must name its release.
"""

from __future__ import annotations

import hashlib
from functools import partial
from pathlib import Path
from typing import Final, Literal, get_args

from earwise.data.choices import LETTERS
from earwise.data.drops import Drops
from earwise.data.fields import Fields, Refuse, read_each
from earwise.errors import InputError
from earwise.io.files import found_file, read_bytes
from earwise.io.limits import MAX_WHOLE_BYTES
from earwise.records import Item

RELEASE: Final = "v05.15.25"
"""The release whose counts the audit expects."""

Task = Literal["sound", "music", "speech"]
TASKS: Final[tuple[Task, ...]] = get_args(Task)


def read_mmau(
    path: str | Path,
    *,
    task: Task | None = None,
    release: str = RELEASE,
    refuse: Refuse | None = None,
    drops: Drops | None = None,
) -> list[Item]:
    """Items of an MMAU file, with the release and the first 12 digits of the file's SHA-256 in `meta`.

    `audio_id` is relative to the file. The kind is the task, the cluster is the sound. With `task`, only the items of
    that task are returned; the other records are also checked. `refuse` and `drops` as in `fields.read_each`. Raises
    `InputError` naming file and record for missing fields and sounds, an unknown task, and an answer that is not one of
    the choices; and for a file without items of `task`. A repeated choice is one answer (16 gold answers of the public
    file are), and its first letter counts.
    """
    path = Path(path)
    if not found_file(path):
        raise InputError("MMAU file not found", file=path)
    digest = hashlib.sha256(read_bytes(path, MAX_WHOLE_BYTES)).hexdigest()[:12]
    items = read_each(path, partial(_item, release=release, digest=digest), refuse=refuse, drops=drops)
    asked = [item for item in items if task in (None, item.kind)]
    if items and not asked:
        raise InputError(f"no items of task {task!r}", file=path)
    return asked


def _item(fields: Fields, release: str, digest: str) -> Item:
    options = fields.options("choices")
    place = fields.place_of_text("answer", options)
    task = fields.one_of("task", TASKS)
    sound = fields.sound("audio_id")
    return Item(
        id=f"mmau-{fields.name('id')}",
        source="mmau",
        question=fields.text("question"),
        answers=(LETTERS[place],),
        choices=options,
        audio=sound,
        cluster=sound,
        kind=task,
        meta={
            "release": release,
            "sha256": digest,
            **{key: fields.optional(key) for key in ("category", "sub-category", "difficulty", "dataset")},
        },
    )
