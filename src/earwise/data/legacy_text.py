"""Text files that once were Windows-1252, as those of MELD and IEMOCAP: an apostrophe is the byte 0x92 there.

Converted as if it were Latin-1, that byte becomes the control character U+0092, which no text has on purpose.
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
    """What a file says, and how many of its characters were not stored as UTF-8 would have them."""

    text: str
    mended: int


def read_legacy_text(path: Path) -> LegacyText:
    """Read a file as UTF-8, with control characters as the Windows-1252 characters that they stand for; a file that is
    no UTF-8 is read as Windows-1252 from end to end. Line ends stay as they are.

    Raises `InputError` naming a file that is missing, or neither of the two.
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
