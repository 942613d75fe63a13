"""Reader of VLMEvalKit's TSV files: MME, HallusionBench, RealWorldQA, TextVQA, ChartQA, DocVQA, InfographicVQA.

Columns are `index`, `question`, `answer`, an image (`image`: base64, or the index of the row that has it; or
`image_path`) and, for some benchmarks, `category`, `split`, `A`, `B`, `C`, ... Odd rows are read as in VLMEvalKit, and
reported: short rows are filled up, quotation marks that are not closed in their field are dropped, and rows without an
image are left out.
"""

from __future__ import annotations

import csv
import logging
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from earwise.data.choices import LETTERS, gold_letter
from earwise.data.derived import is_derived
from earwise.data.drops import Drops
from earwise.data.printed_lists import printed_list
from earwise.data.suffixes import split_suffix
from earwise.data.tsv_images import LINE, Row, TsvImages, cell, row_name
from earwise.data.tsv_layouts import CHOICE_SUFFIX, LAYOUTS, Layout
from earwise.errors import InputError, about
from earwise.io.files import found_file, open_text
from earwise.records import Item

MAX_FIELD_CHARS: Final = 512 * 1024 * 1024
"""Limit of a field. Base64 images of documents exceed the csv module's own limit of 131,072."""

SAID_NOTHING: Final = " "
"""The answer of an annotator without one. Answers of items must not be empty; scorers strip this one."""

log = logging.getLogger(__name__)

Refuse = Callable[[str, InputError], None]
"""Called with the index (or "") and the error of every unreadable row."""


@dataclass
class Scan:
    """The content of a file. Records have the names of messages."""

    items: list[Item] = field(default_factory=list)
    text_only: int = 0
    """Number of text-only rows of HallusionBench."""
    without_image: list[str] = field(default_factory=list)
    """Left-out rows whose image is missing."""
    short: list[tuple[str, str]] = field(default_factory=list)
    """Rows with fewer fields than the header, and the numbers of fields."""
    pictures: list[tuple[str, str]] = field(default_factory=list)
    """Rows whose image changes when it is shown, and how; only if images are decoded."""


def read_tsv(
    path: str | Path, layout: str | Layout, *, split: str | None = None, known_defects: Mapping[str, str] | None = None
) -> list[Item]:
    """Read `path` as a table of `layout` (or a key of `LAYOUTS`), or only its rows of `split`.

    `known_defects` maps the index of a row of the public file to its defect. If such a row is refused, it is left out
    and logged, as are rows without an image. The cluster is the image, unless the layout sets another one. Raises
    `InputError` naming the file and the row for missing columns, too many fields, a duplicate index, broken base64, an
    empty question or answer, and a gold letter without its option.
    """
    known = known_defects or {}

    def refuse(index: str, error: InputError) -> None:
        if index not in known:
            raise error
        log.warning("left out a known defect, %s: %s", known[index], error)

    scan = scan_tsv(Path(path), LAYOUTS[layout] if isinstance(layout, str) else layout, split, refuse)
    if scan.text_only:
        log.info("%s: %d rows without an image are no part of the benchmark and left out", path, scan.text_only)
    odd = Drops()
    for record in scan.without_image:
        odd.add("no image", record)
    for line in odd.lines():
        log.warning("%s: %s", path, line)
    if scan.short:
        record, lacking = scan.short[0]
        log.warning("%s: %d rows are short and are filled up (first: %s: %s)", path, len(scan.short), record, lacking)
    if not scan.items:
        what = f"no rows{f' of split {split!r}' if split else ''}"
        raise InputError(what + "".join(f", {line}" for line in odd.lines()), file=path)
    return scan.items


def scan_tsv(path: Path, layout: Layout, split: str | None, refuse: Refuse, *, write_images: bool = True) -> Scan:
    """The items of all rows that are not passed to `refuse`, and the file's oddities.

    Without `write_images`, images are decoded instead of written, and items name files that do not exist. Raises
    `InputError` for an unreadable file.
    """
    if not found_file(path):
        raise InputError(f"{layout.name} file not found", file=path)
    images, scan = TsvImages(path, write=write_images), Scan()
    rows: dict[str, Row] = {}
    for row in _rows(path, layout, refuse, scan.short):
        if layout.text_only_rows and _is_text_only(row, images):
            scan.text_only += 1
            continue
        try:
            index = _new_index(row, rows, path)
            # The image is written now and its text dropped, because whole files can be larger than memory.
            image = images.store(row)
        except InputError as error:
            refuse("", error)
            continue
        if image or not layout.needs_image:
            rows[index] = {**row, "image": image}
        elif split in (None, row.get("split", "").strip()):
            scan.without_image.append(row_name(row))
    for index, row in rows.items():
        if split is not None and row.get("split", "").strip() != split:
            continue
        try:
            scan.items.append(_item(layout, path, row, images.of(index, rows) if row["image"] else ""))
        except InputError as error:
            refuse(index, error)
    scan.pictures = images.notes
    return scan


def _is_text_only(row: Row, images: TsvImages) -> bool:
    """Whether a row of HallusionBench has no picture, or an index of a text-only question."""
    if cell(row, "image"):
        return False
    parts = row["index"].strip().split("_")
    text_only = len(parts) >= 6 and parts[2] == "0"  # CATEGORY_SUBCATEGORY_INPUT_...
    return text_only or not images.path_is_there(row)


def _new_index(row: Row, rows: Mapping[str, Row], path: Path) -> str:
    index = row["index"].strip()
    if not index or index in rows:
        what = f"duplicate index {index!r}" if index else "empty index"
        raise InputError(what, file=path, record=row_name(row))
    return index


def _rows(path: Path, layout: Layout, refuse: Refuse, short: list[tuple[str, str]]) -> Iterator[Row]:
    """Rows as dictionaries, with the number of their last line under `LINE`; short ones are added to `short`."""
    limit = csv.field_size_limit(MAX_FIELD_CHARS)
    before = 0
    try:
        with open_text(path, newline="") as stream:
            lines = _Lines(stream)
            reader = csv.reader(lines, delimiter="\t")  # not strict: a quotation mark inside a field is allowed
            header = next(reader, [])
            _require_columns(header, layout, path)
            before = reader.line_num
            for fields in reader:
                if lines.ended:
                    raise csv.Error("a quotation mark is not closed before the file ends")
                number, before = reader.line_num, reader.line_num
                if not fields:
                    continue
                if wrong := _what_is_wrong(fields, header):
                    refuse("", InputError(wrong, file=path, record=f"line {number}"))
                    continue
                if len(fields) < len(header):
                    lacking = f"{len(fields)} fields where the header has {len(header)}"
                    short.append((f"line {number}", lacking))
                row = {**dict.fromkeys(header, ""), **dict(zip(header, fields, strict=False)), LINE: str(number)}
                try:
                    named = layout.row(row) if layout.row is not None else row
                except InputError as error:
                    refuse("", error)
                    continue
                yield named
    except csv.Error as error:
        raise InputError(f"not a readable TSV file: {error}", file=path, record=f"after line {before}") from None
    finally:
        csv.field_size_limit(limit)


class _Lines:
    """The lines of a file, and whether a line after the last one was requested, which the csv module does not show."""

    def __init__(self, stream: Iterable[str]) -> None:
        self._lines, self.ended = iter(stream), False

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        try:
            return next(self._lines)
        except StopIteration:
            self.ended = True
            raise


def _what_is_wrong(fields: Sequence[str], header: Sequence[str]) -> str | None:
    if len(fields) > len(header):
        return f"{len(fields)} fields where the header has {len(header)}"
    # A whole row inside of a field: after an open quotation mark, its tabs were read as text.
    if any("\n" in field and field.count("\t") >= len(header) - 1 for field in fields):
        return "a quotation mark is not closed in its row, and the next rows are taken for its text"
    return None


def _require_columns(header: Sequence[str], layout: Layout, path: Path) -> None:
    if len(set(header)) != len(header):
        raise InputError("a column occurs twice", file=path, record="header")
    if layout.check is not None:
        layout.check(header)
        return
    missing = [name for name in ("index", "question", "answer", *layout.columns) if name not in header]
    if "image" not in header and "image_path" not in header:
        missing.append("image (or image_path)")
    if missing:
        raise InputError(f"missing columns: {', '.join(missing)}", file=path, remedy=f"it has: {', '.join(header)}")


def _item(layout: Layout, path: Path, row: Row, image: str) -> Item:
    question, suffix = split_suffix(row["question"].strip())
    suffix = suffix or layout.suffix
    if not question:
        raise InputError("empty question", file=path, record=row_name(row))
    answers = _answers(layout, path, row)
    choices = _choices(path, row)
    if choices or (layout.letters_need_options and len(answers[0]) == 1 and answers[0] in LETTERS):
        letter = gold_letter(answers[0], choices)
        if letter is None:
            what = f"gold answer {answers[0]!r} is not among the options {list(choices)}"
            raise InputError(
                what, file=path, record=row_name(row), remedy="options were lost: restore or remove the row"
            )
        answers, suffix = (letter,), suffix or (CHOICE_SUFFIX if choices else "")
    shown = cell(row, "image_path") or (Path(image).name if is_derived(image) else image)
    kind = row.get(layout.kind, "").strip()
    with about(row_name(row), path):
        cluster = layout.cluster(kind, shown, row["index"].strip()) if layout.cluster is not None else None
    item = Item(
        id=f"{layout.name}-{row['index'].strip()}",
        source=layout.name,
        question=question,
        answers=answers,
        choices=choices,
        image=image or None,
        cluster=cluster or (Path(image).name if is_derived(image) else image),
        kind=kind,
        suffix=suffix,
        meta={"index": row["index"].strip()},
    )
    return layout.finish(item, row) if layout.finish is not None else item


def _answers(layout: Layout, path: Path, row: Row) -> tuple[str, ...]:
    text = row["answer"].strip()
    listed = layout.listed_answers and text.startswith(("[", "array("))
    answers = _parse_list(text, path, row) if listed else (text,)
    if not any(answer.strip() for answer in answers):
        raise InputError("empty answer", file=path, record=row_name(row))
    return tuple(answer if answer.strip() else SAID_NOTHING for answer in answers)


def _choices(path: Path, row: Row) -> tuple[str, ...]:
    options = [row.get(letter, "").strip() for letter in LETTERS]
    while options and not options[-1]:
        options.pop()
    if len(options) == 1 or not all(options):
        what = f"an option is missing in {options}"
        raise InputError(what, file=path, record=row_name(row), remedy="options were lost: restore or remove the row")
    return tuple(options)


def _parse_list(text: str, path: Path, row: Row) -> tuple[str, ...]:
    """Elements of a printed list, as texts."""
    value = printed_list(text)
    if value is None or not all(isinstance(element, str | int | float) for element in value):
        raise InputError(f"not a list of answers: {text[:60]}", file=path, record=row_name(row))
    return tuple(str(element) for element in value)
