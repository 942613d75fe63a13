"""Views: which modality carries the context and which carries the query.

A view is decided per item when it is shown to a model, never in the data. `VIEWS` is the whole vocabulary; adding a
view is adding a row.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

from earwise.data.meta import TYPED
from earwise.errors import InputError
from earwise.records import Item, View

Query = Literal["text", "spoken_form", "speech", "transcript"]
"""How a question is asked: as it is written, as the spoken form that the engine was given (typed), as a clip, or as
what the model itself heard in the clip (typed).
"""

Context = Literal["image", "video", "sound", "silence", "other_sound", "description", "none"]
"""What a question is about, as it is shown: an image, silent frames of a video, the item's own sound, silence of the
same length, another item's sound, a text that describes the item's sound, or nothing.
"""

HEARD: Final[frozenset[Context]] = frozenset({"sound", "silence", "other_sound"})
"""Contexts that go through ears."""
SEEN: Final[frozenset[Context]] = frozenset({"image", "video"})


@dataclass(frozen=True)
class ViewSpec:
    """What a view shows. `context` is the medium the question is about; `query` is how the question is asked."""

    context: Context
    query: Query


VIEWS: dict[View, ViewSpec] = {
    "image_text": ViewSpec("image", "text"),
    "image_spoken_form": ViewSpec("image", "spoken_form"),
    "image_speech": ViewSpec("image", "speech"),
    "image_transcript": ViewSpec("image", "transcript"),
    "video_text": ViewSpec("video", "text"),
    "video_speech": ViewSpec("video", "speech"),
    "sound_text": ViewSpec("sound", "text"),
    "sound_off": ViewSpec("silence", "text"),
    "sound_swapped": ViewSpec("other_sound", "text"),
    "description_text": ViewSpec("description", "text"),
    "text_only": ViewSpec("none", "text"),
    "speech_only": ViewSpec("none", "speech"),
}


def view_spec(view: View) -> ViewSpec:
    """The specification of `view`; raises `InputError` for a view that no model here can be shown yet."""
    if view not in VIEWS:
        raise InputError(f"view {view!r} is not available", remedy=f"use one of {', '.join(VIEWS)}")
    return VIEWS[view]


def is_heard(view: View) -> bool:
    """Whether a model needs ears under `view`: for the question or for the sound that it is about."""
    return is_spoken(view) or view_spec(view).context in HEARD


def is_spoken(view: View) -> bool:
    """Whether the question comes by ear under `view`."""
    return view_spec(view).query in ("speech", "transcript")


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
    description: str | None = None
    """What describes the sound that the question is about; the first turn's counts for the conversation."""
    suffix: str = ""
    """Answer-format request that stays typed under every view; empty when the recipe shows none."""
    drawn: tuple[int, ...] | None = None
    """Tokens that a model answered, in place of the item's answer: the one that ended it included, if it did. Only of
    the last turn, as nothing can follow."""

    @property
    def typed(self) -> bool:
        """Whether the query is typed under every view, also under one that speaks."""
        return bool(self.item.meta.get(TYPED))


@dataclass(frozen=True)
class Sound:
    """The first `num_samples` samples, at 16 kHz, of a sound file: what a question is about."""

    path: Path
    num_samples: int


@dataclass(frozen=True)
class Sample:
    """A conversation about one image, video or sound (or none): the unit that is trained on and answered."""

    turns: tuple[Turn, ...]
    image: Path | None = None
    independent: bool = False
    """Whether each turn sees the image and itself only, as if it were asked alone: several single questions about one
    image for the price of one image."""
    frames: tuple[Path, ...] = ()
    """Silent frames of the video, in order."""
    sound: Sound | None = None
    other_sound: Sound | None = None
    """Another item's sound, under `sound_swapped`."""
    part: str = ""
    """The part of a training that it is drawn for; empty where a training has none."""

    @property
    def key(self) -> str:
        """Id of the first turn's item."""
        return self.turns[0].item.id


def clips_of(sample: Sample, view: View) -> int:
    """How many clips and sounds are heard of `sample` under `view`."""
    spec = view_spec(view)
    spoken = sum(not turn.typed for turn in sample.turns) if spec.query == "speech" else 0
    return spoken + (spec.context in HEARD)
