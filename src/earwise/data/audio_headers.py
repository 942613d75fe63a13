"""Detection of truncated audio files by their headers.

libsndfile silently shortens a truncated file, which would then keep its whole transcript. This module checks WAV, RF64,
W64, AIFF and related formats, AU, CAF, NIST SPHERE and Ogg. For FLAC and MP3, `media` counts the decoded samples.
Formats without a length in their header (PVF, IRCAM, raw) cannot be checked.
"""

from __future__ import annotations

import os
import re
import struct
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO, Final

_UNKNOWN: Final = 2**32 - 1
"""The 32-bit length of a file whose length was unknown at first; RF64 stores the real one elsewhere."""
_GUID_RIFF: Final = bytes.fromhex("726966662e91cf11a5d628db04c10000")
_GUID_DATA: Final = bytes.fromhex("64617461f3acd3118cd100c04f8edb8a")
_LAST_PAGE: Final = 4
_FIELD: Final = re.compile(rb"^(sample_count|channel_count|sample_n_bytes) -i (\d+)", re.MULTILINE)


def what_is_missing(path: Path) -> str | None:
    """The missing part of a truncated audio file, for a message; None for a whole file or an unchecked format."""
    size = path.stat().st_size
    with path.open("rb") as stream:
        check = _check_for(stream.read(16))
        stream.seek(0)
        return check(stream, size) if check is not None else None


def _check_for(head: bytes) -> Callable[[BinaryIO, int], str | None] | None:
    if head[:4] in (b"RIFF", b"RIFX", b"RF64", b"BW64") and head[8:12] == b"WAVE":
        return _wav
    if head == _GUID_RIFF:
        return _w64
    known = {b"FORM": _iff, b".snd": _au, b"dns.": _au, b"caff": _caf, b"NIST": _nist, b"OggS": _ogg}
    return known.get(head[:4])


def _wav(stream: BinaryIO, size: int) -> str | None:
    """RIFF, its big-endian form, and RF64 or BW64, whose chunk `ds64` has the 64-bit lengths."""
    order = ">" if stream.read(12)[:4] == b"RIFX" else "<"
    long_data = None
    while len(head := stream.read(8)) == 8:
        name, length = head[:4], struct.unpack(f"{order}I", head[4:])[0]
        if name == b"data" and length == _UNKNOWN and long_data is not None:
            length = long_data
        there = size - stream.tell()
        if length > there:
            return _promised(name, length, there)
        if name == b"data":
            return None
        start = stream.tell()
        if name == b"ds64" and len(sizes := stream.read(16)) == 16:
            long_data = struct.unpack("<QQ", sizes)[1]
        stream.seek(start + length + length % 2)
    return "the header has no data chunk"


def _w64(stream: BinaryIO, size: int) -> str | None:
    stream.seek(40)  # two names of 16 bytes and a length of 8
    while len(head := stream.read(24)) == 24:
        length, there = struct.unpack("<Q", head[16:])[0] - 24, size - stream.tell()
        if length > there:
            return _promised(head[:4], length, there)
        if head[:16] == _GUID_DATA:
            return None
        stream.seek(max(0, length) + -length % 8, os.SEEK_CUR)
    return "the header has no data chunk"


def _iff(stream: BinaryIO, size: int) -> str | None:
    """AIFF and AIFF-C (`SSND`), 8SVX (`BODY`): chunks with big-endian 32-bit lengths."""
    stream.seek(12)
    while len(head := stream.read(8)) == 8:
        length, there = struct.unpack(">I", head[4:])[0], size - stream.tell()
        if length > there:
            return _promised(head[:4], length, there)
        if head[:4] in (b"SSND", b"BODY"):
            return None
        stream.seek(length + length % 2, os.SEEK_CUR)
    return "the header has no chunk of samples"


def _au(stream: BinaryIO, size: int) -> str | None:
    head = stream.read(12)
    if len(head) < 12:
        return "the header ends early"
    start, length = struct.unpack(">II" if head[:4] == b".snd" else "<II", head[4:])
    missing = length != _UNKNOWN and start + length > size
    return _promised(b"samples", length, max(0, size - start)) if missing else None


def _caf(stream: BinaryIO, size: int) -> str | None:
    stream.seek(8)
    found = False
    while len(head := stream.read(12)) == 12:
        length, there = struct.unpack(">q", head[4:])[0], size - stream.tell()
        if length > there:
            return _promised(head[:4], length, there)
        found = found or head[:4] == b"data"
        if length < 0:  # the samples reach to the end of the file, which the format allows
            return None
        stream.seek(length, os.SEEK_CUR)
    return None if found else "the header has no data chunk"


def _nist(stream: BinaryIO, size: int) -> str | None:
    """The header is text with its length on the second line; only uncompressed samples have a known size."""
    text = stream.read(1024)
    lines = text.split(b"\n", 2)
    if len(lines) < 3 or not lines[1].strip().isdigit():
        return "the header ends early"
    fields = {name: int(value) for name, value in _FIELD.findall(text)}
    if b"shorten" in text or len(fields) < 3:
        return None
    length = fields[b"sample_count"] * fields[b"channel_count"] * fields[b"sample_n_bytes"]
    there = max(0, size - int(lines[1]))
    return _promised(b"samples", length, there) if length > there else None


def _ogg(stream: BinaryIO, size: int) -> str | None:
    """Pages follow one another to the end of the file; the last page of each stream is marked."""
    open_streams: set[bytes] = set()
    while len(head := stream.read(27)) == 27 and head[:4] == b"OggS":
        table = stream.read(head[26])
        end = stream.tell() + sum(table)
        if len(table) < head[26] or end > size:
            return "it ends inside a page"
        (open_streams.discard if head[5] & _LAST_PAGE else open_streams.add)(head[14:18])
        stream.seek(end)
    if 0 < len(head) < 27:
        return "it ends inside a page"
    return "its last page is not there" if open_streams else None


def _promised(name: bytes, length: int, there: int) -> str:
    return f"the header promises {length} bytes of {name!r}, {there} are there"
