"""Views: which modality carries the context and which carries the query.

A view is decided per item when it is shown to a model, never in the data. `VIEWS` is the whole vocabulary; adding a
view is adding a row.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

from earwise.errors import InputError

View = Literal[
    "image_text",
    "image_spoken_form",
    "image_speech",
    "image_transcript",
    "transcript_only",
    "video_text",
    "video_speech",
    "sound_text",
    "description_text",
    "speech_only",
    "text_only",
    "sound_off",
    "sound_swapped",
]
"""How an item is shown to a model: which modality carries the context and which the query."""

Query = Literal["text", "spoken_form", "speech", "transcript"]
"""How a question is asked: as it is written, as the spoken form that the engine was given (typed), as a clip, or as a
transcript of the clip (typed), by the model itself or by a recogniser.
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
    "transcript_only": ViewSpec("none", "transcript"),
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


TRANSCRIPT_VIEWS: Final = frozenset(view for view, spec in VIEWS.items() if spec.query == "transcript")
"""Views under which a transcript of the clip is read: cascades."""
SPOKEN_VIEWS: Final = frozenset(view for view in VIEWS if is_spoken(view))
"""Views under which the question is heard."""
CLIP_VIEWS: Final = frozenset(view for view, spec in VIEWS.items() if spec.query != "text")
"""Views that need a clip of the question: to be heard, or for its spoken form."""
DESCRIBED_VIEWS: Final = frozenset(view for view, spec in VIEWS.items() if spec.context == "description")
"""Views that show a text in the place of the sound."""
