"""What is particular to each of VLMEvalKit's TSV files that `tsv` reads."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from earwise.data.tsv_images import Row
from earwise.errors import InputError
from earwise.records import Item

ONE_WORD: Final = "\nAnswer the question using a single word or phrase."
CHOICE_SUFFIX: Final = "\nPlease select the correct answer from the options above."
"""What VLMEvalKit adds to a question with options."""


@dataclass(frozen=True)
class Layout:
    """What a benchmark's TSV file must have, beyond index, question, answer and an image."""

    name: str
    """Source of its items, and what their ids begin with."""
    columns: tuple[str, ...] = ()
    listed_answers: bool = False
    """The answer field is a Python list of accepted answers."""
    kind: str = "category"
    """Column that results are broken down by."""
    suffix: str = ""
    """The answer-format request that VLMEvalKit adds to a question; one that is in the file counts instead."""
    text_only_rows: bool = False
    """Rows without an image are asked by other benchmarks, not by this one: they are expected, and left out."""
    letters_need_options: bool = False
    """A gold answer that is a single letter means an option, so its row must have options."""
    cluster: Callable[[str, str, str], str] | None = None
    """Of kind, image and index: what is resampled together, where that is not the image."""
    check: Callable[[Sequence[str]], None] | None = None
    """What raises `InputError` for a header that lacks a column, where other columns than VLMEvalKit's are needed."""
    needs_image: bool = True
    row: Callable[[Row], Row] | None = None
    """What gives a row the names of VLMEvalKit, where the file has others."""
    finish: Callable[[Item, Row], Item] | None = None
    """What an item takes from its row that these files do not have."""


def hallusion_place(index: str) -> tuple[str, str, str]:
    """Set, figure and question that an index of HallusionBench names.

    The index reads `CATEGORY_SUBCATEGORY_INPUT_SET_FIGURE_QUESTION`. Raises `InputError` for another form.
    """
    parts = index.split("_")
    if len(parts) < 6:
        remedy = "an index reads CATEGORY_SUBCATEGORY_INPUT_SET_FIGURE_QUESTION"
        raise InputError(f"index {index!r} does not name set, figure and question", remedy=remedy)
    return parts[3], parts[4], parts[5]


def _pair(kind: str, image: str, index: str) -> str:
    """The two questions that MME asks about an image of a category."""
    return f"{kind}/{image}"


def _set(kind: str, image: str, index: str) -> str:
    """The set of HallusionBench, which holds all figures and questions that are counted together."""
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
