"""Opens all files that users name, with the same errors everywhere.

Only regular files are read: a named pipe, a device or a socket may never begin or never end. Text is UTF-8, with or
without byte order mark.
"""

from __future__ import annotations

import codecs
import errno
import gzip
import io
import json
import os
import stat
import zlib
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO, Final, TextIO, cast

from earwise.errors import InputError
from earwise.io.limits import MAX_RECORD_BYTES, MAX_WHOLE_BYTES

_HEAD: Final = 1024
"""Bytes that are enough to detect the encoding."""
_SAVE: Final = "save it as UTF-8"
_KINDS: Final[tuple[tuple[Callable[[int], bool], str], ...]] = (
    (stat.S_ISDIR, "a folder"),
    (stat.S_ISFIFO, "a named pipe"),
    (stat.S_ISSOCK, "a socket"),
    (stat.S_ISCHR, "a device"),
    (stat.S_ISBLK, "a device"),
)


def require_file(path: Path) -> os.stat_result:
    """The status of a regular file; raises `InputError` for anything else, without opening it."""
    try:
        status = path.stat()
    except (OSError, ValueError) as error:
        raise unreadable(path, error) from None
    if not stat.S_ISREG(status.st_mode):
        kind = next((kind for is_one, kind in _KINDS if is_one(status.st_mode)), "of another kind")
        raise InputError(f"is {kind}, not a file", file=path, remedy="name a regular file")
    return status


def found_file(path: Path) -> bool:
    """Whether a file exists; raises `InputError` for anything but a regular file, and if access fails."""
    try:
        path.stat()
    except (FileNotFoundError, NotADirectoryError):
        return False
    except (OSError, ValueError) as error:
        raise unreadable(path, error) from None
    require_file(path)
    return True


def open_file(path: Path) -> BinaryIO:
    """Open a regular file for reading its bytes; raises `InputError`."""
    require_file(path)
    try:
        return path.open("rb")
    except OSError as error:
        raise unreadable(path, error) from None


def read_bytes(path: Path, most: int | None = None) -> bytes:
    """All bytes of a file, at most `most`; raises `InputError`."""
    with open_file(path) as file:
        size = os.fstat(file.fileno()).st_size
        if most is not None and size > most:
            what = f"has {size:,} bytes, more than the {most:,} that are read"
            raise InputError(what, file=path, remedy="split it, or check that it is the right file")
        try:
            return file.read()
        except OSError as error:
            raise unreadable(path, error) from None


def read_text(path: Path, most: int = MAX_WHOLE_BYTES) -> str:
    """A whole UTF-8 text file, without its byte order mark; raises `InputError`, with the line of an invalid byte."""
    return decode(read_bytes(path, most), path)


def decode(raw: bytes, path: Path) -> str:
    """UTF-8 text, without its byte order mark; raises `InputError` naming `path` and the line of an invalid byte."""
    refuse_wide(raw[:_HEAD], path)
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        raise not_utf8(path, f"line {line}") from None


@contextmanager
def open_text(path: Path, *, newline: str | None = None) -> Iterator[TextIO]:
    """A UTF-8 text file to be read in pieces, uncompressed if its name ends in `.gz`; `newline` as for `open`. Reading
    errors inside the block become an `InputError`: an invalid byte, with its line, or a damaged archive.
    """
    with open_file(path) as file:
        packed = path.suffix == ".gz"
        raw = cast(BinaryIO, gzip.GzipFile(fileobj=file)) if packed else file
        try:
            refuse_wide(cast(io.BufferedReader, raw).peek(_HEAD)[:_HEAD], path)
            with io.TextIOWrapper(raw, encoding="utf-8-sig", newline=newline) as text:
                yield text
        except UnicodeDecodeError:
            raise not_utf8(path, _undecodable_line(path)) from None
        except (EOFError, zlib.error, gzip.BadGzipFile) as error:
            raise InputError(f"is damaged: {error}", file=path, remedy="fetch it again") from None
        except OSError as error:
            raise unreadable(path, error) from None


def text_lines(path: Path, most: int = MAX_RECORD_BYTES) -> Iterator[tuple[int, str]]:
    r"""Number and text of each line that is not blank, without its end; `.gz` is uncompressed.

    Only newlines end a line: a transcript may contain other characters that `str.splitlines` treats as ends. Raises
    `InputError` as `open_text`, and for a line of more than `most` characters.
    """
    with open_text(path) as text:
        number = 0
        while line := text.readline(most + 1):
            number += 1
            if len(line) > most:
                raise too_long(path, f"line {number}", most)
            if line.strip():
                yield number, line.rstrip("\n")


def parse_json(text: str) -> Any:
    """The value of a JSON text; raises `ValueError` with the problem, even for deep nesting and huge numbers."""
    try:
        return json.loads(text)
    except RecursionError:
        raise ValueError("is nested too deeply") from None
    except ValueError as error:
        raise ValueError(f"is truncated or not JSON: {error}") from None


def unreadable(path: Path, error: OSError | ValueError) -> InputError:
    """The error for a file that cannot be opened or read."""
    if isinstance(error, FileNotFoundError | NotADirectoryError):
        return InputError("no such file", file=path)
    if isinstance(error, OSError) and error.errno == errno.ENAMETOOLONG:
        return InputError("is longer than a file's name can be", file=f"{str(path)[:60]}...")
    if isinstance(error, IsADirectoryError):
        return InputError(
            "cannot read: it is a folder", file=path, remedy="name a file, or delete the folder or move it away"
        )
    why = (error.strerror or str(error)) if isinstance(error, OSError) else "no file can have this name"
    return InputError(f"cannot read: {why}", file=path)


def not_utf8(path: Path, record: str) -> InputError:
    """The error for text in another encoding."""
    return InputError("is not UTF-8 text", file=path, record=record, remedy=_SAVE)


def too_long(path: Path, record: str, most: int) -> InputError:
    """The error for an overlong line or record."""
    return InputError(
        f"is longer than {most:,} bytes", file=path, record=record, remedy="check that it is the right file"
    )


def refuse_wide(head: bytes, path: Path) -> None:
    """Raise `InputError` if a file that begins with `head` is UTF-16 or UTF-32 text."""
    if (name := _wide(head)) is not None:
        raise InputError(f"is {name} text, not UTF-8", file=path, remedy=_SAVE)


def _wide(head: bytes) -> str | None:
    """The encoding with characters of two or four bytes, by its mark or by the zeros between Latin letters."""
    if head.startswith((codecs.BOM_UTF32_LE, codecs.BOM_UTF32_BE)):
        return "UTF-32"
    if head.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return "UTF-16"
    zeros = [head[at::4].count(0) / max(1, len(head) // 4) for at in range(4)]
    if len(head) >= 8 and sum(share > 0.9 for share in zeros) == 3:
        return "UTF-32"
    even, odd = zeros[0] + zeros[2], zeros[1] + zeros[3]
    return "UTF-16" if len(head) >= 4 and max(even, odd) > 1 and min(even, odd) < 0.1 else None


def _undecodable_line(path: Path) -> str:
    with open_file(path) as file:
        lines: Iterable[bytes] = gzip.GzipFile(fileobj=file) if path.suffix == ".gz" else file
        for number, line in enumerate(lines, start=1):
            try:
                line.decode()
            except UnicodeDecodeError:
                return f"line {number}"
    return "last line"
