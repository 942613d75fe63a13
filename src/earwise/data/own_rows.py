"""Rows of a user's own TSV table, under VLMEvalKit's column names."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from earwise.data.choices import LETTERS
from earwise.data.media import resolve
from earwise.data.own_sources import OwnSource
from earwise.data.printed_lists import printed_list
from earwise.data.tsv_images import LINE, LONGEST_INDEX, Row, cell, row_name
from earwise.data.tsv_layouts import Layout
from earwise.errors import InputError
from earwise.records import Item

_LISTS: Final = frozenset({"relaxed", "choice"})
"""Scorings in which a printed list can be one gold answer."""


class LeftOut(InputError):
    """A correct row that cannot be asked; it is counted."""


def own_layout(source: OwnSource) -> Layout:
    """The layout of the table."""
    own = source.own
    return Layout(
        source.name,
        listed_answers=own.scoring not in _LISTS,
        kind="kind",
        suffix=on_its_own_line(own.suffix or ""),
        cluster=lambda kind, image, index: image or index,
        check=source.check_columns,
        needs_image=False,
        row=lambda row: _named(source, row),
        finish=lambda item, row: _finished(source, item, row),
    )


def on_its_own_line(suffix: str) -> str:
    """A suffix with its own leading space or newline."""
    return suffix if not suffix or suffix[0].isspace() else f"\n{suffix}"


def asked(hint: str, question: str) -> str:
    """The question after its hint, if it has one."""
    return f"{hint}\n{question}" if hint else question


def _named(source: OwnSource, row: Row) -> Row:
    columns = source.columns
    value = {what: row.get(column, "") if column else "" for what, column in columns.items()}
    named = {
        LINE: row[LINE],
        "index": value["id"],
        "question": asked(cell(value, "hint"), value["question"].strip()),
        "answer": value["answer"],
        "image": value["image"],
        "image_path": value["image_path"],
        **{what: cell(value, what) for what in ("audio", "video", "cluster", "kind", "suffix", "split")},
        **dict(zip(LETTERS, _options(source, row), strict=False)),
        "shows": "yes" if ({columns["image"], columns["image_path"]} - {""}) & row.keys() else "",
    }
    image = cell(named, "image")
    if 0 < len(image) <= LONGEST_INDEX and "\0" not in image and (source.path.parent / image).is_file():
        named |= {"image": "", "image_path": image}
    return named


def _options(source: OwnSource, row: Row) -> Sequence[str]:
    """The texts of a row's options, without blank ones at the end."""
    column = source.columns["choices"]
    if not column:
        options = [row.get(letter, "").strip() for letter in LETTERS] if source.own.columns.choices is None else []
    else:
        printed = printed_list(row.get(column, ""))
        if printed is None and row.get(column, "").strip():
            raise InputError(
                f"not a list of options: {row[column][:60]!r}", file=source.path, record=f"line {row[LINE]}"
            )
        options = [str(option).strip() for option in printed or ()]
    while options and options[-1] in ("", "nan"):
        options.pop()
    return options or source.own.choices


def _finished(source: OwnSource, item: Item, row: Row) -> Item:
    media = {what: row[what] for what in ("audio", "video") if row[what]}
    for name in media.values():
        check_media(source, name, row_name(row))
    if row["shows"] and item.image is None and not media:
        raise LeftOut("no image", file=source.path, record=row_name(row))
    first = next(iter(media.values()), "") if item.image is None else ""
    changes: Mapping[str, object] = {
        **media,
        "cluster": row["cluster"] or first or item.cluster,
        "suffix": on_its_own_line(row["suffix"]) or ("" if source.own.suffix == "" else item.suffix),
    }
    return item.model_copy(update=dict(changes))


def check_media(source: OwnSource, name: str, record: str) -> None:
    """Raise `InputError` if this file, relative to the folder of the benchmark's file, does not exist."""
    if not resolve(source.path.parent, name, file=source.path, record=record).is_file():
        raise InputError(f"file {name!r} not found beside it", file=source.path, record=record)
