"""The schema of terms that compare more of two models than their outputs."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal, Self

from pydantic import Discriminator, Field, Tag, model_validator

from earwise.records import NonEmpty, View
from earwise.schema import TOKENIZER, Address, Count, NamesModel, Settings, Variable
from earwise.traces_settings import Seconds

SELF, SNAPSHOT = "self", "snapshot"
"""Teachers that are no other model: the student's own weights, and a frozen copy of the student at the start."""


class TeacherServer(Settings):
    """A text teacher behind an OpenAI-compatible server, which lists the likeliest words at every response token."""

    type: Literal["server"]
    base_url: Address
    model: NonEmpty
    tokenizer: Annotated[str | None, TOKENIZER] = None
    """Folder or hub id with the config and tokenizer that the server's model has; `model` when absent."""
    top_k: Count
    """Words that are listed at each token. What they leave of the probability is one more outcome, the rest."""
    reply: Literal["prompt_logprobs", "echo"] = "prompt_logprobs"
    """How the server is asked: by vLLM's `prompt_logprobs`, which names tokens by id, or by OpenAI's `echo` with
    `logprobs`, which names them by text."""
    api_key_env: Variable | None = None
    concurrency: Count = 16
    timeout_s: Seconds = 300.0
    max_attempts: Count = 6

    speed_only: ClassVar[frozenset[str]] = frozenset(
        {"base_url", "api_key_env", "concurrency", "timeout_s", "max_attempts"}
    )


def _is_of(teacher: object) -> str:
    """Which of both a teacher is meant to be, so that only that one's errors are told."""
    return "table" if isinstance(teacher, dict | TeacherServer) else "name"


class TaughtTerm(Settings):
    """What every term with a teacher says."""

    weight: float = Field(ge=0)
    teacher: Annotated[
        Annotated[NonEmpty, Tag("name")] | Annotated[TeacherServer, Tag("table")],
        Discriminator(_is_of),
        NamesModel(files=("config.json", "cache.json")),
    ] = "self"
    """`self` (same weights), `snapshot` (frozen copy of the student at the start), or the folder or hub id of another
    model; also the folder of a teacher's stored states; for `logits` also the table of a server."""
    view: View = "image_text"
    """What the teacher sees."""
    answers: Literal["all", "given", "drawn"] = "all"
    """Beside `on_policy`: whether the term learns from all answers, from those of the items or from the student's."""

    @property
    def teacher_name(self) -> str:
        """What the teacher is called in passes and errors."""
        return f"server {self.teacher.model}" if isinstance(self.teacher, TeacherServer) else self.teacher

    @model_validator(mode="after")
    def _reads_what_a_server_has(self) -> Self:
        """Only `logits`, whose schema is `training_settings.LogitsTerm`, can do with a server."""
        if isinstance(self.teacher, TeacherServer) and (kind := getattr(self, "type", "")) != "logits":
            raise ValueError(f"{kind} reads hidden states, and a server gives log-probabilities only: name a model")
        return self


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


class AttentionTerm(TaughtTerm):
    """Where and how much response positions attend to the image, against the same weights under the teacher's view."""

    type: Literal["attention"]
    every: Count = 1
    """Layers that are compared: each, or each k-th."""
    heads: Literal["mean", "each"] = "mean"
    """Whether the heads' mean is compared, or each head."""
    mass: bool = True
    """Whether what all other keys take together counts as one more outcome; else attention is normalised over the image
    keys, and only where in the image is compared."""

    @model_validator(mode="after")
    def _of_one_model(self) -> Self:
        if self.teacher not in ("self", "snapshot"):
            raise ValueError("attention is compared between two views of one model: set teacher = 'self'")
        return self


class FirstTokenTerm(TaughtTerm):
    """The last hidden state that predicts a response's first token, against the teacher's."""

    type: Literal["first_token"]
    distance: Literal["squared", "norm"] = "squared"
    """`squared`: squared distance relative to the teacher's squared norm. `norm`: the distance itself."""


class InputAlignmentTerm(Settings):
    """What the ears make of a spoken question, against the input embeddings of the same question typed."""

    type: Literal["input_alignment"]
    weight: float = Field(ge=0)
    pool: Literal["mean", "last"] = "mean"
    """`mean`: means of both. `last`: the clip's last embeddings, as many as the text has, one by one."""
    distance: Literal["squared", "norm"] = "squared"
    """As in `first_token`; relative to the text's."""


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
