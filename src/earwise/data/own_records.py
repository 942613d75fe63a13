"""Records of a user's own JSON file: one object per line, or an array of objects."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from earwise.data.choices import gold_letter
from earwise.data.fields import Fields, make_each
from earwise.data.json_records import scan_records
from earwise.data.own_rows import asked, check_media, on_its_own_line
from earwise.data.own_sources import OwnSource
from earwise.data.tsv_images import SeveralImages
from earwise.data.tsv_layouts import CHOICE_SUFFIX
from earwise.errors import InputError
from earwise.records import Item


def read_records(source: OwnSource, refuse: Callable[[InputError], None]) -> list[Item]:
    """The items of the file; `refuse` is called with every unusable record."""
    records = [
        Fields(source.path, f"record {number}", values) for number, (_, values) in enumerate(scan_records(source.path))
    ]
    source.check_columns(dict.fromkeys(key for fields in records for key in fields.values))
    return make_each(source.path, records, partial(_item, source), refuse=refuse)


def _item(source: OwnSource, fields: Fields) -> Item | None:
    columns, own = source.columns, source.own
    if own.split is not None and fields.optional(columns["split"]) != own.split:
        return None
    media = {what: name for what in ("image", "audio", "video") if (name := _path(fields, columns[what]))}
    for name in media.values():
        check_media(source, name, fields.record)
    id_ = fields.name(columns["id"])
    choices = _choices(source, fields)
    answers = _answers(fields, columns["answer"])
    if choices:
        letter = gold_letter(answers[0], choices)
        if letter is None:
            raise fields.error(f"gold answer {answers[0]!r} is not among the options {list(choices)}")
        answers = (letter,)
    request = _optional(fields, columns["suffix"]) or own.suffix or ""
    return Item(
        id=id_,
        source=source.name,
        question=asked(_optional(fields, columns["hint"]), fields.text(columns["question"])),
        answers=answers,
        choices=choices,
        **media,
        cluster=_optional(fields, columns["cluster"]) or next(iter(media.values()), id_),
        kind=_optional(fields, columns["kind"]),
        suffix=on_its_own_line(request) or (CHOICE_SUFFIX if choices and own.suffix is None else ""),
        meta={"index": id_},
    )


def _optional(fields: Fields, column: str) -> str:
    return fields.optional(column) if column else ""


def _path(fields: Fields, column: str) -> str:
    """The path in a field, which may be a list of one."""
    value = fields.values.get(column) if column else None
    if isinstance(value, list) and len(value) > 1:
        what = f"{len(value)} images in one record; one is supported"
        raise SeveralImages(what, file=fields.path, record=fields.record)
    return _optional(fields, column).removeprefix("./")


def _choices(source: OwnSource, fields: Fields) -> tuple[str, ...]:
    column = source.columns["choices"]
    given: Any = fields.values.get(column) if column else None
    if given in (None, [], ""):
        return source.own.choices
    return fields.options(column)


def _answers(fields: Fields, column: str) -> tuple[str, ...]:
    """The accepted answers, from one value or a list of texts and numbers."""
    value = fields.values.get(column)
    listed = value if isinstance(value, list) else [value]
    if not listed or any(one is None or (isinstance(one, str) and not one.strip()) for one in listed):
        raise fields.error("no gold answer", "name the column of the answers, or take a split that has them")
    if not all(isinstance(one, str | int | float) and not isinstance(one, bool) for one in listed):
        raise fields.error(f"{column!r} is not a text, a number or a list of these: {value!r}")
    return tuple(str(one).strip() for one in listed)
