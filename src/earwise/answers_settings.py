"""The schema of `[answers]`: a model writes the answers that trainings learn from."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from earwise.model_settings import BASE
from earwise.records import NonEmpty
from earwise.schema import MODEL, Count, Seed, Settings


class Answers(Settings):
    """What a model answers to items under a typed view, in place of their gold answers: the item file `written`."""

    items: NonEmpty = "train"
    """Item file of the data folder, without its ending; its clips are those of the written items."""
    view: Literal["image_text", "video_text", "sound_text", "description_text", "text_only"] = "image_text"
    """What the model sees."""
    model: Annotated[NonEmpty, MODEL] = BASE
    """Who answers: `base`, which is the recipe's base before any training, or another model's folder or hub id."""
    max_new_tokens: Count
    """Of an answer, stop token included; an answer that does not end by then is dropped."""
    temperature: float = Field(default=0.0, ge=0)
    """Divides the logits; 0 is greedy."""
    seed: Seed = 0
    """Of the draws; without effect on greedy answers."""
    batch_size: Count = 16

    speed_only: ClassVar[frozenset[str]] = frozenset({"batch_size"})
