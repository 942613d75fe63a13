"""Views: which modality carries the context and which carries the query.

A view is decided per item when it is shown to a model, never in the data. `VIEWS` is the whole vocabulary; adding a
view is adding a row.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from earwise.data.llava import TYPED
from earwise.errors import InputError
from earwise.records import Item, View

Query = Literal["text", "spoken_form", "speech", "transcript"]
"""How a question is asked: as it is written, as the spoken form that the engine was given (typed), as a clip, or as
what the model itself heard in the clip (typed).
"""


@dataclass(frozen=True)
class ViewSpec:
    """What a view shows. `context` is the medium the question is about; `query` is how the question is asked."""

    context: Literal["image", "none"]
    query: Query


VIEWS: dict[View, ViewSpec] = {
    "image_text": ViewSpec("image", "text"),
    "image_spoken_form": ViewSpec("image", "spoken_form"),
    "image_speech": ViewSpec("image", "speech"),
    "image_transcript": ViewSpec("image", "transcript"),
    "text_only": ViewSpec("none", "text"),
    "speech_only": ViewSpec("none", "speech"),
}


def view_spec(view: View) -> ViewSpec:
    """The specification of `view`; raises `InputError` for a view that no model here can be shown yet."""
    if view not in VIEWS:
        raise InputError(f"view {view!r} is not available", remedy=f"use one of {', '.join(VIEWS)}")
    return VIEWS[view]


@dataclass(frozen=True)
class Turn:
    """One question with what is needed to show it under any view: its clip (a WAV file), what is said in it and what
    was heard.
    """

    item: Item
    text: str
    """The query as typed: question and options, without the instruction and the suffix."""
    clip: Path | None = None
    num_samples: int = 0
    spoken: str | None = None
    """The spoken form, from the clip's record; it holds the answer-format request where that is spoken."""
    heard: str | None = None
    suffix: str = ""
    """Answer-format request that stays typed under every view; empty when the recipe shows none."""

    @property
    def typed(self) -> bool:
        """Whether the query is typed under every view, also under one that speaks."""
        return bool(self.item.meta.get(TYPED))


@dataclass(frozen=True)
class Sample:
    """A conversation about one image (or none): the unit that is trained on and answered."""

    turns: tuple[Turn, ...]
    image: Path | None = None
    independent: bool = False
    """Whether each turn sees the image and itself only, as if it were asked alone: several single questions about one
    image for the price of one image."""

    @property
    def key(self) -> str:
        """Id of the first turn's item."""
        return self.turns[0].item.id
