"""Item files: one `Item` per line of JSON, with media paths relative to the file."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from earwise.data.choices import LETTERS, gold_letter
from earwise.data.media import resolve
from earwise.errors import InputError
from earwise.records import Item
from earwise.work.store import read_jsonl, write_jsonl


def read_items(path: str | Path) -> list[Item]:
    """Read and check an item file; a gold answer given as the text of a choice becomes its letter.

    Raises `InputError` naming the file and the line or the item for a line that is not an `Item`, a duplicate id, an
    empty question, a gold answer that is not among the choices, a missing media file, and a file without items.
    """
    path = Path(path)
    items = [check_item(item, path) for item in read_jsonl(path, Item)]
    if not items:
        raise InputError("no items", file=path)
    return items


def write_items(path: str | Path, items: Iterable[Item]) -> None:
    """Write `items` as one file, complete or not at all. Raises `InputError` on a duplicate id."""
    write_jsonl(Path(path), items)


def check_item(item: Item, file: Path) -> Item:
    """`item` with its gold answer as a letter if it has choices. Its media paths are relative to `file`."""
    for name, text in (("id", item.id), ("source", item.source), ("cluster", item.cluster)):
        if not text.strip():
            raise InputError(f"blank {name}", file=file, record=item.id if name != "id" else f"{item.question[:60]!r}")
    if not item.question.strip():
        raise InputError("empty question", file=file, record=item.id)
    if not all(answer.strip() for answer in item.answers):
        raise InputError("blank answer", file=file, record=item.id)
    for media in (item.image, item.audio, item.video):
        if media is not None and not resolve(file.parent, media, file=file, record=item.id).is_file():
            raise InputError(f"file {media!r} not found in {file.parent}", file=file, record=item.id)
    if not item.choices:
        return item
    if len(item.choices) > len(LETTERS):
        raise InputError(f"{len(item.choices)} choices, letters reach only to Z", file=file, record=item.id)
    letter = gold_letter(item.answers[0], item.choices)
    if letter is None:
        twice = item.answers[0] in item.choices
        raise InputError(
            f"gold answer {item.answers[0]!r} "
            f"{'stands more than once' if twice else 'is not'} among the choices {list(item.choices)}",
            file=file,
            record=item.id,
            remedy="give the letter or the exact text of one choice",
        )
    if letter == item.answers[0]:
        return item
    return item.model_copy(update={"answers": (letter, *item.answers[1:])})
