"""The schema of `[speech]`, `[conditions]` and `[gate]`: engines, voices, delivery, and the quality of clips."""

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
    """Common settings of engines. `makes` returns an `earwise.speech.engine.SpeechEngine`."""

    registry: ClassVar[str] = "earwise.engines"


class EspeakSettings(EngineSettings):
    """The offline espeak-ng engine."""

    makes: ClassVar[str] = "earwise.speech.espeak:EspeakEngine"

    type: Literal["espeak"]


class FliteSettings(EngineSettings):
    """The offline program flite, which must be installed."""

    makes: ClassVar[str] = "earwise.speech.flite:FliteEngine"

    type: Literal["flite"]


class FestivalSettings(EngineSettings):
    """The offline program festival, which must be installed."""

    makes: ClassVar[str] = "earwise.speech.festival:FestivalEngine"

    type: Literal["festival"]


class HuggingFaceSettings(EngineSettings):
    """Any text-to-speech model that `transformers` loads."""

    makes: ClassVar[str] = "earwise.speech.huggingface:open_huggingface"

    type: Literal["huggingface"]
    model: Annotated[NonEmpty, ENCODER]
    """Folder or hub id."""
    revision: str | None = None


class OpenAISettings(EngineSettings):
    """Any OpenAI-compatible speech endpoint."""

    makes: ClassVar[str] = "earwise.speech.endpoint:open_endpoint"

    type: Literal["openai"]
    base_url: Address
    model: NonEmpty
    api_key_env: Variable | None = None


BuiltInEngine = EspeakSettings | FliteSettings | FestivalSettings | HuggingFaceSettings | OpenAISettings
"""An installed package registers more as `earwise.engines`."""

ENGINES: Final = Kinds(EngineSettings, BuiltInEngine)
Engine = Annotated[
    Annotated[BuiltInEngine, Field(discriminator="type"), Tag(BUILT_IN)]
    | Annotated[SerializeAsAny[EngineSettings], WrapValidator(ENGINES.read), Tag(PLUGIN)],
    Discriminator(ENGINES.tag),
]


class Perturb(Settings):
    """Perturbation of new clips; each given kind is applied to a clip with `probability`."""

    noise_snr_db: Range | None = None
    """Signal-to-noise ratio in dB."""
    speed: Range | None = None
    """Factor; 1 leaves the clip as it is."""
    reverb_rt60_s: Range | None = None
    """Reverberation time in seconds."""
    probability: Share


Voices = Annotated[int, Field(ge=1)] | Annotated[tuple[NonEmpty, ...], Field(min_length=1), AfterValidator(unique)]
"""The number of voices, chosen by the engine, or their names."""


class OtherSpeakers(Settings):
    """Another engine for a share of the training clips, so that ears do not adapt to the sound of one engine."""

    engine: Engine
    voices: Voices
    share: float = Field(gt=0, lt=1)
    """Probability for each training clip."""
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
    run. A test that draws more takes the rest from speakers that training did not draw.
    """
    rates_wpm: Range
    """Words per minute; each clip draws one rate from the range."""
    pitches: Range
    """espeak's scale of 0 to 99; 50 is the voice's own."""
    seed: Seed = 0
    workers: Count | None = None
    """Number of workers; one per core when absent."""
    others: tuple[OtherSpeakers, ...] = ()
    """Additional engines for training clips."""
    perturb: Perturb | None = None
    """Of training clips."""
    test_perturb: Perturb | None = None
    """Of benchmark clips: a test of robustness."""

    speed_only: ClassVar[frozenset[str]] = frozenset({"workers"})


class Condition(Settings):
    """Other clips of the benchmarks, for the same models and questions; nothing is trained on them."""

    engine: Engine | None = None
    """The engine of `[speech]` when absent."""
    voices: Voices | None = None
    """The test voices of `[speech]` when absent; another engine needs voices of its own."""
    rates_wpm: Range | None = None
    """Those of `[speech]` when absent."""
    pitches: Range | None = None
    """Those of `[speech]` when absent."""
    perturb: Perturb | None = None
    """Perturbation of these clips; none when absent, even if `[speech]` has one."""
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
    """`count` and `off` for `true` and `false`."""
    return {True: "count", False: "off"}[value] if isinstance(value, bool) else value


class Gate(Settings):
    """Failed clips are kept and counted by reason; results are reported with and without them."""

    asr: Asr | None = None
    """Transcribes every clip; without it, only the signal is judged."""
    max_wer: float = Field(default=0.05, ge=0)
    """Word error rate of the round trip."""
    recovered: bool = True
    """Whether numbers, option letters and quoted strings must be recognised, at any word error rate."""
    rates_wpm: Range = (60.0, 400.0)
    """Words per minute from the first sound to the last."""
    max_silence: Share = 0.5
    """Share of the clip before the first sound and after the last."""
    max_clipped: Share = 0.001
    """Share of the samples at full scale."""
    train: Annotated[Literal["off", "count", "leave_out"], BeforeValidator(_use)] = "off"
    """Clips of training files: not judged, judged and counted, or failed ones left out of all training runs. `true` is
    `count`, `false` is `off`.
    """

    def for_stage(self) -> dict[str, JsonValue]:
        """The settings of judging, without the use in training."""
        return {**super().for_stage(), "train": self.train != "off"}
