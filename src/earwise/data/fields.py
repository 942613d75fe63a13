"""Checked fields of records; errors name the file and the record."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import count
from pathlib import Path
from typing import Any, Final, Literal

from earwise.data.choices import LETTERS
from earwise.data.drops import Drops
from earwise.data.json_records import scan_records
from earwise.data.media import resolve
from earwise.errors import InputError
from earwise.records import Item

ODD: Final = "odd"
"""Key of `Item.meta`: corrections of the record, for the audit."""

Refuse = Callable[[InputError], None]
"""Called with the error of an unusable record."""


class Fields:
    """The fields of one record. Every getter raises `InputError` for a field that is missing or of another form."""

    def __init__(self, path: Path, record: str, values: dict[str, Any]) -> None:
        self.path, self.record, self.values = path, record, values
        self.odd: list[str] = []
        """Corrections of the record; they are in the item's `meta` under `ODD`."""

    def error(self, what: str, remedy: str | None = None) -> InputError:
        """An error about this record."""
        return InputError(what, file=self.path, record=self.record, remedy=remedy)

    def text(self, key: str) -> str:
        """A text that is not blank, without outer spaces."""
        value = self.value(key)
        if not isinstance(value, str) or not value.strip():
            raise self.error(f"{key!r} is not a text: {value!r}")
        return value.strip()

    def name(self, key: str) -> str:
        """A text or a whole number, as text."""
        value = self.value(key)
        return str(value) if isinstance(value, int) and not isinstance(value, bool) else self.text(key)

    def whole(self, key: str) -> int:
        """A whole number."""
        value = self.value(key)
        if isinstance(value, bool) or not isinstance(value, int):
            raise self.error(f"{key!r} is not a whole number: {value!r}")
        return value

    def optional(self, key: str) -> str:
        """A text, a whole number or a list of texts as one text; empty if the record has none."""
        value = self.values.get(key)
        if value is None or value == "":
            return ""
        return "; ".join(self._texts(key)) if isinstance(value, list) else self.name(key)

    def options(self, key: str, *, blanks: Literal["end", "any"] = "any") -> tuple[str, ...]:
        """At least two texts, and at most as many as there are letters.

        Blank options are left out: all of them or, if the gold option is given by its place, only those at the end.
        """
        value = self.value(key)
        listed = list(value) if isinstance(value, list) else value
        while isinstance(listed, list) and (place := _blank(listed, blanks)) is not None:
            del listed[place]
        if listed != value:
            self.odd.append(f"{len(value) - len(listed)} of its {len(value)} options are blank and left out")
        texts = self._check_texts(key, listed)
        if not 2 <= len(texts) <= len(LETTERS):
            raise self.error(f"{key!r} has {len(texts)} options, not 2 to {len(LETTERS)}")
        return texts

    def _texts(self, key: str) -> tuple[str, ...]:
        return self._check_texts(key, self.value(key))

    def _check_texts(self, key: str, value: Any) -> tuple[str, ...]:
        if not isinstance(value, list) or not all(isinstance(text, str) and text.strip() for text in value):
            raise self.error(f"{key!r} is not a list of texts: {value!r}")
        return tuple(text.strip() for text in value)

    def place(self, key: str, options: tuple[str, ...]) -> int:
        """The place of an option, from 0."""
        value = self.whole(key)
        if not 0 <= value < len(options):
            raise self.error(f"{key!r} is option {value} of {len(options)}", "options count from 0")
        return value

    def place_of_text(self, key: str, options: tuple[str, ...]) -> int:
        """The place, from 0, of the first option with the field's text."""
        text = self.text(key)
        if text not in options:
            raise self.error(f"{key!r} {text!r} is not among the options {list(options)}")
        return options.index(text)

    def one_of(self, key: str, known: Sequence[str]) -> str:
        """A text that is one of `known`."""
        text = self.text(key)
        if text not in known:
            raise self.error(f"unknown {key} {text!r}", f"known: {', '.join(known)}")
        return text

    def media(self, *paths: str) -> str | None:
        """The first of `paths`, relative to the file's folder, that exists."""
        there = (
            path for path in paths if resolve(self.path.parent, path, file=self.path, record=self.record).is_file()
        )
        return next(there, None)

    def sound(self, key: str) -> str:
        """The path of a sound, relative to the file's folder; raises `MissingMedia` if it does not exist."""
        path = self.text(key).removeprefix("./")
        if self.media(path) is None:
            raise self._missing(path)
        return path

    def video_and_sound(self, videos: Sequence[str], sounds: Sequence[str]) -> tuple[str | None, str | None]:
        """The first existing path of each kind; raises `MissingMedia` if there is neither."""
        video, sound = self.media(*videos), self.media(*sounds)
        if video is None and sound is None:
            raise self._missing(videos[0])
        return video, sound

    def _missing(self, path: str) -> MissingMedia:
        return MissingMedia(f"file {path!r} not found beside it", file=self.path, record=self.record)

    def value(self, key: str) -> Any:
        """A value of any form."""
        if key not in self.values:
            raise self.error(f"no {key!r}")
        return self.values[key]


def _blank(options: list[Any], blanks: Literal["end", "any"]) -> int | None:
    """The place of the last blank option, or of a blank one at the end."""
    for place in range(len(options) - 1, -1, -1):
        if options[place] is None or (isinstance(options[place], str) and not options[place].strip()):
            return place
        if blanks == "end":
            return None
    return None


class MissingMedia(InputError):
    """A record names a sound or a video that does not exist."""


def read_each(
    path: Path, make: Callable[[Fields], Item], *, refuse: Refuse | None = None, drops: Drops | None = None
) -> list[Item]:
    """One item per record of a JSON array, or of a file with one object per line.

    Args:
        path: the file.
        make: makes an item from a record; raises `InputError` for an unusable record.
        refuse: called with every such error; None to raise the first one.
        drops: counts records with missing media; None to treat them as other errors.

    A repeated id gets a number, `ID#2`, because the scripts of these benchmarks score every record of a file. Raises
    `InputError` for a file that cannot be read, and for a file without records.
    """
    records = (Fields(path, f"record {number}", values) for number, (_, values) in enumerate(scan_records(path)))
    return make_each(path, records, make, refuse=refuse, drops=drops, number_ids=True)


def make_each(
    path: Path,
    records: Iterable[Fields],
    make: Callable[[Fields], Item | None],
    *,
    refuse: Refuse | None = None,
    drops: Drops | None = None,
    number_ids: bool = False,
) -> list[Item]:
    """`read_each` for given records of the file or folder `path`.

    Without `number_ids`, a repeated id is an error. `make` returns None for a record that it leaves out itself.
    """
    items: dict[str, Item] = {}
    fields = None
    for fields in records:
        try:
            item = make(fields)
            if item is None:
                continue
            if item.id in items:
                if not number_ids:
                    raise fields.error(f"its id stands twice: {item.id}")
                item = _numbered(item, fields, items)
            if fields.odd:
                item = item.model_copy(update={"meta": {**item.meta, ODD: list(fields.odd)}})
            items[item.id] = item
        except InputError as error:
            if drops is not None and isinstance(error, MissingMedia):
                drops.add("sound or video missing", fields.record)
            elif refuse is not None:
                refuse(error)
            else:
                raise
    if fields is None:
        raise InputError("no records", file=path)
    return list(items.values())


def _numbered(item: Item, fields: Fields, items: Mapping[str, Item]) -> Item:
    again = next(id_ for number in count(2) if (id_ := f"{item.id}#{number}") not in items)
    fields.odd.append(f"its id stands again: {item.id}")
    return item.model_copy(update={"id": again})
