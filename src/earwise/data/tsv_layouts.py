"""The layouts of VLMEvalKit's TSV files."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from earwise.data.tsv_images import Row
from earwise.errors import InputError
from earwise.records import Item

ONE_WORD: Final = "\nAnswer the question using a single word or phrase."
CHOICE_SUFFIX: Final = "\nPlease select the correct answer from the options above."
"""VLMEvalKit's suffix of questions with options."""


@dataclass(frozen=True)
class Layout:
    """The layout of a benchmark's TSV file, beyond index, question, answer and an image."""

    name: str
    """The items' source, and the beginning of their ids."""
    columns: tuple[str, ...] = ()
    listed_answers: bool = False
    """Whether the answer field is a Python list of accepted answers."""
    kind: str = "category"
    """Column by which results are broken down."""
    suffix: str = ""
    """VLMEvalKit's answer-format request; a request in the file wins."""
    text_only_rows: bool = False
    """Whether rows without an image are expected; other benchmarks ask them, so they are left out."""
    letters_need_options: bool = False
    """Whether a gold answer of a single letter means an option, which the row must have."""
    cluster: Callable[[str, str, str], str] | None = None
    """The unit of resampling, from kind, image and index; None: the image."""
    check: Callable[[Sequence[str]], None] | None = None
    """What raises `InputError` for a header that lacks a column, where other columns than VLMEvalKit's are needed."""
    needs_image: bool = True
    row: Callable[[Row], Row] | None = None
    """Renames the columns of a row to VLMEvalKit's names."""
    finish: Callable[[Item, Row], Item] | None = None
    """Adds values of the row that these files do not have."""


def hallusion_place(index: str) -> tuple[str, str, str]:
    """Set, figure and question in an index of HallusionBench, `CATEGORY_SUBCATEGORY_INPUT_SET_FIGURE_QUESTION`.

    Raises `InputError` for an index of another form.
    """
    parts = index.split("_")
    if len(parts) < 6:
        remedy = "an index reads CATEGORY_SUBCATEGORY_INPUT_SET_FIGURE_QUESTION"
        raise InputError(f"index {index!r} does not name set, figure and question", remedy=remedy)
    return parts[3], parts[4], parts[5]


def _pair(kind: str, image: str, index: str) -> str:
    """The two questions of MME about an image of a category."""
    return f"{kind}/{image}"


def _set(kind: str, image: str, index: str) -> str:
    """The set of HallusionBench, whose figures and questions are counted together."""
    return f"{kind}/{hallusion_place(index)[0]}"


LAYOUTS: Final[Mapping[str, Layout]] = {
    layout.name: layout
    for layout in (
        Layout("mme", columns=("category",), cluster=_pair),
        Layout(
            "hallusionbench",
            columns=("category", "l2-category"),
            kind="l2-category",
            text_only_rows=True,
            cluster=_set,
        ),
        Layout("realworldqa", columns=("A", "B"), letters_need_options=True),
        Layout("textvqa", listed_answers=True, suffix=ONE_WORD),
        Layout("chartqa", columns=("split",), kind="split", suffix=ONE_WORD),
        Layout("docvqa", listed_answers=True, suffix=ONE_WORD),
        Layout("infovqa", listed_answers=True, suffix=ONE_WORD),
    )
}
