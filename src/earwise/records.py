"""The records that pass between stages. Each is immutable, strictly typed and has a JSON form.

An `Item` is a question with its gold answer and media; a `Clip` is one spoken rendering of an item's query; a `Trace`
is one answer with its reasoning; a `Verdict` is a checker's decision on a trace; a `Score` is one item under one view
by one model. Paths in records are relative to the file that holds the record, so that a data folder can be moved.
"""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, JsonValue, model_validator

from earwise.views import View as View

SAMPLE_RATE_HZ = 16_000
"""Every waveform in earwise is mono at this rate; other rates are resampled once, when a file is read."""

NonEmpty = Annotated[str, Field(min_length=1)]


class Record(BaseModel):
    """Base of all records: unknown fields are errors, values are not coerced, instances are immutable."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, ser_json_inf_nan="constants")

    @property
    def key(self) -> str:
        """What the record is stored under; two records of one kind with the same key are the same record."""
        raise NotImplementedError

    def to_json(self) -> str:
        """One line of JSON that `from_json` reads back to an equal record."""
        return self.model_dump_json()

    @classmethod
    def from_json(cls, line: str | bytes) -> Self:
        """Parse one line of JSON; raises `pydantic.ValidationError` on a wrong schema."""
        return cls.model_validate_json(line)


class Item(Record):
    """A question with its gold answer and media. No rendering, no modality decided.

    `instruction` is typed before the query under every view ("repeat the speech"); `suffix` is the answer-format
    request ("Answer with a single word"), kept apart so that speaking it or not is a choice; `cluster` is the unit that
    is resampled in every interval, usually the image.
    """

    id: NonEmpty
    source: NonEmpty
    """Benchmark or data set that the item belongs to, e.g. `mme`."""
    question: str
    answers: tuple[NonEmpty, ...] = Field(min_length=1)
    """Accepted gold answers, with multiplicity where annotators are counted; the first one is the training target."""
    choices: tuple[NonEmpty, ...] = ()
    image: str | None = None
    audio: str | None = None
    video: str | None = None
    cluster: NonEmpty
    kind: str = ""
    """Question kind, MME category, relation name...: what results are broken down by."""
    instruction: str = ""
    suffix: str = ""
    meta: dict[str, JsonValue] = {}

    @property
    def key(self) -> str:
        """The id."""
        return self.id


class Clip(Record):
    """One spoken rendering of one item's query: a mono 16 kHz WAV file and how it was made."""

    item: NonEmpty
    """Id of the item whose query is spoken."""
    spoken: NonEmpty
    """The spoken form that was given to the engine."""
    form_version: NonEmpty
    engine: NonEmpty
    """Engine name and version, e.g. `espeak-ng 1.52`."""
    voice: NonEmpty
    rate: float = Field(gt=0)
    """Words per minute, whatever the engine; 175 is normal."""
    pitch: float
    seed: int
    path: NonEmpty
    num_samples: int = Field(gt=0)
    sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
    """Of the 16-bit samples, not of the file."""

    @property
    def key(self) -> str:
        """Item and voice."""
        return f"{self.item}@{self.voice}"

    @property
    def duration_s(self) -> float:
        """Length in seconds."""
        return self.num_samples / SAMPLE_RATE_HZ


class Trace(Record):
    """One answer, with its reasoning, by one model under one view."""

    item: NonEmpty
    model: NonEmpty
    view: View
    sample: int = Field(ge=0)
    """Which of the n samples of this item it is."""
    text: str
    outcome: Literal["ok", "missing", "doubled", "unclosed", "empty"]
    """How the think/answer format was parsed; only `ok` traces have an answer."""
    reasoning: str | None = None
    answer: str | None = None
    finish_reason: str = ""

    @property
    def key(self) -> str:
        """Item, model, view and sample."""
        return f"{self.item}|{self.model}|{self.view}|{self.sample}"

    @model_validator(mode="after")
    def _answer_iff_ok(self) -> Self:
        if (self.outcome == "ok") != (self.answer is not None):
            raise ValueError(f"outcome is {self.outcome!r} but answer is {self.answer!r}")
        return self


class Verdict(Record):
    """A checker's decision on a trace, or on one claim of it, with the reason."""

    trace: NonEmpty
    checker: NonEmpty
    accepted: bool
    reason: str
    claim: str | None = None

    @property
    def key(self) -> str:
        """Trace, checker and claim."""
        return f"{self.trace}|{self.checker}|{self.claim or ''}"


class Prediction(Record):
    """What a model answered to one item under one view."""

    item: NonEmpty
    source: NonEmpty
    model: NonEmpty
    view: View
    text: str
    voice: str | None = None
    """Voice of the clip, under a view that speaks."""
    heard: str | None = None
    """The transcript that was read, under a view of `TRANSCRIPT_VIEWS`."""

    @property
    def key(self) -> str:
        """Source, item, view and model."""
        return f"{self.source}|{self.item}|{self.view}|{self.model}"


class Score(Record):
    """One item, one view, one model. An answer that could not be parsed has `invalid` set and counts as wrong."""

    item: NonEmpty
    source: NonEmpty
    model: NonEmpty
    view: View
    cluster: NonEmpty
    kind: str = ""
    prediction: str
    value: float = Field(ge=0, le=1)
    invalid: bool
    profile: NonEmpty = "strict"
    voice: str | None = None
    """Voice of the clip, under a view that speaks."""
    heard: str | None = None
    """The transcript that was read, under a view of `TRANSCRIPT_VIEWS`."""

    @property
    def key(self) -> str:
        """Source, item, view and model."""
        return f"{self.source}|{self.item}|{self.view}|{self.model}"

    @model_validator(mode="after")
    def _invalid_is_wrong(self) -> Self:
        if self.invalid and self.value != 0:
            raise ValueError(f"an invalid answer counts as wrong, but value is {self.value}")
        return self
