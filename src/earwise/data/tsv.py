"""The TSV files of VLMEvalKit (MME, RealWorldQA, TextVQA_VAL, ChartQA_TEST, DocVQA_VAL, InfoVQA_VAL) become items.

Columns: `index`, `question`, `answer`, an image (`image`: base64, or the index of the row that has it; else
`image_path`), and as the benchmark needs `category`, `split`, `A`, `B`, `C`, ... Images go to the folder `.STEM_images`
beside the file, named by content, so that reading again writes nothing; it is hidden because it is no input of a run.
"""

from __future__ import annotations

import ast
import base64
import binascii
import csv
import hashlib
import io
import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from PIL import Image

from earwise.data.choices import LETTERS, gold_letter
from earwise.data.media import resolve, write_bytes_atomic
from earwise.data.suffixes import split_suffix
from earwise.errors import InputError
from earwise.records import Item

MAX_FIELD_CHARS: Final = 512 * 1024 * 1024
"""Largest field that is read; base64 images of documents pass the csv module's own limit of 131,072."""

LONGEST_INDEX: Final = 64
"""An `image` field of at most this many characters is the index of another row (the convention of VLMEvalKit)."""


@dataclass(frozen=True)
class Layout:
    """What a benchmark's TSV file must have, beyond index, question, answer and an image."""

    columns: tuple[str, ...] = ()
    listed_answers: bool = False
    """The answer field is a Python list of accepted answers."""
    kind: str = "category"
    """Column that results are broken down by."""


LAYOUTS: Final[Mapping[str, Layout]] = {
    "mme": Layout(columns=("category",)),
    "realworldqa": Layout(columns=("A", "B")),
    "textvqa": Layout(listed_answers=True),
    "chartqa": Layout(columns=("split",), kind="split"),
    "docvqa": Layout(listed_answers=True),
    "infovqa": Layout(listed_answers=True),
}

Row = dict[str, str]

LINE: Final = ""
"""Key of a row's line number; no column of these files is without a name."""

log = logging.getLogger(__name__)


def read_tsv(
    path: str | Path, benchmark: str, *, split: str | None = None, known_defects: Mapping[str, str] | None = None
) -> list[Item]:
    """Read `path` as `benchmark` (a key of `LAYOUTS`); only rows of `split` if one is named.

    `known_defects` maps an index to what is wrong with that row of the public file: if the row is indeed refused, it is
    left out and the log says so; nothing else is ever left out. The cluster is the image (MME: category and image_path,
    so that its two questions pair; otherwise the file named by its content).
    Raises `InputError` naming the file and the row for missing columns, a duplicate index, broken base64, an empty
    question or answer, and options lost (a gold letter without its option).
    """
    path, layout = Path(path), LAYOUTS[benchmark]
    if not path.is_file():
        raise InputError(f"{benchmark} file not found", file=path)
    images = _Images(path)
    rows: dict[str, Row] = {}
    for row in _rows(path, layout):
        index = row["index"].strip()
        if not index or index in rows:
            what = f"duplicate index {index!r}" if index else "empty index"
            raise InputError(what, file=path, record=_name(row))
        # The image is written at once and its text forgotten: whole files are far larger than memory may be.
        rows[index] = {**row, "image": images.store(row)}
    items = []
    for index, row in rows.items():
        if split is not None and row.get("split", "").strip() != split:
            continue
        try:
            items.append(_item(benchmark, layout, path, row, images.of(index, rows)))
        except InputError as error:
            if index not in (known_defects or {}):
                raise
            log.warning("left out a known defect, %s: %s", (known_defects or {})[index], error)
    if not items:
        raise InputError(f"no rows{f' of split {split!r}' if split else ''}", file=path)
    return items


def _name(row: Row) -> str:
    return f"line {row[LINE]} index {row['index']!r}"


def _rows(path: Path, layout: Layout) -> Iterator[Row]:
    """Rows as dictionaries; the key `LINE` holds the number of the line on which the row ends."""
    limit = csv.field_size_limit(MAX_FIELD_CHARS)
    try:
        with path.open(encoding="utf-8-sig", newline="") as stream:
            reader = csv.reader(stream, delimiter="\t", strict=True)
            header = next(reader, [])
            _require_columns(header, layout, path)
            for fields in reader:
                if not fields:
                    continue
                if len(fields) != len(header):
                    what = f"{len(fields)} fields where the header has {len(header)}"
                    raise InputError(what, file=path, record=f"line {reader.line_num}")
                yield {**dict(zip(header, fields, strict=True)), LINE: str(reader.line_num)}
    except (csv.Error, UnicodeDecodeError) as error:
        raise InputError(f"not a readable TSV file: {error}", file=path) from None
    finally:
        csv.field_size_limit(limit)


def _require_columns(header: Sequence[str], layout: Layout, path: Path) -> None:
    missing = [name for name in ("index", "question", "answer", *layout.columns) if name not in header]
    if "image" not in header and "image_path" not in header:
        missing.append("image (or image_path)")
    if missing:
        raise InputError(f"missing columns: {', '.join(missing)}", file=path, remedy=f"it has: {', '.join(header)}")
    if len(set(header)) != len(header):
        raise InputError("a column occurs twice", file=path, record="header")


class _Images:
    """The images of one TSV file: written once each, found again by the index of their row."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._folder = f".{path.stem}_images"

    def store(self, row: Row) -> str:
        """What stands for the row's image afterwards: `=PATH` of a file, or the index of another row."""
        field = row.get("image", "").strip()
        if not field:
            return "=" + self._existing(row)
        if field.startswith("["):
            field = _only_element(field, self._path, row)
        if len(field) <= LONGEST_INDEX:
            return field
        try:
            content = base64.b64decode(field, validate=True)
        except binascii.Error as error:
            raise InputError(f"broken base64 image: {error}", file=self._path, record=_name(row)) from None
        return "=" + self._write(content, row)

    def of(self, index: str, rows: Mapping[str, Row]) -> str:
        """Path of the image of row `index`, relative to the TSV file's folder."""
        image = rows[index]["image"]
        if not image.startswith("="):
            other = rows.get(image, {}).get("image", "")
            if not other.startswith("="):
                what = f"the image is given as that of index {image!r}, which has none"
                raise InputError(what, file=self._path, record=_name(rows[index]))
            image = other
        return image[1:]

    def _existing(self, row: Row) -> str:
        name = row.get("image_path", "").strip()
        if not name:
            raise InputError("no image", file=self._path, record=_name(row))
        if not resolve(self._path.parent, name).is_file():
            raise InputError(f"image file {name!r} not found", file=self._path, record=_name(row))
        return name

    def _write(self, content: bytes, row: Row) -> str:
        try:
            with Image.open(io.BytesIO(content)) as image:
                ending = (image.format or "image").lower().replace("jpeg", "jpg")
        except Image.UnidentifiedImageError:
            raise InputError("base64 of something that is no image", file=self._path, record=_name(row)) from None
        name = f"{self._folder}/{hashlib.sha256(content).hexdigest()[:24]}.{ending}"
        target = self._path.parent / name
        if not target.is_file():
            write_bytes_atomic(target, content)
        return name


def _item(benchmark: str, layout: Layout, path: Path, row: Row, image: str) -> Item:
    question, suffix = split_suffix(row["question"].strip())
    if not question:
        raise InputError("empty question", file=path, record=_name(row))
    answers = _answers(layout, path, row)
    choices = _choices(path, row)
    if choices or (benchmark == "realworldqa" and len(answers[0]) == 1 and answers[0] in LETTERS):
        letter = gold_letter(answers[0], choices)
        if letter is None:
            what = f"gold answer {answers[0]!r} is not among the options {list(choices)}"
            raise InputError(what, file=path, record=_name(row), remedy="options were lost: restore or remove the row")
        answers = (letter,)
    image_path = row.get("image_path", "").strip()
    kind = row.get(layout.kind, "").strip()
    return Item(
        id=f"{benchmark}-{row['index'].strip()}",
        source=benchmark,
        question=question,
        answers=answers,
        choices=choices,
        image=image,
        cluster=f"{kind}/{image_path}" if benchmark == "mme" and image_path else image,
        kind=kind,
        suffix=suffix,
        meta={"index": row["index"].strip()},
    )


def _answers(layout: Layout, path: Path, row: Row) -> tuple[str, ...]:
    text = row["answer"].strip()
    answers = _parse_list(text, path, row) if layout.listed_answers and text.startswith("[") else (text,)
    if not answers or not all(answer.strip() for answer in answers):
        raise InputError("empty answer", file=path, record=_name(row))
    return answers


def _choices(path: Path, row: Row) -> tuple[str, ...]:
    options = [row.get(letter, "").strip() for letter in LETTERS]
    while options and not options[-1]:
        options.pop()
    if len(options) == 1 or not all(options):
        what = f"an option is missing in {options}"
        raise InputError(what, file=path, record=_name(row), remedy="options were lost: restore or remove the row")
    return tuple(options)


def _parse_list(text: str, path: Path, row: Row) -> tuple[str, ...]:
    """Elements of a printed Python list, as strings; parsed as a literal, never executed."""
    try:
        value = ast.literal_eval(text)
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        raise InputError(f"not a list: {text[:60]}", file=path, record=_name(row)) from None
    if not isinstance(value, list):
        raise InputError(f"not a list: {text[:60]}", file=path, record=_name(row))
    return tuple(str(element) for element in value)


def _only_element(field: str, path: Path, row: Row) -> str:
    elements = _parse_list(field, path, row)
    if len(elements) != 1:
        raise InputError(f"{len(elements)} images in one row; one is supported", file=path, record=_name(row))
    return elements[0]
