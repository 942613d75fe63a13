"""The schema of everything that is trained: `[base]`, `[encoder]`, `[align]`, `[training]` and `[train.NAME]`."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal, Self

from pydantic import AfterValidator, Field, model_validator

from earwise.model_settings import ALIGNED
from earwise.records import NonEmpty, View
from earwise.schema import Count, Name, Settings, Share, unique


class Optimisation(Settings):
    """Hyper-parameters of one training with AdamW."""

    steps: Count
    """Optimiser steps."""
    batch_size: Count
    """Items per process and forward pass."""
    accumulate: Count = 1
    """Forward passes per optimiser step."""
    lr: float = Field(gt=0)
    """Peak learning rate."""
    schedule: Literal["cosine", "linear", "constant"] = "cosine"
    warmup_ratio: Share = 0.0
    """Share of the steps over which the learning rate rises from 0."""
    weight_decay: float = Field(default=0.0, ge=0)
    beta2: float = Field(default=0.999, gt=0, lt=1)
    """Decay of AdamW's second moment; less remembers fewer steps, which short trainings from nothing want."""
    max_grad_norm: float = Field(default=1.0, gt=0)
    precision: Literal["float32", "bfloat16"] = "float32"
    """Of the forward pass (autocast); weights, losses and optimiser state stay in float32."""
    group_by_length: bool = True
    """Batches of items of similar length."""
    save_every: Count = 100
    """Steps between two checkpoints to resume from."""
    log_every: Count = 10
    """Steps between two lines of metrics."""

    speed_only: ClassVar[frozenset[str]] = frozenset({"save_every", "log_every"})


class Training(Optimisation):
    """Hyper-parameters that all trainings of a recipe share, so that they are compared at equal cost."""

    shared_prefix: Literal["auto", "off"] = "auto"
    """`auto` computes the tokens that two views have in common once, where that is exact."""


class BasePhase(Optimisation):
    """One phase of a base's training: shares of what a batch consists of; the rest are questions about images."""

    copy_share: Share = 0.0
    """Conversations without an image that write down a given text: ears are aligned through this skill."""
    stretch: Count = 1
    """Each word of a text that is to be written down is typed once to so many times, as speech draws words out."""
    stretch_share: Share = 1.0
    """Share of those texts that are drawn out; the others are typed as they are."""
    scan_share: Share = 0.0
    """Requests to name everything in an image, cell by cell: the quickest way to see."""
    independent: Share = 0.0
    """Share of the images whose questions are asked independently, as in a test; the others are dialogues, in which a
    question can also be answered from the turns before it."""
    scan_along: Share = 0.0
    """Share of the images with independent questions that are also to be named cell by cell."""
    open_only: bool = False
    """Leave out questions that are answered by yes, no or an option letter."""
    kinds: Annotated[tuple[NonEmpty, ...], AfterValidator(unique)] = ()
    """Only questions of these kinds; of all kinds when absent."""
    shortest_first: bool = False
    """Whether conversations come in the order of their length."""


class Base(Settings):
    """Training of a small vision-language model from nothing, phase after phase."""

    family: Literal["internvl", "qwen2_vl"]
    width: Count
    feed_forward: Count
    """Width of the feed-forward layers."""
    layers: Count
    heads: Count
    key_value_heads: Count
    vision_width: Count
    vision_feed_forward: Count
    vision_layers: Count
    vision_heads: Count
    phases: Annotated[tuple[BasePhase, ...], Field(min_length=1)]


class Encoder(Optimisation):
    """Training of a small Whisper encoder from nothing, by CTC on words."""

    layers: Count
    width: Count
    heads: Count
    mel_bins: Count = 80
    stack: Count = 2
    """Encoder states (20 ms each) per output of the CTC layer."""


class Align(Optimisation):
    """Alignment of fresh ears by writing down speech."""

    data: Literal["train", "transcribe"] = "transcribe"
    view: View = "speech_only"


class SftTerm(Settings):
    """Cross entropy with the gold answer, in nats per response token."""

    type: Literal["sft"]
    weight: float = Field(ge=0)


class _TaughtTerm(Settings):
    weight: float = Field(ge=0)
    teacher: NonEmpty = "self"
    """`self` (same weights), `snapshot` (frozen copy of the student at the start) or the folder of another model."""
    view: View = "image_text"
    """What the teacher sees."""


class LogitsTerm(_TaughtTerm):
    """Divergence between the teacher's and the student's next-token distributions, in nats per response token."""

    type: Literal["logits"]
    divergence: Literal["forward_kl", "reverse_kl", "jsd"] = "forward_kl"
    """`forward_kl` is KL(teacher || student)."""
    temperature: float = Field(default=1.0, gt=0)
    teacher_share: float = Field(default=0.5, gt=0, lt=1)
    """Teacher's weight in the mixture of `jsd`; no other divergence has one."""

    @model_validator(mode="after")
    def _share_is_for_jsd(self) -> Self:
        if self.divergence != "jsd" and self.teacher_share != 0.5:
            raise ValueError(f"teacher_share has no effect on {self.divergence}")
        return self


class LayersTerm(_TaughtTerm):
    """Squared distance of the two views' hidden states, relative to the teacher's norm; mean over tokens and layers."""

    type: Literal["layers"]


Term = Annotated[SftTerm | LogitsTerm | LayersTerm, Field(discriminator="type")]


class Train(Settings):
    """One training: where it starts, what the student sees, and the terms of its objective.

    With the weight alpha of Self-KD (arXiv 2503.00059), `logits` weighs alpha and `sft` weighs 1 - alpha: both are
    written out in the recipe.
    """

    start: Name = ALIGNED
    """`aligned`, `base` (new ears) or the name of another training."""
    data: Literal["train", "train_other", "transcribe"] = "train"
    """Item file to learn from; `train_other` has the questions of `train` with another annotator's answers."""
    view: View = "image_speech"
    """What the student sees."""
    terms: Annotated[tuple[Term, ...], Field(min_length=1)]
    copy_share: Share = 0.0
    """Share of the items that are taken from the transcription set, so that the model keeps its transcripts."""
    steps: Count | None = None
    """In place of `[training] steps`."""
    lr: float | None = Field(default=None, gt=0)
    """In place of `[training] lr`."""
