"""The images of one TSV file of VLMEvalKit: base64 text, a reference to another row, or a path.

Images in the table go to the cache (`derived`) under a name from their content, so that reading again writes nothing.
"""

from __future__ import annotations

import base64
import hashlib
import io
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from earwise.data.derived import derived_path, write_derived
from earwise.data.media import decode_image, resolve
from earwise.data.picture_opening import opened_picture
from earwise.data.printed_lists import printed_list
from earwise.errors import InputError, about
from earwise.io.files import found_file, read_bytes

Row = dict[str, str]

LINE: Final = ""
"""Key of a row's line number; real columns have a name."""

LONGEST_INDEX: Final = 64
"""An `image` field of at most this many characters is the index of another row (the convention of VLMEvalKit)."""

_NOTHING: Final = frozenset({"nan", "none", "null", "n/a", "na", "<na>", "#n/a"})
"""Spellings of an empty cell, in lower case, as pandas reads them."""
_DATA_URL: Final = re.compile(r"data:image/[\w.+-]+;base64,")


def row_name(row: Row) -> str:
    """The row's name in messages."""
    return f"line {row[LINE]} index {row['index']!r}"


def cell(row: Row, column: str) -> str:
    """The text of a cell; empty for a missing value."""
    text = row.get(column, "").strip()
    return "" if text.lower() in _NOTHING else text


class SeveralImages(InputError):
    """A row shows more than one image."""


class TsvImages:
    """The images of the TSV file at `path`: each is written once, and found again by the index of its row.

    Without `write`, every image is fully decoded instead, and `notes` has the changes that showing it makes
    (`colours.to_rgb`), by row.
    """

    def __init__(self, path: Path, *, write: bool) -> None:
        self._path, self._write_files = path, write
        self.notes: list[tuple[str, str]] = []

    def store(self, row: Row) -> str:
        """The row's image as `=PATH` of a file, the index of another row, or "" for a row without an image.

        Raises `InputError` naming file and row for a value that is not an image, several images, or a missing file.
        """
        field = cell(row, "image")
        if not field:
            return self._of_path(row)
        if field.startswith(("[", "array(")):
            field = self._only(field, row)
        if len(field) <= LONGEST_INDEX:
            return field
        text = "".join(_DATA_URL.sub("", field, count=1).split())
        try:
            content = base64.b64decode(text, validate=True)
        except ValueError as error:  # also for characters outside of ASCII
            raise self._error(f"broken base64 image: {error}", row) from None
        return "=" + self._keep(content, row)

    def of(self, index: str, rows: Mapping[str, Row]) -> str:
        """Path of the image of row `index`, through all references: relative to the file, or absolute in the cache.
        Raises `InputError` naming the row for references that lead nowhere or in a circle.
        """
        seen = {index}
        image = rows[index]["image"]
        while not image.startswith("="):
            if image not in rows or image in seen:
                why = "refers back to it" if image in seen and image != index else "has none"
                raise self._error(f"the image is given as that of index {image!r}, which {why}", rows[index])
            seen.add(image)
            image = rows[image]["image"]
        return image[1:]

    def path_is_there(self, row: Row) -> bool:
        """Whether the row names an existing path; `store` refuses it if it is not a file."""
        name = cell(row, "image_path")
        return bool(name) and not name.startswith("[") and (self._path.parent / name).exists()

    def _of_path(self, row: Row) -> str:
        name = cell(row, "image_path")
        if name.startswith(("[", "array(")):
            name = self._only(name, row)
        if not name:
            if "image" in row:
                return ""
            raise self._error("no image", row)
        path = Path(name)
        for root in (self._path.parent.absolute(), self._path.parent.resolve()):
            if path.is_absolute() and ".." not in path.parts and path.is_relative_to(root):
                name = str(path.relative_to(root))
        if not Path(name).is_absolute():
            path = resolve(self._path.parent, name, file=self._path, record=row_name(row))
        with about(row_name(row), self._path):
            if not found_file(path):
                raise InputError(f"image file {name!r} not found")
        if Path(name).is_absolute():
            # Absolute paths are valid on one machine only, so the image is kept as if it were in the table.
            return "=" + self._keep(read_bytes(path), row)
        if not self._write_files:
            self._check(path, row)
        return f"={name}"

    def _keep(self, content: bytes, row: Row) -> str:
        digest = hashlib.sha256(content).hexdigest()
        if not self._write_files:
            self._check(io.BytesIO(content), row)
            return str(derived_path("images", digest))
        with about(row_name(row), self._path), opened_picture(io.BytesIO(content), self._path) as image:
            ending = (image.format or "image").lower().replace("jpeg", "jpg")
        target = derived_path("images", digest, ending=f".{ending}")
        if not target.is_file():
            write_derived(target, content)
        return str(target)

    def _check(self, source: Path | io.BytesIO, row: Row) -> None:
        notes: list[str] = []
        with about(row_name(row), self._path):
            decode_image(source, self._path, notes)
        self.notes += [(row_name(row), note) for note in notes]

    def _only(self, field: str, row: Row) -> str:
        elements = printed_list(field)
        if elements is None or not all(isinstance(element, str) for element in elements):
            raise self._error(f"not a list: {field[:60]}", row)
        if len(elements) != 1:
            what = f"{len(elements)} images in one row; one is supported"
            raise SeveralImages(what, file=self._path, record=row_name(row))
        return str(elements[0]).strip()

    def _error(self, what: str, row: Row) -> InputError:
        return InputError(what, file=self._path, record=row_name(row))
