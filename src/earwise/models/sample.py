"""Samples: conversations with all that is needed to show them under any view."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from earwise.data.meta import TYPED
from earwise.records import Item
from earwise.views import HEARD, View, view_spec


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
