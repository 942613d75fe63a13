"""Text files with Windows-1252 characters, such as those of MELD and IEMOCAP.

Some editions were converted to UTF-8 as if they were Latin-1. An apostrophe, byte 0x92, is then the control character
U+0092, which no text contains on purpose.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final, NamedTuple

from earwise.errors import InputError
from earwise.io.files import read_bytes, refuse_wide
from earwise.io.limits import MAX_WHOLE_BYTES

_UNDEFINED: Final = (0x81, 0x8D, 0x8F, 0x90, 0x9D)
_MEANT: Final = {code: bytes([code]).decode("cp1252") for code in range(0x80, 0xA0) if code not in _UNDEFINED}


class LegacyText(NamedTuple):
    """A file's text, and how many of its characters were not stored as proper UTF-8."""

    text: str
    mended: int


def read_legacy_text(path: Path) -> LegacyText:
    """Read a file as UTF-8, with control characters replaced by their Windows-1252 characters; other files are read as
    Windows-1252. Line ends do not change.

    Raises `InputError` naming a file that is missing or has neither encoding.
    """
    raw = read_bytes(path, MAX_WHOLE_BYTES)
    refuse_wide(raw, path)
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError:
        return LegacyText(_windows_1252(raw, path), sum(byte >= 0x80 for byte in raw))
    return LegacyText(text.translate(_MEANT), sum(ord(character) in _MEANT for character in text))


def _windows_1252(raw: bytes, path: Path) -> str:
    try:
        return raw.decode("cp1252")
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        what = f"neither UTF-8 nor Windows-1252 text: byte 0x{raw[error.start]:02x}"
        raise InputError(what, file=path, record=f"line {line}") from None
