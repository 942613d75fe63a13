"""Reads `model.bin` of CTranslate2: names, shapes and values, whatever architecture they belong to.

All numbers are little-endian. The file holds: format version (uint32), name of the specification, its revision
(uint32), the variables, and aliases. A variable is its name, rank (uint8), dimensions (uint32 each), type (uint8),
number of bytes (uint32), bytes. A name is its length (uint16), then the characters and a zero.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from earwise.errors import InputError
from earwise.io.files import read_bytes

_TYPES: Final = {0: np.float32, 1: np.int8, 2: np.int16, 3: np.int32, 4: np.float16}
"""Of version 6; 5 is bfloat16, which numpy has not."""
VERSION: Final = 6


@dataclass(frozen=True)
class Ct2Model:
    """What a file holds."""

    spec: str
    revision: int
    variables: dict[str, npt.NDArray[Any]]
    """Views into the file's bytes; an alias names the variable that it stands for."""


class _Reader:
    def __init__(self, path: Path) -> None:
        self._path, self._data, self._at = path, read_bytes(path), 0

    def bytes(self, count: int) -> memoryview:
        if self._at + count > len(self._data):
            raise InputError("ends too early", file=self._path, remedy="fetch it again")
        self._at += count
        return memoryview(self._data)[self._at - count : self._at]

    def number(self, kind: str) -> int:
        return int(struct.unpack(f"<{kind}", self.bytes(struct.calcsize(kind)))[0])

    def name(self) -> str:
        return bytes(self.bytes(self.number("H"))).rstrip(b"\0").decode("utf-8", errors="replace")

    def variable(self) -> tuple[str, npt.NDArray[Any]]:
        name = self.name()
        shape = [self.number("I") for _ in range(self.number("B"))]
        kind, size = self.number("B"), self.number("I")
        if kind not in _TYPES:
            raise InputError(f"has values of the unknown type {kind}", file=self._path, record=name)
        values = self.bytes(size)
        if size != int(np.prod(shape)) * np.dtype(_TYPES[kind]).itemsize:
            raise InputError(f"has {size} bytes for the shape {shape}", file=self._path, record=name)
        return name, np.frombuffer(values, _TYPES[kind]).reshape(shape)


def read_ct2(path: Path) -> Ct2Model:
    """Read a whole `model.bin`; raises `InputError` for another format, a damaged file, and values of unknown type."""
    reader = _Reader(path)
    if (version := reader.number("I")) != VERSION:
        what = f"is no CTranslate2 model of version {VERSION}: it begins with {version}"
        raise InputError(what, file=path, remedy="convert it again with CTranslate2 2.0 or newer")
    spec, revision = reader.name(), reader.number("I")
    variables = dict(reader.variable() for _ in range(reader.number("I")))
    for _ in range(reader.number("I")):
        alias, name = reader.name(), reader.name()
        if name not in variables:
            raise InputError(f"alias of {name!r}, which is not there", file=path, record=alias)
        variables[alias] = variables[name]
    return Ct2Model(spec, revision, variables)
