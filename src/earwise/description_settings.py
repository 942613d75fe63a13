"""The schema of `[descriptions]`: how the sound of an item becomes text that a model without ears can read."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from earwise.records import NonEmpty
from earwise.schema import Count, Settings, unique
from earwise.traces_settings import Generator


class _Descriptions(Settings):
    items: Annotated[tuple[NonEmpty, ...], AfterValidator(unique)] = ("train",)
    """Item files of the data folder whose sounds are described, without their ending. Where `description_text` is among
    `evaluate.views`, the benchmarks are described, too."""


class ByModel(_Descriptions):
    """A model listens and describes, greedily and once for each sound; it is not told the question."""

    by: Literal["model"]
    model: Generator
    request: NonEmpty = (
        "Describe this recording for somebody who cannot hear it. Say which sounds there are and in which order, "
        "write down what is spoken and how it is spoken, and name instruments, tempo and mood of music."
    )
    """What it is asked."""
    max_tokens: Count = 256
    """Of a description."""


class ByCaption(_Descriptions):
    """The CAPTION block of the item's own answer, in the format of Audio-Reasoner."""

    by: Literal["caption"]


class ByMeta(_Descriptions):
    """Transcript and tags that the item carries in its `meta`."""

    by: Literal["meta"]
    transcript: NonEmpty = "transcript"
    """Key of the words that are spoken, a text."""
    tags: NonEmpty = "tags"
    """Key of what is heard beside them, a text or a list of texts."""


Descriptions = Annotated[ByModel | ByCaption | ByMeta, Field(discriminator="by")]
