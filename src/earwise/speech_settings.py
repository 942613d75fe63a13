"""The schema of `[speech]`: who speaks the queries, and how."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import AfterValidator, Field

from earwise.records import NonEmpty
from earwise.schema import Count, Range, Settings, Share, unique


class EspeakEngine(Settings):
    """The offline espeak-ng engine."""

    type: Literal["espeak"]


class HuggingFaceEngine(Settings):
    """Any text-to-speech model that `transformers` loads."""

    type: Literal["huggingface"]
    model: NonEmpty
    """Folder or hub id."""
    revision: str | None = None


class OpenAIEngine(Settings):
    """Any OpenAI-compatible speech endpoint."""

    type: Literal["openai"]
    base_url: NonEmpty
    model: NonEmpty
    api_key_env: str | None = None
    """Name of the environment variable that holds the key; a key itself never stands in a recipe."""


class Perturb(Settings):
    """Perturbation of clips when they are made; each kind that is given is applied to a clip with `probability`."""

    noise_snr_db: Range | None = None
    """Signal-to-noise ratio in dB."""
    speed: Range | None = None
    """Factor; 1 leaves the clip as it is."""
    reverb_rt60_s: Range | None = None
    """Reverberation time in seconds."""
    probability: Share


Voices = Annotated[int, Field(ge=1)] | Annotated[tuple[NonEmpty, ...], Field(min_length=1), AfterValidator(unique)]
"""How many voices the engine chooses, or their names."""


class Speech(Settings):
    """How queries are spoken. Training voices and test voices are disjoint."""

    engine: Annotated[EspeakEngine | HuggingFaceEngine | OpenAIEngine, Field(discriminator="type")]
    train_voices: Voices
    test_voices: Voices
    rates_wpm: Range
    """Words per minute; one rate is drawn from the range for each clip."""
    pitches: Range
    """espeak's scale of 0 to 99, 50 is the voice's own."""
    seed: int = 0
    workers: Count | None = None
    """Workers that speak; one per core when absent."""
    perturb: Perturb | None = None
    """Of training clips."""
    test_perturb: Perturb | None = None
    """Of benchmark clips: a test of robustness."""

    speed_only: ClassVar[frozenset[str]] = frozenset({"workers"})
