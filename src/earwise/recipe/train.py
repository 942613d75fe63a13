"""The schema of training: `[encoder]`, `[align]`, `[training]`, `[train.NAME]` and `[choose]`."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Annotated, ClassVar, Final, Literal, Self

from pydantic import AfterValidator, Field, JsonValue, model_validator

from earwise.recipe.model import ALIGNED
from earwise.recipe.table import ENCODER, AskedPrecision, Count, Name, Settings, Share, unique
from earwise.recipe.terms import LayersTerm as LayersTerm
from earwise.recipe.terms import LogitsTerm as LogitsTerm
from earwise.recipe.terms import SftTerm as SftTerm
from earwise.recipe.terms import TaughtTerm as TaughtTerm
from earwise.recipe.terms import Term as Term
from earwise.records import NonEmpty, View

Tracker = Literal["tensorboard", "wandb", "trackio"]


class Optimisation(Settings):
    """Hyper-parameters of one training run with AdamW."""

    steps: Count
    """Optimiser steps."""
    batch_size: Count
    """Items per forward pass, over all processes."""
    accumulate: Count = 1
    """Forward passes per optimiser step."""
    lr: float = Field(gt=0)
    """Peak learning rate."""
    schedule: Literal["cosine", "linear", "constant"] = "cosine"
    warmup_ratio: Share = 0.0
    """Share of the steps over which the learning rate rises from 0."""
    weight_decay: float = Field(default=0.0, ge=0)
    beta2: float = Field(default=0.999, gt=0, lt=1)
    """Decay of AdamW's second moment; smaller values suit short training runs from scratch."""
    max_grad_norm: float = Field(default=1.0, gt=0)
    precision: AskedPrecision = "auto"
    """Precision of the forward pass (autocast); weights, losses and optimiser state stay in float32. `auto` is bfloat16
    if the device multiplies it, else float32; see `earwise.work.arithmetic`.
    """
    group_by_length: bool = True
    """Batches of items of similar length."""
    save_every: Count = 100
    """Steps between two checkpoints to resume from."""
    log_every: Count = 10
    """Steps between two lines of metrics."""
    report_to: Annotated[tuple[Tracker, ...], AfterValidator(unique)] = ()
    """Trackers that get the metrics, too, as transformers reports to them."""

    speed_only: ClassVar[frozenset[str]] = frozenset({"save_every", "log_every", "report_to"})


FrozenLayers = Annotated[int, Field(ge=0)] | Literal["all"]
"""How many layers of a given encoder stay frozen, from the first, with the convolutions before them: they are computed
once per clip. 0 trains the whole encoder, `all` none of it.
"""


class EarsOptimisation(Optimisation):
    """Hyper-parameters of a training that ears take part in."""

    frozen_layers: FrozenLayers = 0
    encoder_lr: float | None = Field(default=None, gt=0)
    """Peak learning rate of the encoder of the ears, or of its LoRA; `lr` when absent."""


class Selection(Settings):
    """Selects the weights of the step with the best answers to held-out questions; the earliest in a tie."""

    items: NonEmpty = "validation"
    """Item file of the data folder, without its ending."""
    every: Count
    """Steps between two evaluations."""
    limit: Count | None = None
    """Number of questions, from the first; all when absent."""
    max_new_tokens: Count


class Training(EarsOptimisation):
    """Hyper-parameters that all training runs of a recipe share, so that they are compared at equal cost."""

    shared_prefix: Literal["auto", "off"] = "auto"
    """`auto` computes the common tokens of the views once, where this is exact."""
    select: Selection | None = None
    """Selection of the best step; the last one when absent."""


class Encoder(Optimisation):
    """Training of a small Whisper encoder by CTC on words, from scratch or from a trained one."""

    start: Annotated[NonEmpty | None, ENCODER] = None
    """Whisper checkpoint of the same sizes to continue from: a shipped one, a folder or a hub id."""

    layers: Count
    width: Count
    heads: Count
    mel_bins: Count = 80
    stack: Count = 2
    """Encoder states (20 ms each) per output of the CTC layer."""


class Align(EarsOptimisation):
    """Alignment of fresh ears by transcription."""

    data: Literal["train", "transcribe"] = "transcribe"
    view: View = "speech_only"


WRITTEN_BY: Final[Mapping[str, str]] = {
    "distilled": "traces",
    "traces": "traces",
    "traces_agreed": "traces",
    "traces_verified": "verify",
    "traces_agreed_verified": "verify",
    "traces_complete": "verify",
    "distilled_complete": "verify",
    "written": "answers",
}
"""Item files that another stage than `data` writes -> the required table."""


OWN: Final = ""
"""Name of the only part of a training run without parts."""
SHARES: Final[Mapping[str, str]] = {"copy_share": "transcribe", "replay_share": "replay"}
"""Keys of a training run without parts that add a part -> that part's item file."""


class OnPolicy(Settings):
    """The student answers a share of the items itself, with its current weights (GKD, arXiv 2306.13649); teachers score
    the tokens that it drew from their own views.
    """

    share: Share
    """Probability for each item: GKD's lambda."""
    max_tokens: Count
    """Tokens of an answer, with the stop token."""
    temperature: float = Field(default=1.0, ge=0)
    """Divides the logits for sampling; 0 is greedy."""


class Part(Settings):
    """A share of the items of every optimiser step, with data, view and terms of its own."""

    share: float = Field(gt=0, le=1)
    """Of the items of an optimiser step; the shares of all parts sum to 1."""
    data: Name = "train"
    """Any item file of the data, or one of `WRITTEN_BY`."""
    view: View = "image_speech"
    """What the student sees."""
    kinds: tuple[NonEmpty, ...] = ()
    """Only items of these kinds; all when empty."""
    balance: bool = False
    """Whether each answer is drawn equally often, with any number of items: this corrects the bias of filters that drop
    some answers more often than others."""
    stretch: Count = 1
    """Under a view with typed questions, each of their words is repeated 1 to `stretch` times, as speech draws words
    out. A model that copies such texts can learn to transcribe speech, and one that answers them to answer by ear.
    """
    terms: Annotated[tuple[Term, ...], Field(min_length=1)]

    def for_stage(self) -> dict[str, JsonValue]:
        """As in `Settings`, without unused `kinds`."""
        return {key: value for key, value in super().for_stage().items() if key != "kinds" or value}

    @model_validator(mode="after")
    def _only_what_is_typed_is_drawn_out(self) -> Self:
        if self.stretch > 1 and not self.view.endswith(("_text", "text_only")):
            raise ValueError(f"stretch has no effect on the view {self.view!r}: set a view with typed questions")
        return self


class Train(Settings):
    """One training run: its start, the student's view, and the terms of its objective; or several such parts. For the
    weight alpha of Self-KD (arXiv 2503.00059), a recipe gives `logits` the weight alpha and `sft` 1 - alpha.
    """

    start: Name = ALIGNED
    """`aligned`, `base` (new ears) or another training run."""
    data: Name = "train"
    """Any item file of the data, such as `train_other`: the questions of `train` with another annotator's answers. Or a
    teacher's item file: `distilled` has its answers, `traces` its well-formed chains, and others those that agree, that
    a checker verified, both, or both without omissions; `written` has the answers of `[answers]`.
    """
    view: View = "image_speech"
    """What the student sees."""
    balance: bool = False
    """Whether each answer is drawn equally often, with any number of items: this corrects the bias of filters that drop
    some answers more often than others."""
    terms: tuple[Term, ...] = ()
    """Required without parts."""
    parts: dict[Name, Part] = Field(default={})
    """Parts that are learned at once, in place of `data`, `view` and `terms`."""
    on_policy: OnPolicy | None = None
    """Answers drawn by the student; none when absent."""
    copy_share: Share = 0.0
    """Adds a part of this share with `data = "transcribe"` and this view and terms, to preserve transcription."""
    replay_share: Share = 0.0
    """Adds such a part with `data = "replay"`, to preserve existing skills."""
    steps: Count | None = None
    """In place of `[training] steps`."""
    lr: float | None = Field(default=None, gt=0)
    """In place of `[training] lr`."""
    batch_size: Count | None = None
    """In place of `[training] batch_size`."""
    once: bool = False
    """Trained once, with seed 0, for all seeds of the recipe: a costly common start."""

    @model_validator(mode="after")
    def _terms_or_parts(self) -> Self:
        if not self.parts:
            if not self.terms:
                raise ValueError("nothing is to be learned: give terms, or parts")
            return self
        for key in ("data", "view", "balance", "terms", "on_policy", "copy_share", "replay_share"):
            if getattr(self, key) != type(self).model_fields[key].default:
                raise ValueError(f"{key} has no effect beside parts: each part has data, view and terms of its own")
        if not math.isclose(total := math.fsum(part.share for part in self.parts.values()), 1.0, abs_tol=1e-6):
            raise ValueError(f"the shares of the parts sum to {total:g}, not to 1")
        return self

    @model_validator(mode="after")
    def _something_of_its_own(self) -> Self:
        if self.copy_share + self.replay_share >= 1:
            raise ValueError("copy_share and replay_share leave nothing of the training's own data")
        return self

    @property
    def mixture(self) -> dict[str, Part]:
        """The parts, by name. Without `parts` it is one part, plus one each for `copy_share` and `replay_share`."""
        if self.parts:
            return self.parts
        beside = {key: share for key in SHARES if (share := getattr(self, key))}
        own = Part(
            share=1.0 - sum(beside.values()), data=self.data, view=self.view, balance=self.balance, terms=self.terms
        )
        more = {
            key: own.model_copy(update={"share": share, "data": SHARES[key], "balance": False})
            for key, share in beside.items()
        }
        return {OWN: own, **more}

    @property
    def each(self) -> tuple[Part, ...]:
        """The parts, without those of `copy_share` and `replay_share`."""
        return tuple(part for name, part in self.mixture.items() if name not in SHARES)

    @property
    def every_term(self) -> tuple[Term, ...]:
        """The terms of all parts."""
        return tuple(term for part in self.each for term in part.terms)

    def for_stage(self) -> dict[str, JsonValue]:
        """As in `Settings`, without unused `parts`, `balance` and `once`."""
        found = super().for_stage()
        left_out = {key for key in ("parts", "balance", "once") if not getattr(self, key)}
        return {key: value for key, value in found.items() if key not in left_out}


def portions(total: int, shares: Sequence[float]) -> list[int]:
    """Whole numbers in proportion to `shares` (which sum to 1) that sum to `total`, by the largest remainders; the
    first wins a tie.
    """
    exact = [total * share for share in shares]
    whole = [math.floor(value + 1e-9) for value in exact]
    by_remainder = sorted(range(len(shares)), key=lambda place: whole[place] - exact[place])
    for place in by_remainder[: total - sum(whole)]:
        whole[place] += 1
    return whole


class Choice(Settings):
    """The training run that answered the held-out questions of `[training.select]` best, for each seed."""

    of: Annotated[tuple[Name, ...], Field(min_length=2), AfterValidator(unique)]
    """Training runs; the first wins a tie."""
    steps: Count
    """Further steps of the chosen one, with its own objective and items."""
