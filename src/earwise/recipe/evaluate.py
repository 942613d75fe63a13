"""The schema of `[evaluate]`, `[attention]` and `[report]`: the questions to the models, and the report."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import AfterValidator, BeforeValidator, Field, JsonValue, model_validator

from earwise.io.limits import MAX_COUNT
from earwise.recipe.speech import Asr
from earwise.recipe.table import Count, Name, Seed, Session, Settings, Share, unique
from earwise.records import NonEmpty
from earwise.views import SPOKEN_VIEWS, View

AttentionView = Literal["image_text", "image_spoken_form", "image_speech", "text_only", "speech_only"]
"""Views for measuring attention: they show a picture or nothing, and need no transcript."""


class MMAlign(Settings):
    """How MMAlign's items are drawn from ARO's files."""

    count: Literal["all"] | Count = 300
    """Items of each file."""
    seed: Seed = 0
    crop: Literal["box", "full"] = "box"
    """The box of the case, as ARO shows it, or the whole picture."""
    symmetric: Literal["leave_out", "keep"] = "leave_out"
    """Symmetric relations, for which both captions are right."""


class Iemocap(Settings):
    """The tested sessions of IEMOCAP, which must not be used for training."""

    sessions: Annotated[tuple[Session, ...], Field(min_length=1), AfterValidator(unique)] = (5,)


class OwnColumns(Settings):
    """The columns of a table, or fields of a record. An empty text reads nothing; None is the format's own name."""

    id: str | None = None
    question: str | None = None
    hint: str | None = None
    """Shown before the question."""
    answer: str | None = None
    choices: str | None = None
    """A column with a list. When absent, a table has a column for each option instead: `A`, `B`, ..."""
    image: str | None = None
    """In a table base64 or the id of another row with the image; in a record a path."""
    image_path: str | None = None
    audio: str | None = None
    video: str | None = None
    cluster: str | None = None
    kind: str | None = None
    suffix: str | None = None
    split: str | None = None


class Own(Settings):
    """The user's own file as a benchmark, without code: how it is read, and how answers are scored."""

    file: NonEmpty
    format: Literal["tsv", "jsonl"] | None = None
    """From the file's name when absent."""
    scoring: Literal["exact", "contains", "choice", "yes_no", "anls", "vqa", "relaxed", "number"] | None = None
    """When absent, `choice` if every row has options, `yes_no` if every gold answer is yes or no, else `exact`."""
    columns: OwnColumns = OwnColumns()
    split: NonEmpty | None = None
    """Only rows with this value in column `split`."""
    choices: Annotated[tuple[NonEmpty, ...], Field(min_length=2, max_length=26), AfterValidator(unique)] = ()
    """Options of rows without any."""
    suffix: str | None = None
    """Request for the answer's format, for rows without one; empty for none."""
    kind: str = ""
    """Kind of rows without one."""

    speed_only: ClassVar[frozenset[str]] = frozenset({"file"})
    """Its content is an input of the stages; its path does not matter."""

    @model_validator(mode="after")
    def _format_is_clear(self) -> Self:
        if self.format is None and self.read_as is None:
            raise ValueError(f"format is missing, and the name {self.file!r} ends in neither .tsv nor .jsonl")
        return self

    @property
    def read_as(self) -> Literal["tsv", "jsonl"] | None:
        """The format, given or from the file's name."""
        if self.format is not None:
            return self.format
        ending = self.file.rpartition(".")[2].lower()
        return "tsv" if ending == "tsv" else "jsonl" if ending in ("jsonl", "json") else None


def _tuples(table: Any) -> Any:
    """`table` with tuples in place of lists, because settings are immutable."""
    if not isinstance(table, dict):
        return table
    return {key: tuple(value) if isinstance(value, list) else value for key, value in table.items()}


class Evaluate(Settings):
    """Which models answer which benchmarks under which views."""

    models: Literal["all"] | Annotated[tuple[Name, ...], Field(min_length=1), AfterValidator(unique)] = "all"
    """`all` is every trained model: the aligned one and the training runs, or the base if there are none."""
    benchmarks: Annotated[tuple[Name, ...], Field(min_length=1), AfterValidator(unique)]
    """The first one is in-domain."""
    views: Annotated[tuple[View, ...], Field(min_length=1), AfterValidator(unique)]
    views_of: Annotated[
        dict[Name, Annotated[tuple[View, ...], Field(min_length=1), AfterValidator(unique)]], BeforeValidator(_tuples)
    ] = Field(default={})
    """Benchmarks with other views than `views`. Models are compared under the last one; with several views, the gap is
    the first one minus the last.
    """
    cascade: Literal["all"] | Annotated[tuple[Name, ...], AfterValidator(unique)] = "all"
    """Models that also read their own transcript, if a view with a transcript is among the views."""
    recogniser: Asr | None = None
    """Transcribes the clips for the base, which then is the cascade that the models are compared with."""
    batch_size: Count
    max_new_tokens: Count
    limit: Count | None = None
    """Items per benchmark; all of them when absent."""
    mmalign: MMAlign | None = None
    """The published settings when absent, with our choice for the rest."""
    iemocap: Iemocap | None = None
    """The fifth session when absent."""
    own: dict[Name, Own] = Field(default={})
    """The user's own files among `benchmarks`, by name."""
    profile: Literal["strict", "vlmevalkit", "lmms_eval", "official"] = "strict"
    suffix: Literal["none", "text", "spoken"] = "none"
    """How the request for the answer's format is given."""
    text_view: View = "image_text"
    speech_view: View = "image_speech"
    """The gap is `text_view` minus `speech_view`, if both are among `views`."""

    @model_validator(mode="after")
    def _sessions_are_asked(self) -> Self:
        if self.iemocap is not None and "iemocap" not in self.benchmarks:
            raise ValueError("iemocap says which sessions are tested, but 'iemocap' is not among benchmarks")
        return self

    @property
    def main_view(self) -> View:
        """The view under which models are compared: `speech_view`, or `sound_text` if only that is asked."""
        return "sound_text" if self.speech_view not in self.views and "sound_text" in self.views else self.speech_view

    def for_stage(self) -> dict[str, JsonValue]:
        """As in `Settings`, without unused keys that were added later, so that older fingerprints stay."""
        later = ("iemocap", "views_of", "own")
        return {name: value for name, value in super().for_stage().items() if name not in later or value}

    def asked(self, benchmark: str) -> tuple[View, ...]:
        """The views of `benchmark`."""
        return self.views_of.get(benchmark, self.views)

    @property
    def every_view(self) -> tuple[View, ...]:
        """The views of all benchmarks."""
        own = [view for views in self.views_of.values() for view in views]
        return tuple(dict.fromkeys([*self.views, *own]))

    def compared(self, benchmark: str) -> View:
        """The view under which models are compared on `benchmark`."""
        return self.views_of[benchmark][-1] if benchmark in self.views_of else self.main_view


class Likelihood(Settings):
    """Measures how likely the base's own typed answers are under other views, without gold answers or a judge."""

    benchmarks: Literal["all"] | Annotated[tuple[Name, ...], Field(min_length=1), AfterValidator(unique)] = "all"
    """`all` is every one of `[evaluate]`."""
    models: Literal["all"] | Annotated[tuple[Name, ...], Field(min_length=1), AfterValidator(unique)] = "all"
    """`all` is every evaluated model; the base is always measured, typed and through the recogniser."""
    batch_size: Count = 8
    """Items per pass; changes nothing but rounding."""

    speed_only: ClassVar[frozenset[str]] = frozenset({"batch_size"})


class Guards(Settings):
    """Benchmarks that training should not harm: each model is compared with the one that it started from."""

    benchmarks: Annotated[tuple[Name, ...], Field(min_length=1), AfterValidator(unique)]
    """Benchmarks of `[evaluate]` except the first one, which is in-domain."""


class Attention(Settings):
    """Measures the decoder's attention by kind of token, for items typed and spoken, with the same responses."""

    items: Count
    """Items of each benchmark, evenly spaced."""
    benchmarks: Literal["all"] | Annotated[tuple[Name, ...], Field(min_length=1), AfterValidator(unique)] = "all"
    """`all` is every one of `[evaluate]`."""
    models: Literal["all"] | Annotated[tuple[Name, ...], Field(min_length=1), AfterValidator(unique)] = "all"
    """`all` is every trained model; the base is always included for comparison."""
    views: Annotated[tuple[AttentionView, ...], Field(min_length=1), AfterValidator(unique)] = (
        "image_text",
        "image_speech",
    )
    """The first one is typed: distances are from the base under it, and the variant `matched` uses its query lengths.
    """
    layers: Literal["all"] | Annotated[tuple[int, ...], Field(min_length=1), AfterValidator(unique)] = "all"
    """Numbers of decoder layers from 0."""
    response: Literal["gold", "base"] = "gold"
    """The response under every view: the gold answer, or the base's answer to the typed question."""
    response_rows: Literal["tokens", "predicting"] = "tokens"
    """The rows of the response: its own tokens, or the positions that predict them, one earlier."""
    sink_share: Share = 0.1
    """A key with more than this share of the attention of an item's query or response is listed as a sink."""
    baseline: Name | None = None
    """Model whose distance to the typed view the others are compared with; the first training run when absent."""
    batch_size: Count = 8
    """Items per pass; changes nothing but rounding."""

    speed_only: ClassVar[frozenset[str]] = frozenset({"batch_size"})

    @model_validator(mode="after")
    def _reference_is_typed(self) -> Self:
        if self.views[0] in SPOKEN_VIEWS:
            raise ValueError(f"the first of views is what the others are compared with, and {self.views[0]} is spoken")
        return self


class Report(Settings):
    """What the report page shows."""

    title: str | None = None
    """The recipe's name when absent."""
    items: int = Field(default=60, ge=0, le=MAX_COUNT)
    """Items shown side by side."""
    ablation: Annotated[tuple[Name, ...], AfterValidator(unique)] | dict[Name, Name] = ()
    """Models in the rows of an ablation: their names, or a table `ROW = "MODEL"`. Scores are those under the speech
    view, or under `sound_text` if only that is asked.
    """
    ablation_baseline: Name | None = None
    """Row that the others are compared with; the first one when absent."""
    published: Literal["self_kd"] | None = None
    """Paper whose printed numbers are shown beside the run's, in a section laid out like the paper."""

    @property
    def rows(self) -> dict[str, str]:
        """The rows of the ablation with their models."""
        return self.ablation if isinstance(self.ablation, dict) else {name: name for name in self.ablation}

    @model_validator(mode="after")
    def _baseline_is_a_row(self) -> Self:
        if self.ablation_baseline is not None and self.ablation_baseline not in self.rows:
            raise ValueError(f"ablation_baseline {self.ablation_baseline!r} is no row of the ablation")
        return self
