"""Samples: conversations with everything that any view shows of them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from earwise.data.meta import CUT, TYPED
from earwise.records import Item
from earwise.views import HEARD, View, view_spec


@dataclass(frozen=True)
class Turn:
    """One question with everything that any view shows of it."""

    item: Item
    text: str
    """The query as typed: question and options, without the instruction and the suffix."""
    clip: Path | None = None
    """The spoken query, a WAV file."""
    num_samples: int = 0
    """Length of the clip."""
    spoken: str | None = None
    """The spoken form, from the clip's record; it holds the answer-format request where that is spoken."""
    silenced: bool = False
    """Whether silence of the clip's length is heard in its place."""
    heard: str | None = None
    """The transcript of the clip."""
    description: str | None = None
    """Text in place of the sound that the question is about. Only the first turn's description is shown."""
    suffix: str = ""
    """Answer-format request that stays typed under every view; empty when the recipe shows none."""
    drawn: tuple[int, ...] | None = None
    """Sampled tokens that replace the item's answer, with the stop token if there was one. Only the last turn can have
    them."""

    @property
    def typed(self) -> bool:
        """Whether the query is typed under every view, spoken views included."""
        return bool(self.item.meta.get(TYPED))

    @property
    def cut(self) -> bool:
        """Whether a limit cut the answer, so that no end of turn follows it."""
        return bool(self.item.meta.get(CUT))


@dataclass(frozen=True)
class Sound:
    """The first `num_samples` samples, at 16 kHz, of the sound file that a question is about."""

    path: Path
    num_samples: int


@dataclass(frozen=True)
class Sample:
    """A conversation about one image, video or sound (or none): the unit of training and answering."""

    turns: tuple[Turn, ...]
    image: Path | None = None
    independent: bool = False
    """Whether each turn sees only the image and itself. Several single questions then share the cost of one image."""
    frames: tuple[Path, ...] = ()
    """Silent frames of the video, in order."""
    sound: Sound | None = None
    other_sound: Sound | None = None
    """Another item's sound, under `sound_swapped`."""
    further_images: tuple[Path, ...] = ()
    """Pictures behind `image`."""
    system: str = ""
    """Text of a system message; empty for what the chat template says by itself."""
    part: str = ""
    """The part of the training run that it is drawn for; empty for a run without parts."""

    @property
    def key(self) -> str:
        """Id of the first turn's item."""
        return self.turns[0].item.id


def clips_of(sample: Sample, view: View) -> int:
    """Number of clips and sounds that `view` plays of `sample`."""
    spec = view_spec(view)
    spoken = sum(not turn.typed for turn in sample.turns) if spec.query == "speech" else 0
    return spoken + (spec.context in HEARD)
