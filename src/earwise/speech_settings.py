"""The schema of `[speech]` and `[conditions]`: who speaks the queries, and how."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import AfterValidator, Field

from earwise.records import NonEmpty
from earwise.schema import ENCODER, Address, Count, Name, Range, Seed, Settings, Share, Variable, unique


class EspeakEngine(Settings):
    """The offline espeak-ng engine."""

    type: Literal["espeak"]


class FliteEngine(Settings):
    """The offline program flite, which must be installed."""

    type: Literal["flite"]


class FestivalEngine(Settings):
    """The offline program festival, which must be installed."""

    type: Literal["festival"]


class HuggingFaceEngine(Settings):
    """Any text-to-speech model that `transformers` loads."""

    type: Literal["huggingface"]
    model: Annotated[NonEmpty, ENCODER]
    """Folder or hub id."""
    revision: str | None = None


class OpenAIEngine(Settings):
    """Any OpenAI-compatible speech endpoint."""

    type: Literal["openai"]
    base_url: Address
    model: NonEmpty
    api_key_env: Variable | None = None


Engine = EspeakEngine | FliteEngine | FestivalEngine | HuggingFaceEngine | OpenAIEngine


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


class OtherSpeakers(Settings):
    """Another engine that speaks a share of the training clips, so that ears do not learn the sound of one engine."""

    engine: Annotated[Engine, Field(discriminator="type")]
    voices: Voices
    share: float = Field(gt=0, lt=1)
    """Of the training clips, each decided by itself."""
    rates_wpm: Range | None = None
    """Those of `[speech]` when absent."""
    pitches: Range | None = None
    """Those of `[speech]` when absent."""


class Speech(Settings):
    """How queries are spoken. Training voices and test voices are disjoint."""

    engine: Annotated[Engine, Field(discriminator="type")]
    train_voices: Voices
    test_voices: Voices
    rates_wpm: Range
    """Words per minute; one rate is drawn from the range for each clip."""
    pitches: Range
    """espeak's scale of 0 to 99, 50 is the voice's own."""
    seed: Seed = 0
    workers: Count | None = None
    """Workers that speak; one per core when absent."""
    others: tuple[OtherSpeakers, ...] = ()
    """Engines beside `engine`, in training clips alone."""
    perturb: Perturb | None = None
    """Of training clips."""
    test_perturb: Perturb | None = None
    """Of benchmark clips: a test of robustness."""

    speed_only: ClassVar[frozenset[str]] = frozenset({"workers"})


class Condition(Settings):
    """Other clips of the benchmarks, on which the same models answer the same questions; nothing is trained on them."""

    engine: Annotated[Engine, Field(discriminator="type")] | None = None
    """Who speaks: that of `[speech]` when absent."""
    voices: Voices | None = None
    """The test voices of `[speech]` when absent; another engine needs voices of its own."""
    rates_wpm: Range | None = None
    """Those of `[speech]` when absent."""
    pitches: Range | None = None
    """Those of `[speech]` when absent."""
    perturb: Perturb | None = None
    """Of these clips; they are not perturbed when absent, whatever `[speech]` does."""
    benchmarks: Literal["all"] | Annotated[tuple[Name, ...], Field(min_length=1), AfterValidator(unique)] = "all"
    """`all` is every one of `[evaluate]`."""
    models: Literal["all"] | Annotated[tuple[Name, ...], Field(min_length=1), AfterValidator(unique)] = "all"
    """`all` is every model that `[evaluate]` asks."""
