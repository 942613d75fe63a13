"""What the parts of a summary are made of."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

Share = Annotated[float, Field(ge=0, le=1)]
Interval = tuple[float, float]


class Part(BaseModel):
    """Base of the parts of a summary: immutable, values not coerced, no NaN, no other keys."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False, defer_build=True)


class Excerpt(Part):
    """What is read of a file that holds more."""

    model_config = ConfigDict(extra="ignore")
