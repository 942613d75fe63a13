"""Large JSON files, record by record: an array of objects, or one object per line.

The whole file is never in memory. One pass finds where each record begins and ends; records are then read one by one.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple

from earwise.errors import InputError
from earwise.io.files import not_utf8, open_file, parse_json, refuse_wide, too_long
from earwise.io.limits import MAX_RECORD_BYTES

_CHUNK: Final = 4 * 2**20
_HEAD: Final = 1024
_BETWEEN: Final = " \t\r\n,"
_LONGEST_WORD: Final = len("-Infinity")
_decode = json.JSONDecoder().raw_decode


class Place(NamedTuple):
    """Where a record is in its file, in bytes."""

    start: int
    stop: int


class JsonRecords:
    """The records at some places of a file, read on access."""

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
    """Every record of a file with its place, in order.

    Raises `InputError` naming file and record for a missing file, and for a record that is broken, truncated or not an
    object.
    """
    for number, (place, raw) in enumerate(_scan(path)):
        try:
            record = parse_object(raw.decode())
        except UnicodeDecodeError:
            raise not_utf8(path, f"record {number}") from None
        except ValueError as error:
            raise InputError(str(error), file=path, record=f"record {number}") from None
        yield place, record


def accepted_records(path: Path, accept: Callable[[int, dict[str, Any]], bool]) -> tuple[list[int], JsonRecords]:
    """The records for which `accept(number, record)` is true, and their numbers in the file."""
    taken = [(number, place) for number, (place, record) in enumerate(scan_records(path)) if accept(number, record)]
    return [number for number, _ in taken], JsonRecords(path, [place for _, place in taken])


def parse_object(text: str) -> dict[str, Any]:
    """The JSON object in `text`. Raises `ValueError` with the reason if it is broken, another value, or contains half a
    character (a surrogate without its partner), which could not be written again.
    """
    value = parse_json(text)
    if not isinstance(value, dict):
        raise ValueError("is not a JSON object")
    if "\\ud" in text.lower():
        try:
            json.dumps(value, ensure_ascii=False).encode()
        except UnicodeEncodeError as error:
            raise ValueError(f"holds half a character, {error.object[error.start]!r}") from None
    return value


def _scan(path: Path) -> Iterator[tuple[Place, bytes]]:
    """Place and bytes of every value between the brackets, or on the lines, of a file.

    The bytes are decoded as Latin-1, where one character is one byte. JSON's structure has the same bytes in UTF-8.
    """
    number, offset, text = 0, 0, ""
    with open_file(path) as file:
        first = file.read(_CHUNK)
        refuse_wide(first[:_HEAD], path)
        text = first.decode("latin-1")
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
                if not _may_go_on(value, text):
                    break
                if len(text) - at > MAX_RECORD_BYTES:
                    raise too_long(path, f"record {number}", MAX_RECORD_BYTES)
            more = file.read(max(_CHUNK, len(text) - at)).decode("latin-1")
            if not more:
                break
            offset, text, at = offset + at, text[at:] + more, 0
    if at < len(text):
        what, where = (value.msg, value.pos) if isinstance(value, json.JSONDecodeError) else (str(value), at)
        what = f"is truncated or not JSON: {what} at byte {offset + where}"
        raise InputError(what, file=path, record=f"record {number}")
    if not closed:
        raise InputError("is truncated: the list has no end", file=path, record=f"record {number}")


def _value(text: str, at: int) -> int | ValueError:
    """The end of the value that begins at `at`, or the error if it does not end in `text`."""
    try:
        return int(_decode(text, at)[1])
    except RecursionError:
        return ValueError("nested too deeply")
    except ValueError as error:
        return error


def _may_go_on(error: ValueError, text: str) -> bool:
    """Whether more text could complete the value; if not, reading on would read the whole file in vain."""
    if not isinstance(error, json.JSONDecodeError):
        return False
    return error.msg.startswith("Unterminated string") or error.pos >= len(text) - _LONGEST_WORD


def _skip(text: str, at: int) -> int:
    while at < len(text) and text[at] in _BETWEEN:
        at += 1
    return at
