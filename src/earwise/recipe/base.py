"""The schema of `[base]`: a small model trained from scratch, with the checks across its keys."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Annotated, Final, Literal

from pydantic import AfterValidator, Field

from earwise.recipe.table import ENCODER, Count, Name, Settings, Share, unique
from earwise.recipe.train import Optimisation
from earwise.records import NonEmpty, View


class BasePhase(Optimisation):
    """One phase of a base's training: the shares of a batch; the rest are questions about images. With `files`, all of
    it comes from item files.
    """

    files: dict[Name, Share] = Field(default={})
    """Item files of the data folder, without their ending, with their shares of the conversations, which sum to 1.
    Items of one cluster are one conversation.
    """
    copy_share: Share = 0.0
    """Conversations without an image that copy a given text: ears are aligned through this skill."""
    stretch: Count = 1
    """Each word of a text to copy is repeated 1 to `stretch` times, as speech draws words out."""
    stretch_share: Share = 1.0
    """Share of these texts that are stretched."""
    scan_share: Share = 0.0
    """Requests to name everything in an image, cell by cell: the quickest way to see."""
    independent: Share = 0.0
    """Share of the images, videos or sounds whose questions are asked independently, as in a test; the others are
    dialogues, in which earlier turns can also help to answer a question.
    """
    view: Literal["text_only"] | None = None
    """What this phase shows: the view of `[base]` when absent, or `text_only`."""
    dialogues: Annotated[tuple[Name, ...], AfterValidator(unique)] = ()
    """Those of `files` that are always dialogues, with any `independent`."""
    scan_along: Share = 0.0
    """Share of the images with independent questions for which everything must also be named, cell by cell."""
    open_only: bool = False
    """Leave out questions with the answer yes, no or an option letter."""
    kinds: Annotated[tuple[NonEmpty, ...], AfterValidator(unique)] = ()
    """Only questions of these kinds; of all kinds when absent."""
    shortest_first: bool = False
    """Whether conversations are sorted by length."""


class Base(Settings):
    """Training of a small model of a real architecture from scratch, in phases."""

    family: Literal["internvl", "qwen2_vl", "qwen2_audio", "causal_lm"]
    """`causal_lm` is a text model, of the Qwen3 architecture."""
    view: Literal["image_text", "video_text", "sound_text", "description_text"] = "image_text"
    """What it sees."""
    vocabulary: Literal["scenes", "sounds", "feelings"] = "scenes"
    """Words of the picture laboratory, of the sound laboratory with words for reasoning, or of the laboratory of
    feelings, which adds to those of sounds.
    """
    width: Count
    feed_forward: Count
    """Width of the feed-forward layers."""
    layers: Count
    heads: Count
    key_value_heads: Count
    vision_width: Count | None = None
    """Vision sizes are required if the family sees."""
    vision_feed_forward: Count | None = None
    vision_layers: Count | None = None
    vision_heads: Count | None = None
    image_size: Count | None = None
    """Height and width of an image or a frame in pixels, a multiple of 16: 16 x 16 pixels are one token; 64 when
    absent.
    """
    audio_width: Count | None = None
    """Audio sizes are required if the family hears."""
    audio_feed_forward: Count | None = None
    audio_layers: Count | None = None
    audio_heads: Count | None = None
    mel_bins: Count | None = None
    tower: Annotated[NonEmpty | None, ENCODER] = None
    """The Whisper checkpoint of the initial audio tower, which replaces the audio sizes: `whisper-micro`, which comes
    with the package, a folder, or a hub id. It is trained with the rest.
    """
    phases: Annotated[tuple[BasePhase, ...], Field(min_length=1)]

    @property
    def hears(self) -> bool:
        """Whether the family hears natively."""
        return self.family == "qwen2_audio"

    @property
    def sees(self) -> bool:
        """Whether the family sees."""
        return self.family in ("internvl", "qwen2_vl")


_VISION: Final = ("vision_width", "vision_feed_forward", "vision_layers", "vision_heads")
_AUDIO: Final = ("audio_width", "audio_feed_forward", "audio_layers", "audio_heads", "mel_bins")
_PIXELS_PER_TOKEN: Final = 16
_OF_SCENES: Final = ("copy_share", "stretch", "stretch_share", "scan_share", "scan_along")
"""Keys of a phase for the picture laboratory."""


def base_disagreements(base: Base) -> Iterator[tuple[str, str]]:
    """Dotted keys of `[base]` that contradict each other, with the reason."""
    yield from _sizes(base)
    wanted: tuple[View, ...] = ("sound_text",) if base.hears else ("description_text",)
    if base.sees:
        wanted = ("image_text", "video_text", "description_text")
    if base.view not in wanted:
        only = "sees and reads" if base.sees else "hears" if base.hears else "reads"
        named = " or ".join(f"'{view}'" for view in wanted)
        yield "base.view", f"a base of the family '{base.family}' is shown {named}, as it only {only}"
    for number, phase in enumerate(base.phases):
        yield from _phase(base, phase, f"base.phases.{number}")


def _sizes(base: Base) -> Iterator[tuple[str, str]]:
    vision = (*_VISION, "image_size")
    heard = () if base.tower is not None else _AUDIO
    needed: tuple[str, ...] = _VISION if base.sees else heard if base.hears else ()
    useless = (*_AUDIO, "tower") if base.sees else vision if base.hears else (*vision, *_AUDIO, "tower")
    for key in needed:
        if getattr(base, key) is None:
            yield f"base.{key}", f"missing key, which the family '{base.family}' needs"
    for key in useless:
        if getattr(base, key) is not None:
            yield f"base.{key}", f"has no effect on the family '{base.family}'"
    for key in _AUDIO if base.hears and base.tower is not None else ():
        if getattr(base, key) is not None:
            yield f"base.{key}", f"has no effect beside base.tower: the sizes of hearing are those of {base.tower!r}"
    if base.image_size is not None and base.image_size % _PIXELS_PER_TOKEN:
        yield "base.image_size", f"{base.image_size} is not a multiple of {_PIXELS_PER_TOKEN} pixels"
    for part, heads in (("width", "heads"), ("vision_width", "vision_heads"), ("audio_width", "audio_heads")):
        width, count = getattr(base, part), getattr(base, heads)
        if width and count and width % count:
            yield f"base.{heads}", f"{part} {width} is not a multiple of {count}"


def _phase(base: Base, phase: BasePhase, key: str) -> Iterator[tuple[str, str]]:
    if unknown := [name for name in phase.dialogues if name not in phase.files]:
        yield f"{key}.dialogues", f"not among files: {', '.join(unknown)}"
    if phase.files:
        total = math.fsum(phase.files.values())
        if not math.isclose(total, 1.0, abs_tol=1e-6):
            yield f"{key}.files", f"the shares sum to {total:g}, not to 1"
        for name in _OF_SCENES:
            if getattr(phase, name) != BasePhase.model_fields[name].default:
                yield f"{key}.{name}", "has no effect where the phase names its files"
    elif base.view != "image_text":
        yield f"{key}.files", f"missing key: without it a phase asks about images, and the base is shown {base.view}"
    elif base.vocabulary != "scenes":
        yield (
            f"{key}.files",
            f"missing key: without it a phase asks about scenes, in other words than '{base.vocabulary}'",
        )
