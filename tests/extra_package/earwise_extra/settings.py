"""What recipes may say of them; imports without torch."""

from typing import ClassVar, Literal

from pydantic import Field

from earwise.recipe.speech import EngineSettings
from earwise.recipe.terms import TermSettings


class NormTerm(TermSettings):
    """Keeps the states of one layer small."""

    makes: ClassVar[str] = "earwise_extra.norm:Norm"

    type: Literal["norm"]
    layer: int = Field(default=1, ge=1)


class TonesEngine(EngineSettings):
    """A tone for each word."""

    makes: ClassVar[str] = "earwise_extra.tones:Tones"

    type: Literal["tones"]
    octave: int = 0
