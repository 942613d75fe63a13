"""Fields of the records of a JSON file, checked one by one: what is wrong is named with its file and record."""

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
"""Key of `Item.meta`: what was put right in the record, for the audit."""

Refuse = Callable[[InputError], None]
"""Told of a record that cannot be used."""


class Fields:
    """The fields of one record. Every getter raises `InputError` for a field that is missing or of another form."""

    def __init__(self, path: Path, record: str, values: dict[str, Any]) -> None:
        self.path, self.record, self.values = path, record, values
        self.odd: list[str] = []
        """What was put right while the record was read; it stands in the item's `meta` under `ODD`."""

    def error(self, what: str, remedy: str | None = None) -> InputError:
        """An error about this record."""
        return InputError(what, file=self.path, record=self.record, remedy=remedy)

    def text(self, key: str) -> str:
        """A text that is not blank, without outer spaces."""
        value = self._value(key)
        if not isinstance(value, str) or not value.strip():
            raise self.error(f"{key!r} is not a text: {value!r}")
        return value.strip()

    def name(self, key: str) -> str:
        """A text or a whole number, as text: what records are called by."""
        value = self._value(key)
        return str(value) if isinstance(value, int) and not isinstance(value, bool) else self.text(key)

    def optional(self, key: str) -> str:
        """A text, a whole number or a list of texts as one text; empty where the record has none."""
        value = self.values.get(key)
        if value is None or value == "":
            return ""
        return "; ".join(self._texts(key)) if isinstance(value, list) else self.name(key)

    def options(self, key: str, *, blanks: Literal["end", "any"] = "any") -> tuple[str, ...]:
        """Two texts or more, as many as there are letters at most.

        Blank options cannot be chosen and are left out: all of them, or, where the gold one is told by its place, those
        at the end.
        """
        value = self._value(key)
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
        return self._check_texts(key, self._value(key))

    def _check_texts(self, key: str, value: Any) -> tuple[str, ...]:
        if not isinstance(value, list) or not all(isinstance(text, str) and text.strip() for text in value):
            raise self.error(f"{key!r} is not a list of texts: {value!r}")
        return tuple(text.strip() for text in value)

    def place(self, key: str, options: tuple[str, ...]) -> int:
        """The place of an option, from 0."""
        value = self._value(key)
        if isinstance(value, bool) or not isinstance(value, int):
            raise self.error(f"{key!r} is not a whole number: {value!r}")
        if not 0 <= value < len(options):
            raise self.error(f"{key!r} is option {value} of {len(options)}", "options count from 0")
        return value

    def place_of_text(self, key: str, options: tuple[str, ...]) -> int:
        """The place, from 0, of the first option whose text the field has; options with one text are one answer."""
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
        """The first of `paths`, relative to the file's folder, that is there."""
        there = (
            path for path in paths if resolve(self.path.parent, path, file=self.path, record=self.record).is_file()
        )
        return next(there, None)

    def sound(self, key: str) -> str:
        """The path of a sound, relative to the file's folder; raises `MissingMedia` unless it is there."""
        path = self.text(key).removeprefix("./")
        if self.media(path) is None:
            raise missing(self, path)
        return path

    def _value(self, key: str) -> Any:
        if key not in self.values:
            raise self.error(f"no {key!r}")
        return self.values[key]


def _blank(options: list[Any], blanks: Literal["end", "any"]) -> int | None:
    """The place of a blank option, counted from the end."""
    for place in range(len(options) - 1, -1, -1):
        if options[place] is None or (isinstance(options[place], str) and not options[place].strip()):
            return place
        if blanks == "end":
            return None
    return None


class MissingMedia(InputError):
    """A record names a sound or a video that is not there."""


def missing(fields: Fields, path: str) -> MissingMedia:
    """The error for media that were looked for at `path` in vain."""
    return MissingMedia(f"file {path!r} not found beside it", file=fields.path, record=fields.record)


def read_each(
    path: Path, make: Callable[[Fields], Item], *, refuse: Refuse | None = None, drops: Drops | None = None
) -> list[Item]:
    """One item per record of a JSON array, or of a file with one object per line.

    Args:
        path: the file.
        make: the item of a record; raises `InputError` for one that cannot be used.
        refuse: told of every such record; None to raise the first error.
        drops: where records are counted whose media are missing; None to treat them as any other error.

    An id that stands again is numbered, `ID#2`: the scripts of these benchmarks score every record of a file. Raises
    `InputError` for a file that cannot be read as a whole and for one without records.
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
    """`read_each` for records that were taken out of the file or folder `path` in whatever way.

    Without `number_ids`, an id that stands twice is an error. `make` gives None for a record that is no part of what is
    asked for, and counts it itself.
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
    """`item` under the first number that makes its id a new one."""
    again = next(id_ for number in count(2) if (id_ := f"{item.id}#{number}") not in items)
    fields.odd.append(f"its id stands again: {item.id}")
    return item.model_copy(update={"id": again})
