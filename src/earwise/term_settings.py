"""The schema of terms that compare more of two models than their outputs."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import Field, model_validator

from earwise.records import NonEmpty, View
from earwise.schema import Count, Settings


class TaughtTerm(Settings):
    """What every term with a teacher says."""

    weight: float = Field(ge=0)
    teacher: NonEmpty = "self"
    """`self` (same weights), `snapshot` (frozen copy of the student at the start), or the folder or hub id of another
    model; also the folder of a teacher's stored states."""
    view: View = "image_text"
    """What the teacher sees."""


class LayerMapTerm(TaughtTerm):
    """Each layer of the student with a layer of a teacher of any depth and width, at the response tokens."""

    type: Literal["layer_map"]
    every: Count = 1
    """Student layers that are compared: each, or each k-th."""
    space: Literal["logit_lens", "cosine", "cka"] = "logit_lens"
    """`logit_lens`: JSD of what each model's own final norm and head make of its layers, in nats. `cosine`: 1 - cosine
    after a learned projection of the student's states. `cka`: 1 - linear centred kernel alignment over the batch."""
    reduce: Literal["sum", "mean"] = "sum"
    """Over the compared layers."""


class AcousticTerm(TaughtTerm):
    """The student's states where it hears, against those of a copy of itself that was frozen before training."""

    type: Literal["acoustic"]
    distance: Literal["squared", "cosine"] = "squared"
    """`squared`: squared distance relative to the teacher's squared norm. `cosine`: 1 - cosine."""

    @model_validator(mode="after")
    def _not_itself(self) -> Self:
        if self.teacher == "self":
            raise ValueError("a model's own states cannot hold it in place: set teacher = 'snapshot'")
        return self
