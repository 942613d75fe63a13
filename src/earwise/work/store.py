"""Files of records, one JSON object per line.

A stage fills a `Store` while it works: append-only, resumed by key, and intact if the process is killed at any byte.
Each line has a checksum of its rest:

    {"crc":"8c6f2d01","key":"mme-17@en-gb+m3","record":{...}}

`read_jsonl` and `write_jsonl` are for plain files of records, as people and other tools write them.
"""

from __future__ import annotations

import errno
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
"""Ending of the hidden temporary files of `write_atomic`; a killed process may leave one."""

_LINE = re.compile(
    rb"""\{"crc":"(?P<crc>[0-9a-f]{8})",(?P<rest>"key":(?P<key>"(?:[^"\\]|\\.)*"),"record":(?P<record>\{.*\})\})"""
)


class Store(Generic[R]):
    """An append-only file of records of one kind, open for writing by one process at a time.

    Opening reads the existing keys and cuts off a last line without newline, which a killed process left; the log says
    so. Raises `InputError` naming file and line for any other damage, or if another process has the file open. With
    `durable`, each record is on the disk when `append` returns and survives a power cut, at the price of one `fsync`
    per record.
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
        """Write one record under `key`, by default its own. Raises `InputError` if the key exists already, or if the
        file cannot be written (disk full); the store then stays as it was.
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
        """Drop everything after the last complete record."""
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
        """Close the file; does nothing the second time."""
        self._file.close()
        self._lock.release()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def read_store(path: Path, model: type[R]) -> list[R]:
    """All complete records of a store, in the order they were appended; needs no lock. An unfinished last record, of a
    working or killed writer, is left out; the log says so. Raises `InputError` naming file and line for a corrupt line,
    a duplicate key or a record of another schema.
    """
    return [_parse_record(line.record, model, path, line.number) for line in _read_lines(path)]


def read_jsonl(path: Path, model: type[R]) -> list[R]:
    """Read a plain file of records, one JSON object per line; blank lines are skipped. Raises `InputError` naming file,
    line and field for a missing file, a broken line, a record of another schema, and a duplicate key.
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
    """Write a plain file of records atomically. Raises `InputError` for equal keys."""
    lines: dict[str, str] = {}
    for record in records:
        if record.key in lines:
            raise InputError("duplicate id", file=path, record=record.key)
        lines[record.key] = record.to_json() + "\n"
    write_atomic(path, "".join(lines.values()))


def write_atomic(path: Path, text: str) -> None:
    """Write a UTF-8 text file atomically and durably; see `write_bytes_atomic`."""
    write_bytes_atomic(path, text.encode(), durable=True)


def write_bytes_atomic(path: Path, content: bytes, *, durable: bool = False) -> None:
    """Write a file atomically: a reader of `path` finds nothing, the old file or the complete new one. Creates folders.
    With `durable`, content and name are on the disk when this returns. Raises `InputError` if it cannot be written
    (disk full); the old file then stays.
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
    """The content of a JSON file; raises `InputError` if it is missing or broken."""
    text = read_text(path)
    try:
        return parse_json(text)
    except ValueError as error:
        raise InputError(str(error), file=path, remedy="delete it to make it again") from None


def _umask() -> int:
    """The process's umask, which cannot be read without setting it; `mkstemp` ignores it."""
    mask = os.umask(0o077)
    os.umask(mask)
    return mask


def _write_all(file: FileIO, data: bytes) -> None:
    """Write all of `data` to an unbuffered file, which may accept only a part at a time."""
    rest = memoryview(data)
    while rest:
        rest = rest[file.write(rest) :]


def _cannot_write(path: Path, error: OSError) -> InputError:
    remedy = {
        errno.EISDIR: "a folder stands in the file's place: delete it or move it away, then run again",
        errno.ENOTDIR: "a file stands in a folder's place: delete it or move it away, then run again",
        errno.EACCES: "give yourself the right to write there, or choose another folder",
        errno.EROFS: "the disk can only be read: choose another folder",
    }.get(error.errno or 0, "make room, then run again to continue")
    return InputError(f"cannot write: {error.strerror}", file=path, remedy=remedy)


def _to_line(key: str, record: Record) -> bytes:
    rest = f'"key":{json.dumps(key, ensure_ascii=False)},"record":{record.to_json()}}}'.encode()
    return b'{"crc":"%08x",%b\n' % (zlib.crc32(rest), rest)


class _Line(NamedTuple):
    """A complete line of a store with a valid checksum."""

    number: int
    end: int
    """Offset in bytes after its newline."""
    key: str
    record: str
    """The record's JSON text."""


def _read_lines(path: Path) -> Iterator[_Line]:
    """The complete lines of a store, without an unfinished last one."""
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
