"""The schema of `[speech]`, `[conditions]` and `[gate]`: who speaks, how, and which clips are good enough."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Final, Literal

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Discriminator,
    Field,
    JsonValue,
    SerializeAsAny,
    Tag,
    WrapValidator,
)

from earwise.recipe.plugged import BUILT_IN, PLUGIN, Kinds, Plugged
from earwise.recipe.table import ENCODER, Address, Count, Name, Range, Seed, Settings, Share, Variable, unique
from earwise.records import NonEmpty


class EngineSettings(Plugged):
    """What every engine says. Its `makes` gives a `earwise.speech.engine.SpeechEngine` for the settings."""

    registry: ClassVar[str] = "earwise.engines"


class EspeakEngine(EngineSettings):
    """The offline espeak-ng engine."""

    makes: ClassVar[str] = "earwise.speech.espeak:EspeakEngine"

    type: Literal["espeak"]


class FliteEngine(EngineSettings):
    """The offline program flite, which must be installed."""

    makes: ClassVar[str] = "earwise.speech.flite:FliteEngine"

    type: Literal["flite"]


class FestivalEngine(EngineSettings):
    """The offline program festival, which must be installed."""

    makes: ClassVar[str] = "earwise.speech.festival:FestivalEngine"

    type: Literal["festival"]


class HuggingFaceEngine(EngineSettings):
    """Any text-to-speech model that `transformers` loads."""

    makes: ClassVar[str] = "earwise.speech.huggingface:open_huggingface"

    type: Literal["huggingface"]
    model: Annotated[NonEmpty, ENCODER]
    """Folder or hub id."""
    revision: str | None = None


class OpenAIEngine(EngineSettings):
    """Any OpenAI-compatible speech endpoint."""

    makes: ClassVar[str] = "earwise.speech.endpoint:open_endpoint"

    type: Literal["openai"]
    base_url: Address
    model: NonEmpty
    api_key_env: Variable | None = None


BuiltInEngine = EspeakEngine | FliteEngine | FestivalEngine | HuggingFaceEngine | OpenAIEngine
"""An installed package registers more as `earwise.engines`."""

ENGINES: Final = Kinds(EngineSettings, BuiltInEngine)
Engine = Annotated[
    Annotated[BuiltInEngine, Field(discriminator="type"), Tag(BUILT_IN)]
    | Annotated[SerializeAsAny[EngineSettings], WrapValidator(ENGINES.read), Tag(PLUGIN)],
    Discriminator(ENGINES.tag),
]


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

    engine: Engine
    voices: Voices
    share: float = Field(gt=0, lt=1)
    """Of the training clips, each decided by itself."""
    rates_wpm: Range | None = None
    """Those of `[speech]` when absent."""
    pitches: Range | None = None
    """Those of `[speech]` when absent."""


class Speech(Settings):
    """How queries are spoken. Training voices and test voices are disjoint."""

    engine: Engine
    train_voices: Voices
    test_voices: Voices
    reserved_voices: Count = 3
    """Speakers that are never drawn for training: the first that a test draws. So other test voices change no training
    run; a test that draws more takes the rest from speakers that training left."""
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

    engine: Engine | None = None
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


class Asr(Settings):
    """A speech recogniser that `transformers` loads: Whisper, or any CTC model."""

    model: Annotated[NonEmpty, ENCODER]
    """Folder or hub id."""
    revision: str | None = None
    batch_size: Count = 8

    speed_only: ClassVar[frozenset[str]] = frozenset({"batch_size"})


def _use(value: Any) -> Any:
    """`true` and `false` in words."""
    return {True: "count", False: "off"}[value] if isinstance(value, bool) else value


class Gate(Settings):
    """Clips that fail are kept, counted by reason, and results are reported with and without them."""

    asr: Asr | None = None
    """Writes down every clip; without it, only the samples are judged."""
    max_wer: float = Field(default=0.05, ge=0)
    """Word error rate of the round trip."""
    recovered: bool = True
    """Whether numbers, option letters and quoted strings must come back, whatever the word error rate."""
    rates_wpm: Range = (60.0, 400.0)
    """Words per minute from the first sound to the last."""
    max_silence: Share = 0.5
    """Share of the clip before the first sound and after the last."""
    max_clipped: Share = 0.001
    """Share of the samples at full scale."""
    train: Annotated[Literal["off", "count", "leave_out"], BeforeValidator(_use)] = "off"
    """Of the clips of the training files: they are not judged, judged and counted, or those that fail are left out of
    every training. `true` is `count`, `false` is `off`."""

    def for_stage(self) -> dict[str, JsonValue]:
        """What judging depends on: not what trainings do with the result."""
        return {**super().for_stage(), "train": self.train != "off"}
