"""The schema of terms: losses over two passes, and the reward of GRPO."""

from __future__ import annotations

from typing import Annotated, ClassVar, Final, Literal, Self

from pydantic import AfterValidator, Discriminator, Field, SerializeAsAny, Tag, WrapValidator, model_validator

from earwise.io.limits import MAX_COUNT
from earwise.recipe.plugged import BUILT_IN, PLUGIN, Kinds, Plugged
from earwise.recipe.table import TOKENIZER, Address, Count, NamesModel, Settings, Share, Variable
from earwise.recipe.teach import ModelServer, Seconds
from earwise.records import NonEmpty, View

SELF, SNAPSHOT = "self", "snapshot"
"""Teachers that are not another model: the student's own weights, and a frozen copy of the student at the start."""


class TeacherServer(Settings):
    """A text teacher behind an OpenAI-compatible server, which lists the most likely words at every response token."""

    type: Literal["server"]
    base_url: Address
    model: NonEmpty
    tokenizer: Annotated[str | None, TOKENIZER] = None
    """Folder or hub id with the config and tokenizer of the server's model; `model` when absent."""
    top_k: Count
    """Listed words per token. The remaining probability is one more outcome, the rest."""
    reply: Literal["prompt_logprobs", "echo"] = "prompt_logprobs"
    """The server's interface: vLLM's `prompt_logprobs`, which names tokens by id, or OpenAI's `echo` with `logprobs`,
    which names them by text.
    """
    api_key_env: Variable | None = None
    concurrency: Count = 16
    timeout_s: Seconds = 300.0
    max_attempts: Count = 6

    speed_only: ClassVar[frozenset[str]] = frozenset(
        {"base_url", "api_key_env", "concurrency", "timeout_s", "max_attempts"}
    )


def _is_of(teacher: object) -> str:
    """Whether a teacher is a table or a name, so that only errors of this form are reported."""
    return "table" if isinstance(teacher, dict | TeacherServer) else "name"


class TermSettings(Plugged):
    """Common settings of terms. `makes` returns an `earwise.distil.terms.Term`."""

    registry: ClassVar[str] = "earwise.terms"

    weight: float = Field(ge=0)


class SftTerm(TermSettings):
    """Cross entropy with the gold answer, in nats per response token."""

    makes: ClassVar[str] = "earwise.distil.terms.sft:Sft"

    type: Literal["sft"]


class TaughtTerm(TermSettings):
    """Common settings of terms with a teacher."""

    from_server: ClassVar[bool] = False
    """Whether it can learn from a server's listed words, without hidden states."""

    teacher: Annotated[
        Annotated[NonEmpty, Tag("name")] | Annotated[TeacherServer, Tag("table")],
        Discriminator(_is_of),
        NamesModel(files=("config.json", "cache.json")),
    ] = "self"
    """`self` (same weights), `snapshot` (frozen copy of the student at the start), the folder or hub id of another
    model, or a folder with a teacher's stored states; for `logits` also the table of a server.
    """
    view: View = "image_text"
    """What the teacher sees."""
    answers: Literal["all", "given", "drawn"] = "all"
    """With `on_policy`: whether the term learns from all answers, from those of the items or from the student's."""

    @property
    def teacher_name(self) -> str:
        """The teacher's name in passes and errors."""
        return f"server {self.teacher.model}" if isinstance(self.teacher, TeacherServer) else self.teacher

    @model_validator(mode="after")
    def _reads_what_a_server_has(self) -> Self:
        if isinstance(self.teacher, TeacherServer) and not self.from_server:
            what = "reads hidden states, and a server gives log-probabilities only: name a model"
            raise ValueError(f"{self.type} {what}")
        return self


class LogitsTerm(TaughtTerm):
    """Divergence between the teacher's and the student's next-token distributions, in nats per response token."""

    makes: ClassVar[str] = "earwise.distil.terms.logits:Logits"
    from_server: ClassVar[bool] = True

    type: Literal["logits"]
    divergence: Literal["forward_kl", "reverse_kl", "jsd"] = "forward_kl"
    """`forward_kl` is KL(teacher || student)."""
    temperature: float = Field(default=1.0, gt=0)
    teacher_share: float = Field(default=0.5, gt=0, lt=1)
    """Teacher's weight in the mixture of `jsd`."""
    end_weight: float = Field(default=0.0, ge=0)
    """Added weight of the position that predicts the end of the answer."""

    @model_validator(mode="after")
    def _share_is_for_jsd(self) -> Self:
        if self.divergence != "jsd" and self.teacher_share != 0.5:
            raise ValueError(f"teacher_share has no effect on {self.divergence}")
        return self

    @model_validator(mode="after")
    def _knows_enough_of_a_server(self) -> Self:
        """`reverse_kl` and a temperature need the probability of every word, but a server lists only some."""
        if isinstance(self.teacher, TeacherServer) and (self.divergence == "reverse_kl" or self.temperature != 1):
            asked = "reverse_kl" if self.divergence == "reverse_kl" else "a temperature"
            raise ValueError(f"{asked} needs every word's probability, and a server lists the likeliest top_k only")
        return self


class LayersTerm(TaughtTerm):
    """Squared distance of the two views' hidden states, relative to the teacher's norm; mean over tokens and layers."""

    makes: ClassVar[str] = "earwise.distil.terms.layers:Layers"

    type: Literal["layers"]


class LayerMapTerm(TaughtTerm):
    """Each layer of the student with a layer of a teacher of any depth and width, at the response tokens."""

    makes: ClassVar[str] = "earwise.distil.terms.layer_map:LayerMap"

    type: Literal["layer_map"]
    every: Count = 1
    """Compares every k-th layer of the student."""
    space: Literal["logit_lens", "cosine", "cka"] = "logit_lens"
    """`logit_lens`: JSD of the distributions that each model's own final norm and head compute from its layers, in
    nats. `cosine`: 1 - cosine after a learned projection of the student's states. `cka`: 1 - linear centred kernel
    alignment over the batch.
    """
    reduce: Literal["sum", "mean"] = "sum"
    """Over the compared layers."""


class AttentionTerm(TaughtTerm):
    """Where and how much response positions attend to the image, against the same weights under the teacher's view."""

    makes: ClassVar[str] = "earwise.distil.terms.attention:Attention"

    type: Literal["attention"]
    every: Count = 1
    """Compares every k-th layer."""
    heads: Literal["mean", "each"] = "mean"
    """Whether the mean over heads is compared, or each head."""
    mass: bool = True
    """Whether the attention to all other keys counts as one more outcome. If not, attention is normalised over the
    image keys, and only its distribution within the image is compared.
    """

    @model_validator(mode="after")
    def _of_one_model(self) -> Self:
        if self.teacher not in ("self", "snapshot"):
            raise ValueError("attention is compared between two views of one model: set teacher = 'self'")
        return self


class FirstTokenTerm(TaughtTerm):
    """The last hidden state that predicts a response's first token, against the teacher's."""

    makes: ClassVar[str] = "earwise.distil.terms.first_token:FirstToken"

    type: Literal["first_token"]
    distance: Literal["squared", "norm"] = "squared"
    """`squared`: squared distance relative to the teacher's squared norm. `norm`: the distance itself."""


class InputAlignmentTerm(TermSettings):
    """The ears' output for a spoken question, compared with the input embeddings of the same question typed."""

    makes: ClassVar[str] = "earwise.distil.terms.input_alignment:InputAlignment"

    type: Literal["input_alignment"]
    pool: Literal["mean", "last"] = "mean"
    """`mean`: the means of both. `last`: as many of the clip's last embeddings as the text has, one by one."""
    distance: Literal["squared", "norm"] = "squared"
    """As in `first_token`; relative to the text's."""


class AcousticTerm(TaughtTerm):
    """The student's states at audio positions, compared with those of a copy of itself from before training."""

    makes: ClassVar[str] = "earwise.distil.terms.acoustic:Acoustic"

    type: Literal["acoustic"]
    distance: Literal["squared", "cosine"] = "squared"
    """`squared`: squared distance relative to the teacher's squared norm. `cosine`: 1 - cosine."""

    @model_validator(mode="after")
    def _not_itself(self) -> Self:
        if self.teacher == "self":
            raise ValueError("a model's own states cannot hold it in place: set teacher = 'snapshot'")
        return self


class _Reward(Settings):
    weight: float = Field(gt=0)


class AccuracyReward(_Reward):
    """1 if the answer is the item's first one, in canonical form; else 0."""

    type: Literal["accuracy"]


class FormatReward(_Reward):
    """1 if the text is one reasoning and one answer after it (`traces.format.parse`); else 0."""

    type: Literal["format"]
    stray: bool = True
    """Whether text outside the two blocks is allowed."""


class ReasoningReward(_Reward):
    """1 if there is a reasoning of at least `min_words` words, before any text; else 0."""

    type: Literal["reasoning"]
    min_words: Count = 1


class LengthReward(_Reward):
    """exp(-(words - mean)^2 / (2 std^2)) of the number of words in the reasoning, which may be 0."""

    type: Literal["length"]
    mean: float = Field(ge=0)
    std: float = Field(gt=0)


class ClaimsReward(_Reward):
    """The share of the reasoning's claims that the checker confirms for the item's sound; 0 without a claim."""

    type: Literal["claims"]


class CompletenessReward(_Reward):
    """The share of the claims confirmed for the item's sound that the reasoning states."""

    type: Literal["completeness"]


Reward = Annotated[
    AccuracyReward | FormatReward | ReasoningReward | LengthReward | ClaimsReward | CompletenessReward,
    Field(discriminator="type"),
]


class Guard(Settings):
    """Stops a training run whose answers collapse: each bound is for the mean over the last `window` steps."""

    window: Count = 5
    max_kl: float | None = Field(default=None, gt=0)
    """Nats per token to the reference; needs `beta` above 0, because otherwise there is no reference."""
    min_entropy: float | None = Field(default=None, gt=0)
    """Nats per token of the policy."""
    max_invalid: Share | None = None
    """Share of the completions without a readable answer."""

    @model_validator(mode="after")
    def _guards_something(self) -> Self:
        if self.max_kl is None and self.min_entropy is None and self.max_invalid is None:
            raise ValueError("a guard needs max_kl, min_entropy or max_invalid")
        return self


def _each_type_once(rewards: tuple[Reward, ...]) -> tuple[Reward, ...]:
    types = [reward.type for reward in rewards]
    if doubled := [one for one in types if types.count(one) > 1]:
        raise ValueError(f"{doubled[0]!r} is listed twice")
    return rewards


class GrpoTerm(TermSettings):
    """Group relative policy optimisation: of several answers to a prompt, those with more reward become likelier."""

    type: Literal["grpo"]
    weight: float = Field(gt=0)
    rewards: Annotated[tuple[Reward, ...], Field(min_length=1), AfterValidator(_each_type_once)]
    """Summed with their weights."""
    group: int = Field(default=8, ge=2, le=MAX_COUNT)
    """Completions of each prompt."""
    max_tokens: Count
    """Tokens of a completion, with the stop token."""
    temperature: float = Field(default=1.0, gt=0)
    """Divides the logits, both for sampling completions and for their log-probabilities in the loss."""
    standardise: bool = True
    """Whether advantages are divided by the group's standard deviation; Dr. GRPO (arXiv 2503.20783) does not."""
    drop_equal: bool = False
    """Whether groups with equal rewards are left out; they have no advantage, but a KL."""
    clip: float = Field(default=0.2, gt=0, lt=1)
    """The ratio to the sampling policy is clipped to [1 - clip, 1 + clip]."""
    updates: Count = 1
    """Optimiser steps on the same completions."""
    beta: float = Field(default=0.04, ge=0)
    """Weight of the KL to the initial weights of this training run; with 0 no copy of them is kept."""
    normaliser: Literal["completion", "token"] = "completion"
    """`completion`: mean over a completion's tokens, then over completions; `token`: mean over all tokens (DAPO)."""
    server: ModelServer | None = None
    """Generates the completions; by default the student does."""
    guard: Guard | None = None

    @model_validator(mode="after")
    def _kl_is_measured(self) -> Self:
        if self.beta == 0 and self.guard is not None and self.guard.max_kl is not None:
            raise ValueError("guard.max_kl needs beta above 0: without, no reference is kept")
        if self.updates == 1 and self.clip != 0.2:
            raise ValueError("clip has no effect with one update: the ratio is always 1")
        return self


BuiltInTerm = (
    SftTerm
    | LogitsTerm
    | LayersTerm
    | LayerMapTerm
    | AttentionTerm
    | FirstTokenTerm
    | InputAlignmentTerm
    | AcousticTerm
    | GrpoTerm
)
"""Installed packages register more as `earwise.terms`."""

TERMS: Final = Kinds(TermSettings, BuiltInTerm)
Term = Annotated[
    Annotated[BuiltInTerm, Field(discriminator="type"), Tag(BUILT_IN)]
    | Annotated[SerializeAsAny[TermSettings], WrapValidator(TERMS.read), Tag(PLUGIN)],
    Discriminator(TERMS.tag),
]
