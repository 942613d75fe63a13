"""The TSV files of VLMEvalKit become items: MME, HallusionBench, RealWorldQA, TextVQA, ChartQA, DocVQA, InfographicVQA.

Columns: `index`, `question`, `answer`, an image (`image`: base64, or the index of the row that has it; else
`image_path`), and as the benchmark needs `category`, `split`, `A`, `B`, `C`, ... Images go to the folder `.STEM_images`
beside the file, named by content, so that reading again writes nothing; it is hidden because it is no input of a run.
"""

from __future__ import annotations

import base64
import csv
import hashlib
import io
import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from earwise.data.choices import LETTERS, gold_letter
from earwise.data.media import decode_image, load_image, resolve, write_bytes_atomic
from earwise.data.picture_opening import opened_picture
from earwise.data.printed_lists import printed_list
from earwise.data.suffixes import split_suffix
from earwise.errors import InputError, about
from earwise.files import found_file, open_text
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
    suffix: str = ""
    """The answer-format request that VLMEvalKit adds to a question; one that is in the file counts instead."""
    text_only_rows: bool = False
    """Rows without an image are no part of the benchmark: they are left out, and the log says how many."""


ONE_WORD: Final = "\nAnswer the question using a single word or phrase."

LAYOUTS: Final[Mapping[str, Layout]] = {
    "mme": Layout(columns=("category",)),
    "hallusionbench": Layout(columns=("category", "l2-category"), kind="l2-category", text_only_rows=True),
    "realworldqa": Layout(columns=("A", "B")),
    "textvqa": Layout(listed_answers=True, suffix=ONE_WORD),
    "chartqa": Layout(columns=("split",), kind="split", suffix=ONE_WORD),
    "docvqa": Layout(listed_answers=True, suffix=ONE_WORD),
    "infovqa": Layout(listed_answers=True, suffix=ONE_WORD),
}

CHOICE_SUFFIX: Final = "\nPlease select the correct answer from the options above."
"""What VLMEvalKit adds to a question with options."""

KNOWN_DEFECTS: Final[Mapping[str, Mapping[str, str]]] = {
    "realworldqa": dict.fromkeys(("105", "633", "731"), "options lost in the public file (VLMEvalKit issue 677)"),
}
"""Benchmark -> index -> what is wrong with that row of the public file."""

Row = dict[str, str]

LINE: Final = ""
"""Key of a row's line number; no column of these files is without a name."""

log = logging.getLogger(__name__)


Refuse = Callable[[str, InputError], None]
"""Told of every row that cannot be read: its index (empty if the row cannot be told by it) and what is wrong."""


def read_tsv(
    path: str | Path, benchmark: str, *, split: str | None = None, known_defects: Mapping[str, str] | None = None
) -> list[Item]:
    """Read `path` as `benchmark` (a key of `LAYOUTS`); only rows of `split` if one is named.

    `known_defects` maps an index to what is wrong with that row of the public file: if the row is indeed refused, it is
    left out and the log says so. So are the rows without image of HallusionBench; nothing else is ever left out. The
    cluster is the image named by its content; for MME category and image, so that its two questions pair; for
    HallusionBench the set, which holds all figures and questions that are counted together.
    Raises `InputError` naming the file and the row for missing columns, a duplicate index, broken base64, an empty
    question or answer, and options lost (a gold letter without its option).
    """
    known = known_defects or {}

    def refuse(index: str, error: InputError) -> None:
        if index not in known:
            raise error
        log.warning("left out a known defect, %s: %s", known[index], error)

    items, text_only = scan_tsv(Path(path), benchmark, split, refuse)
    if text_only:
        log.info("%s: %d rows without an image are no part of the benchmark and left out", path, text_only)
    if not items:
        raise InputError(f"no rows{f' of split {split!r}' if split else ''}", file=path)
    return items


def scan_tsv(
    path: Path, benchmark: str, split: str | None, refuse: Refuse, *, write_images: bool = True
) -> tuple[list[Item], int]:
    """The items of all rows that `refuse` was not told of, and how many rows without image were left out.

    With `write_images` off, every image is decoded to its last line instead of being written; items then name files
    that are not there. Raises `InputError` for a file that cannot be read as a whole.
    """
    layout = LAYOUTS[benchmark]
    if not found_file(path):
        raise InputError(f"{benchmark} file not found", file=path)
    images, text_only = _Images(path, write_images), 0
    rows: dict[str, Row] = {}
    for row in _rows(path, layout):
        if layout.text_only_rows and not row.get("image", "").strip() and not row.get("image_path", "").strip():
            text_only += 1
            continue
        try:
            # The image is written at once and its text forgotten: whole files are far larger than memory may be.
            rows[_new_index(row, rows, path)] = {**row, "image": images.store(row)}
        except InputError as error:
            refuse("", error)
    items = []
    for index, row in rows.items():
        if split is not None and row.get("split", "").strip() != split:
            continue
        try:
            items.append(_item(benchmark, layout, path, row, images.of(index, rows)))
        except InputError as error:
            refuse(index, error)
    return items, text_only


def hallusion_place(index: str) -> tuple[str, str, str]:
    """Set, figure and question that an index of HallusionBench names.

    The index reads `CATEGORY_SUBCATEGORY_INPUT_SET_FIGURE_QUESTION`. Raises `InputError` for another form.
    """
    parts = index.split("_")
    if len(parts) < 6:
        remedy = "an index reads CATEGORY_SUBCATEGORY_INPUT_SET_FIGURE_QUESTION"
        raise InputError(f"index {index!r} does not name set, figure and question", remedy=remedy)
    return parts[3], parts[4], parts[5]


def _new_index(row: Row, rows: Mapping[str, Row], path: Path) -> str:
    index = row["index"].strip()
    if not index or index in rows:
        what = f"duplicate index {index!r}" if index else "empty index"
        raise InputError(what, file=path, record=_name(row))
    return index


def _name(row: Row) -> str:
    return f"line {row[LINE]} index {row['index']!r}"


def _rows(path: Path, layout: Layout) -> Iterator[Row]:
    """Rows as dictionaries; the key `LINE` holds the number of the line on which the row ends."""
    limit = csv.field_size_limit(MAX_FIELD_CHARS)
    before = 0
    try:
        with open_text(path, newline="") as stream:
            reader = csv.reader(stream, delimiter="\t", strict=True)
            header = next(reader, [])
            _require_columns(header, layout, path)
            before = reader.line_num
            for fields in reader:
                if not fields:
                    continue
                if len(fields) != len(header):
                    what = f"{len(fields)} fields where the header has {len(header)}"
                    raise InputError(what, file=path, record=f"line {reader.line_num}")
                yield {**dict(zip(header, fields, strict=True)), LINE: str(reader.line_num)}
                before = reader.line_num
    except csv.Error as error:
        raise InputError(f"not a readable TSV file: {error}", file=path, record=f"after line {before}") from None
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

    def __init__(self, path: Path, write: bool) -> None:
        self._path = path
        self._write_files = write
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
        except ValueError as error:  # also for characters outside of ASCII
            raise InputError(f"broken base64 image: {error}", file=self._path, record=_name(row)) from None
        return "=" + (self._write(content, row) if self._write_files else self._checked(content, row))

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
        image = resolve(self._path.parent, name, file=self._path, record=_name(row))
        if not image.is_file():
            raise InputError(f"image file {name!r} not found", file=self._path, record=_name(row))
        if not self._write_files:
            with about(_name(row), self._path):
                load_image(image)
        return name

    def _checked(self, content: bytes, row: Row) -> str:
        """What `_write` would give, for an image that decodes to its last line."""
        with about(_name(row), self._path):
            decode_image(io.BytesIO(content), self._path)
        return f"{self._folder}/{hashlib.sha256(content).hexdigest()[:24]}"

    def _write(self, content: bytes, row: Row) -> str:
        with about(_name(row), self._path), opened_picture(io.BytesIO(content), self._path) as image:
            ending = (image.format or "image").lower().replace("jpeg", "jpg")
        name = f"{self._folder}/{hashlib.sha256(content).hexdigest()[:24]}.{ending}"
        target = self._path.parent / name
        if not target.is_file():
            write_bytes_atomic(target, content)
        return name


def _item(benchmark: str, layout: Layout, path: Path, row: Row, image: str) -> Item:
    question, suffix = split_suffix(row["question"].strip())
    suffix = suffix or layout.suffix
    if not question:
        raise InputError("empty question", file=path, record=_name(row))
    answers = _answers(layout, path, row)
    choices = _choices(path, row)
    if choices or (benchmark == "realworldqa" and len(answers[0]) == 1 and answers[0] in LETTERS):
        letter = gold_letter(answers[0], choices)
        if letter is None:
            what = f"gold answer {answers[0]!r} is not among the options {list(choices)}"
            raise InputError(what, file=path, record=_name(row), remedy="options were lost: restore or remove the row")
        answers, suffix = (letter,), suffix or (CHOICE_SUFFIX if choices else "")
    image_path = row.get("image_path", "").strip()
    kind = row.get(layout.kind, "").strip()
    return Item(
        id=f"{benchmark}-{row['index'].strip()}",
        source=benchmark,
        question=question,
        answers=answers,
        choices=choices,
        image=image,
        cluster=_cluster(benchmark, kind, row, path, image_path or image) or image,
        kind=kind,
        suffix=suffix,
        meta={"index": row["index"].strip()},
    )


def _cluster(benchmark: str, kind: str, row: Row, path: Path, image: str) -> str | None:
    """What is resampled as one, where that is not the image."""
    if benchmark == "hallusionbench":
        with about(_name(row), path):
            return f"{kind}/{hallusion_place(row['index'].strip())[0]}"
    return f"{kind}/{image}" if benchmark == "mme" else None


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
    """Elements of a printed Python list, as strings."""
    value = printed_list(text)
    if value is None:
        raise InputError(f"not a list: {text[:60]}", file=path, record=_name(row))
    return tuple(str(element) for element in value)


def _only_element(field: str, path: Path, row: Row) -> str:
    elements = _parse_list(field, path, row)
    if len(elements) != 1:
        raise InputError(f"{len(elements)} images in one row; one is supported", file=path, record=_name(row))
    return elements[0]
