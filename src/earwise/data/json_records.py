"""Large JSON files, record by record: an array of objects, or one object per line.

The file is never held as a whole. One pass finds where each record begins and ends; a record is then read on its own.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple

from earwise.errors import InputError

_CHUNK: Final = 4 * 2**20
_BETWEEN: Final = " \t\r\n,"
_decode = json.JSONDecoder().raw_decode


class Place(NamedTuple):
    """Where a record lies in its file, in bytes."""

    start: int
    stop: int


class JsonRecords:
    """The records of a file at some of its places, read one at a time."""

    def __init__(self, path: Path, places: Sequence[Place]) -> None:
        self.path, self._places = path, places

    def __len__(self) -> int:
        return len(self._places)

    def __getitem__(self, index: int) -> dict[str, Any]:
        start, stop = self._places[index]
        with self.path.open("rb") as file:
            file.seek(start)
            record: dict[str, Any] = json.loads(file.read(stop - start))
        return record


def scan_records(path: Path) -> Iterator[tuple[Place, dict[str, Any]]]:
    """Every record of a file with its place, in the order of the file.

    Raises `InputError` naming file and record for a missing file, a broken or truncated record and one that is not an
    object.
    """
    for number, (place, raw) in enumerate(_scan(path)):
        try:
            record = json.loads(raw)
        except ValueError as error:
            raise InputError(f"is not JSON: {error}", file=path, record=f"record {number}") from None
        if not isinstance(record, dict):
            raise InputError("is not a JSON object", file=path, record=f"record {number}")
        yield place, record


def _scan(path: Path) -> Iterator[tuple[Place, bytes]]:
    """Place and bytes of every value between the brackets, or on the lines, of a file.

    Bytes are taken as Latin-1 to find where values end: one character is one byte then, and what the structure of JSON
    consists of is the same in UTF-8.
    """
    number, offset, text = 0, 0, ""
    try:
        file = path.open("rb")
    except OSError as error:
        raise InputError(f"cannot read: {error.strerror}", file=path) from None
    with file:
        text = file.read(_CHUNK).decode("latin-1")
        at = _skip(text, 3 if text.startswith("\xef\xbb\xbf") else 0)
        is_array = text[at : at + 1] == "["
        at += is_array
        closed = not is_array
        while True:
            at = _skip(text, at)
            if is_array and text[at : at + 1] == "]":
                closed, at = True, _skip(text, at + 1)
            if at < len(text):
                if is_array and closed:
                    raise InputError("there is more after the end of the list", file=path)
                value = _value(text, at)
                if isinstance(value, int):
                    yield Place(offset + at, offset + value), text[at:value].encode("latin-1")
                    number, at = number + 1, value
                    continue
            more = file.read(max(_CHUNK, len(text) - at)).decode("latin-1")
            if not more:
                break
            offset, text, at = offset + at, text[at:] + more, 0
    if at < len(text):
        raise InputError(f"is truncated or not JSON: {value}", file=path, record=f"record {number}")
    if not closed:
        raise InputError("is truncated: the list has no end", file=path, record=f"record {number}")


def _value(text: str, at: int) -> int | str:
    """Where the value that begins at `at` ends; what is wrong with it if it does not end in `text`."""
    try:
        return int(_decode(text, at)[1])
    except ValueError as error:
        return str(error)


def _skip(text: str, at: int) -> int:
    while at < len(text) and text[at] in _BETWEEN:
        at += 1
    return at
