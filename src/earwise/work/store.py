"""Files of records, one JSON object per line.

`Store` is what a stage fills while it works: append-only, resumed by key, and whole after the process was killed
between any two bytes. Each of its lines carries a checksum of the rest of the line:

    {"crc":"8c6f2d01","key":"mme-17@en-gb+m3","record":{...}}

`read_jsonl` and `write_jsonl` are for plain files of bare records, as a person or another tool makes them.
"""

from __future__ import annotations

import json
import logging
import os
import re
import tempfile
import zlib
from collections.abc import Iterable, Iterator
from io import FileIO
from pathlib import Path
from types import TracebackType
from typing import Any, Generic, NamedTuple, Self, TypeVar

from pydantic import ValidationError

from earwise.errors import InputError
from earwise.io.files import parse_json, read_bytes, read_text
from earwise.records import Record
from earwise.work.locks import FileLock
from earwise.work.manifest import sync

R = TypeVar("R", bound=Record)

log = logging.getLogger(__name__)

PART = ".part"
"""Ends the hidden name of a file that `write_atomic` has not finished; a killed process may leave one."""

_LINE = re.compile(
    rb"""\{"crc":"(?P<crc>[0-9a-f]{8})",(?P<rest>"key":(?P<key>"(?:[^"\\]|\\.)*"),"record":(?P<record>\{.*\})\})"""
)


class Store(Generic[R]):
    """An append-only file of records of one kind, open for writing: one process at a time.

    Opening reads the keys that are there and cuts off a last line without its newline (the process was killed while it
    wrote it), saying so in the log. Raises `InputError` naming file and line for any other damage, or if
    another process writes to the file. With `durable`, each record is on the disk when `append` returns, so that it
    survives a power cut too, at the price of one `fsync` per record.
    """

    def __init__(self, path: Path, model: type[R], *, durable: bool = False) -> None:
        self.path, self._model, self._durable = path, model, durable
        path.parent.mkdir(parents=True, exist_ok=True)
        self._lock = FileLock(path, "the store")
        try:
            self._keys: dict[str, None] = {}
            self._end = 0
            for line in _read_lines(path):
                self._keys[line.key], self._end = None, line.end
            self._file = path.open("r+b", buffering=0)
            self._cut()
        except BaseException:
            self._lock.release()
            raise

    def append(self, record: R, *, key: str | None = None) -> None:
        """Write one record under `key`, by default its own.

        Raises `InputError` if the key is there already, or if the file cannot be written (disk full): the store then
        holds the records it held before.
        """
        key = record.key if key is None else key
        if key in self._keys:
            raise InputError("duplicate key", file=self.path, record=key)
        line = _to_line(key, record)
        try:
            _write_all(self._file, line)
            if self._durable:
                os.fsync(self._file.fileno())
        except OSError as error:
            self._cut()
            raise _cannot_write(self.path, error) from error
        self._keys[key] = None
        self._end += len(line)

    def _cut(self) -> None:
        """Drop everything after the last whole record."""
        self._file.truncate(self._end)
        self._file.seek(self._end)

    def __contains__(self, key: object) -> bool:
        return key in self._keys

    def __len__(self) -> int:
        return len(self._keys)

    def __iter__(self) -> Iterator[R]:
        return iter(read_store(self.path, self._model))

    def keys(self) -> tuple[str, ...]:
        """Keys in the order they were appended."""
        return tuple(self._keys)

    def close(self) -> None:
        """Let go of the file; does nothing the second time."""
        self._file.close()
        self._lock.release()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def read_store(path: Path, model: type[R]) -> list[R]:
    """All whole records of a store, in the order they were appended; needs no lock.

    An unfinished last record, which a writer at work or a killed one leaves, is not among them; the log says so.
    Raises `InputError` naming file and line for a corrupt line, a duplicate key or a record of another schema.
    """
    return [_parse_record(line.record, model, path, line.number) for line in _read_lines(path)]


def read_jsonl(path: Path, model: type[R]) -> list[R]:
    """Read a plain file of records, one JSON object per line; blank lines are skipped.

    Raises `InputError` naming file, line and field for a missing file, a broken or truncated line, a record of another
    schema, and two records with the same key.
    """
    records: dict[str, R] = {}
    lines_of: dict[str, int] = {}
    for number, line in enumerate(read_text(path).split("\n"), start=1):
        if not line.strip():
            continue
        record = _parse_record(line, model, path, number)
        if record.key in records:
            what = f"{_named(model)} {record.key!r} is already on line {lines_of[record.key]}"
            raise InputError(what, file=path, record=f"line {number}", remedy="ids must be unique")
        records[record.key], lines_of[record.key] = record, number
    return list(records.values())


def write_jsonl(path: Path, records: Iterable[Record]) -> None:
    """Write a plain file of records in one step: it is there whole or not at all. Raises `InputError` on equal keys."""
    lines: dict[str, str] = {}
    for record in records:
        if record.key in lines:
            raise InputError("duplicate id", file=path, record=record.key)
        lines[record.key] = record.to_json() + "\n"
    write_atomic(path, "".join(lines.values()))


def write_atomic(path: Path, text: str) -> None:
    """As `write_bytes_atomic`, a UTF-8 text file that survives a power cut too."""
    write_bytes_atomic(path, text.encode(), durable=True)


def write_bytes_atomic(path: Path, content: bytes, *, durable: bool = False) -> None:
    """Write a file in one step: whoever reads `path` finds nothing, the old file or all of the new one.

    Folders are made. With `durable` content and name are on the disk when this returns. Raises `InputError` if it
    cannot be written (disk full); an old file then stays as it was.
    """
    temporary = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=PART)
        temporary = Path(name)
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            if durable:
                file.flush()
                os.fsync(file.fileno())
        temporary.chmod(0o666 & ~_umask())
        temporary.replace(path)
        if durable:
            sync(path.parent)
    except OSError as error:
        if temporary is not None:
            temporary.unlink(missing_ok=True)
        raise _cannot_write(path, error) from error


def read_json(path: Path) -> Any:
    """What a JSON file holds; raises `InputError` if there is none or it is broken."""
    text = read_text(path)
    try:
        return parse_json(text)
    except ValueError as error:
        raise InputError(str(error), file=path, remedy="delete it to make it again") from None


def _umask() -> int:
    """The process's umask, which cannot be read without setting it; `mkstemp` ignores it and makes private files."""
    mask = os.umask(0o077)
    os.umask(mask)
    return mask


def _write_all(file: FileIO, data: bytes) -> None:
    """Write all of `data` to an unbuffered file, which may take it in parts."""
    rest = memoryview(data)
    while rest:
        rest = rest[file.write(rest) :]


def _cannot_write(path: Path, error: OSError) -> InputError:
    return InputError(f"cannot write: {error.strerror}", file=path, remedy="make room, then run again to continue")


def _to_line(key: str, record: Record) -> bytes:
    rest = f'"key":{json.dumps(key, ensure_ascii=False)},"record":{record.to_json()}}}'.encode()
    return b'{"crc":"%08x",%b\n' % (zlib.crc32(rest), rest)


class _Line(NamedTuple):
    """A whole line of a store, its checksum verified."""

    number: int
    end: int
    """Offset in bytes of the byte after its newline."""
    key: str
    record: str
    """The record's JSON, not parsed."""


def _read_lines(path: Path) -> Iterator[_Line]:
    """The whole lines of a store; an unfinished last one is left out."""
    *lines, unfinished = read_bytes(path).split(b"\n")
    if unfinished:
        log.warning("%s: left out an unfinished last record of %d bytes", path, len(unfinished))
    seen: dict[str, int] = {}
    end = 0
    for number, line in enumerate(lines, start=1):
        end += len(line) + 1
        if not (match := _LINE.fullmatch(line)) or int(match["crc"], 16) != zlib.crc32(match["rest"]):
            remedy = "it was changed after it was written: delete the file to make it again"
            raise InputError("corrupt record", file=path, record=f"line {number}", remedy=remedy)
        key, record = json.loads(match["key"]), match["record"].decode()
        if key in seen:
            raise InputError(f"key {key!r} is already on line {seen[key]}", file=path, record=f"line {number}")
        seen[key] = number
        yield _Line(number, end, key, record)


def _parse_record(line: str | bytes, model: type[R], path: Path, number: int) -> R:
    try:
        return model.from_json(line)
    except ValidationError as error:
        problem = error.errors()[0]
        field = ".".join(map(str, problem["loc"]))
        broken = problem["type"] == "json_invalid"
        what = "is truncated or not JSON" if broken else f"is not a valid {_named(model)}"
        detail = problem["msg"].removeprefix("Value error, ")
        where = f"line {number}" + (f", field {field}" if field else "")
        raise InputError(f"{what}: {detail}", file=path, record=where) from None


def _named(model: type[Record]) -> str:
    return model.__name__.lower()
