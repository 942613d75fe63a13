"""The schema of teachers beside the data: `[traces]`, `[verify]`, `[descriptions]` and `[answers]`."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal, Self

from pydantic import AfterValidator, Field, model_validator

from earwise.recipe.model import BASE
from earwise.recipe.table import (
    MODEL,
    Address,
    AskedPrecision,
    Count,
    NamesModel,
    Seed,
    Settings,
    Share,
    Variable,
    unique,
)
from earwise.records import NonEmpty

Seconds = Annotated[float, Field(gt=0)]
Money = Annotated[float, Field(ge=0)]


class LocalModel(Settings):
    """A model that `earwise.models` loads."""

    type: Literal["local"]
    model: Annotated[NonEmpty, MODEL]
    """Shipped name, folder or hub id."""
    ears: Annotated[str | None, NamesModel(files=("ears.json",), hub=False, kind="ears")] = None
    """Folder of ears, for a base that does not hear natively."""
    revision: str | None = None
    batch_size: Count = 8
    replicas: Count = 1
    """Copies of the model, each in a worker of its own."""

    speed_only: ClassVar[frozenset[str]] = frozenset({"batch_size", "replicas"})


class ModelServer(Settings):
    """Any OpenAI-compatible chat server."""

    type: Literal["server"]
    base_url: Address
    model: NonEmpty
    api_key_env: Variable | None = None
    frames_as: Literal["images", "video"] = "images"
    """`video` sends frames as one video, for vLLM; `images` works everywhere."""
    concurrency: Count = 16
    timeout_s: Seconds = 300.0
    max_attempts: Count = 6
    prompt_price: Money = 0.0
    """Per million tokens; costs are reported in the same currency."""
    completion_price: Money = 0.0

    speed_only: ClassVar[frozenset[str]] = frozenset(
        {"base_url", "api_key_env", "concurrency", "timeout_s", "max_attempts", "prompt_price", "completion_price"}
    )


Generator = Annotated[LocalModel | ModelServer, Field(discriminator="type")]


class VideoFrames(Settings):
    """The frames that a teacher sees: `count`, or `fps` per second and at most `count`."""

    count: Count = 8
    fps: Seconds | None = None
    longest_side: Count | None = None
    """Larger frames are scaled down to this size, in pixels."""


class Traces(Settings):
    """A teacher sees the silent video of each item and reasons n times about what must be heard."""

    teacher: Generator
    items: NonEmpty = "train"
    """Item file of the data folder, without its ending."""
    system: str | None = None
    """The system prompt; our text about what can be heard when absent, none when empty."""
    request: str | None = None
    """The text after the question; our request for the think/answer format when absent, none when empty."""
    n: Count = 4
    max_tokens: Count = 512
    temperature: float = Field(default=1.0, ge=0)
    top_p: float = Field(default=1.0, gt=0, le=1)
    seed: Seed = 0
    frames: VideoFrames = VideoFrames()
    agreement: Literal["unanimous", "majority"] = "unanimous"
    threshold: Share | None = None
    """Least share of the n samples, with `majority` only."""

    @model_validator(mode="after")
    def _threshold_with_majority(self) -> Self:
        if (self.agreement == "majority") != (self.threshold is not None):
            raise ValueError("threshold belongs to agreement 'majority' and is required there")
        if self.threshold == 0:
            raise ValueError("threshold must be above 0")
        return self


class TrustBar(Settings):
    """What the lower end of each 95 % interval must reach before a checker may filter."""

    precision: Share = 0.8
    recall: Share = 0.5
    accuracy: Share = 0.7


class Verify(Settings):
    """A checker hears each item's sound and reads the chains about it."""

    checker: Generator
    method: Literal["ask", "describe"] = "ask"
    """`ask` asks the checker about each statement, yes or no, as published. With `describe` it lists once per sound
    what it hears, and a statement holds if it is in this list: for chains of a closed grammar. This also shows
    omissions.
    """
    request: NonEmpty = "Write down everything that you hear, in order."
    """The request of `describe`."""
    unit: Literal["chain", "claim"] = "chain"
    """Whether a chain is judged as a whole, as published, or claim by claim."""
    agreed_only: bool = True
    """Whether only traces that the agreement kept are judged."""
    max_tokens: Count = 64
    known: NonEmpty = "known.jsonl"
    """File with true chains, one per sound: in the data folder, or else a path."""
    words: Annotated[tuple[NonEmpty, ...], AfterValidator(unique)] = ()
    """Words of a closed vocabulary that exclude each other (kinds of sounds): one replaces another."""
    orders: tuple[tuple[NonEmpty, NonEmpty], ...] = ()
    """Pairs of words that are exchanged, such as ["before", "after"]."""
    foreign: bool = True
    """Whether a chain is replaced by that of another sound."""
    added: bool = True
    """Whether a claim of another sound's chain is added."""
    bar: TrustBar = TrustBar()
    seed: Seed = 0

    @model_validator(mode="after")
    def _claims_are_described(self) -> Self:
        if self.method == "describe" and self.unit != "claim":
            raise ValueError("method 'describe' compares claims: set unit to 'claim'")
        return self

    @model_validator(mode="after")
    def _something_is_corrupted(self) -> Self:
        if not (self.words or self.orders or self.foreign or self.added):
            raise ValueError("no corruption is left, so the checker could not be measured")
        return self


class _Descriptions(Settings):
    items: Annotated[tuple[NonEmpty, ...], AfterValidator(unique)] = ("train",)
    """Item files of the data folder whose sounds are described, without their ending. Benchmarks are described if
    `description_text` is among `evaluate.views`.
    """


class ByModel(_Descriptions):
    """A model listens to each sound once and describes it greedily, without the question."""

    by: Literal["model"]
    model: Generator
    request: NonEmpty = (
        "Describe this recording for somebody who cannot hear it. Say which sounds there are and in which order, "
        "write down what is spoken and how it is spoken, and name instruments, tempo and mood of music."
    )
    """The prompt."""
    max_tokens: Count = 256
    """Longest description."""


class ByCaption(_Descriptions):
    """The CAPTION block of the item's own answer, in the format of Audio-Reasoner."""

    by: Literal["caption"]


class ByMeta(_Descriptions):
    """Transcript and tags from the item's `meta`."""

    by: Literal["meta"]
    transcript: NonEmpty = "transcript"
    """Key of the spoken words, a text."""
    tags: NonEmpty = "tags"
    """Key of other sounds, a text or a list of texts."""


Descriptions = Annotated[ByModel | ByCaption | ByMeta, Field(discriminator="by")]


class Answers(Settings):
    """A model's answers to items under a typed view, in place of their gold answers: the item file `written`."""

    items: NonEmpty = "train"
    """Item file of the data folder, without its ending; `written` uses its clips."""
    view: Literal["image_text", "video_text", "sound_text", "description_text", "text_only"] = "image_text"
    """What the model sees."""
    model: Annotated[NonEmpty, MODEL] = BASE
    """The model: `base`, the recipe's base before any training, or another model's folder or hub id."""
    max_new_tokens: Count
    """Tokens of an answer, with the stop token; a longer one is learned as far as it goes."""
    temperature: float = Field(default=0.0, ge=0)
    """Divides the logits; 0 is greedy."""
    seed: Seed = 0
    """Seed of the sampling; no effect on greedy answers."""
    batch_size: Count = 16
    precision: AskedPrecision = "auto"
    """Of the passes, as in `Optimisation`."""

    speed_only: ClassVar[frozenset[str]] = frozenset({"batch_size"})
