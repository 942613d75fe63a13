"""The schema of a recipe: what may be set, in which unit, and what must agree with what.

A recipe is a TOML file; `earwise.recipe.load_recipe` reads it into a `Recipe`. Every table is strict: an unknown key, a
value of another type and a missing required key are errors, and nothing is coerced (a whole number is a number, that is
all). A field without a default is required wherever its table is present. Paths are relative to the working directory.
"""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal, Self

from pydantic import AfterValidator, Field, model_validator

from earwise.data_settings import CorporaData, FolderData, MicroData
from earwise.gate_settings import Gate
from earwise.records import NonEmpty, View
from earwise.schema import Count, Name, Settings, Share, unique
from earwise.speech_settings import Speech

BASE = "base"
"""Name of the vision-language model before anything is trained: a `start`, an evaluated model, and `[model] base`."""

ALIGNED = "aligned"
"""Name of the model that `[align]` leaves: a `start` and an evaluated model."""

SPOKEN_VIEWS: frozenset[View] = frozenset({"image_speech", "image_transcript", "speech_only"})
"""Views under which the query is heard."""

CLIP_VIEWS: frozenset[View] = SPOKEN_VIEWS | {"image_spoken_form"}
"""Views that need a clip of the query, to be heard or for its spoken form."""


class _Ears(Settings):
    stack: Count
    """Encoder frames (20 ms each) stacked into one token."""
    hidden: Count
    """Width of the projector's hidden layer."""
    markers: bool = True
    """Learned begin and end vectors around the speech."""


class FreshEars(_Ears):
    """A new, randomly initialised Whisper encoder."""

    encoder: Literal["fresh"]
    layers: Count
    width: Count
    heads: Count
    mel_bins: Count = 80

    @model_validator(mode="after")
    def _heads_divide_width(self) -> Self:
        if self.width % self.heads:
            raise ValueError(f"width {self.width} is not a multiple of heads {self.heads}")
        return self


class PretrainedEars(_Ears):
    """The encoder of a Whisper checkpoint."""

    encoder: Literal["pretrained"]
    path: NonEmpty
    """Folder or hub id."""
    revision: str | None = None


class NativeEars(Settings):
    """The audio tower of a base that hears by itself."""

    encoder: Literal["native"]
    train: Literal["none", "projector", "tower"] = "projector"
    """What of it is trained: nothing, its projection into the language model, or all of it."""


class Lora(Settings):
    """Low-rank updates in the language model, trained beside the ears. Teachers are computed without them."""

    rank: Count
    alpha: Count
    """The updates are multiplied by alpha / rank."""
    dropout: float = Field(default=0.0, ge=0, lt=1)
    targets: Annotated[tuple[NonEmpty, ...], Field(min_length=1), AfterValidator(unique)] = (
        "q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj",
    )  # fmt: skip
    """Names of the linear layers that are updated."""


class Model(Settings):
    """The base model, the ears it gets or has, and what else of it is trained."""

    base: NonEmpty
    """A shipped model (`internvl-micro`), a folder or a hub id; `base` is the model that the `[base]` table trains."""
    revision: str | None = None
    family: Literal["auto", "internvl", "qwen2_vl", "qwen2_5_vl", "qwen2_audio", "qwen2_5_omni"] = "auto"
    dtype: Literal["float32", "bfloat16"] = "float32"
    """Of the frozen weights."""
    trust_remote_code: bool = False
    ears: Annotated[FreshEars | PretrainedEars | NativeEars, Field(discriminator="encoder")]
    lora: Lora | None = None


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


class MMAlign(Settings):
    """How MMAlign's items are drawn from ARO's files."""

    count: Literal["all"] | Count = 300
    """Of each file."""
    seed: int = 0
    crop: Literal["box", "full"] = "box"
    """The box of the case, as ARO shows it, or the whole picture."""
    symmetric: Literal["leave_out", "keep"] = "leave_out"
    """Relations that hold both ways, so that both captions are right."""


class Evaluate(Settings):
    """Which models answer which benchmarks under which views."""

    models: Literal["all"] | Annotated[tuple[Name, ...], Field(min_length=1), AfterValidator(unique)] = "all"
    """`all` is every trained model: the aligned one and the trainings, or the base where nothing else is trained."""
    benchmarks: Annotated[tuple[Name, ...], Field(min_length=1), AfterValidator(unique)]
    """The first one is the in-domain one."""
    views: Annotated[tuple[View, ...], Field(min_length=1), AfterValidator(unique)]
    cascade: Literal["all"] | Annotated[tuple[Name, ...], AfterValidator(unique)] = "all"
    """Models that are also asked through their own transcript, where `image_transcript` is among the views."""
    batch_size: Count
    max_new_tokens: Count
    limit: Count | None = None
    """Items per benchmark; all of them when absent."""
    mmalign: MMAlign | None = None
    """As far as it is published, and our choice in the rest, when absent."""
    profile: Literal["strict", "vlmevalkit", "lmms_eval", "official"] = "strict"
    suffix: Literal["none", "text", "spoken"] = "none"
    """How the answer-format request of an item is given."""
    text_view: View = "image_text"
    speech_view: View = "image_speech"
    """The gap is `text_view` minus `speech_view`; there is one where both are among `views`."""


class Attention(Settings):
    """Where the decoder looks, by kind of token, when the same items are typed and spoken with the same responses."""

    items: Count
    """Of each benchmark, spread evenly over it."""
    benchmarks: Literal["all"] | Annotated[tuple[Name, ...], Field(min_length=1), AfterValidator(unique)] = "all"
    """`all` is every one of `[evaluate]`."""
    models: Literal["all"] | Annotated[tuple[Name, ...], Field(min_length=1), AfterValidator(unique)] = "all"
    """`all` is every trained model; the base is always there, as it is what the others are compared with."""
    views: Annotated[tuple[View, ...], Field(min_length=1), AfterValidator(unique)] = ("image_text", "image_speech")
    """The first one is typed: distances are from the base under it, and the variant `matched` has its query lengths."""
    layers: Literal["all"] | Annotated[tuple[int, ...], Field(min_length=1), AfterValidator(unique)] = "all"
    """Numbers of decoder layers from 0."""
    response: Literal["gold", "base"] = "gold"
    """What stands as the response under every view: the gold answer, or what the base answers when it is typed to."""
    response_rows: Literal["tokens", "predicting"] = "tokens"
    """Where the response attends from: its own tokens, or the positions that predict them, which is one earlier."""
    sink_share: Share = 0.1
    """A key that takes more than this share of the attention of an item's query, or response, is listed as a sink."""
    baseline: Name | None = None
    """Model than which the others may be closer to the typed view; the first training when absent."""
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
    items: int = Field(default=60, ge=0)
    """Items shown side by side."""
    ablation: Annotated[tuple[Name, ...], AfterValidator(unique)] = ()
    """Models whose scores under the speech view are set out as the rows of an ablation."""
    published: Literal["self_kd"] | None = None
    """Paper whose printed numbers stand beside the run's, in a section set out as the paper is."""


class Recipe(Settings):
    """A whole recipe: the tables of one run. Tables that are absent have no stage."""

    name: Name
    description: str = ""
    seeds: Annotated[tuple[int, ...], Field(min_length=1), AfterValidator(unique)] = (0,)
    """Of training; the whole training and evaluation is repeated for each."""
    data: Annotated[MicroData | FolderData | CorporaData, Field(discriminator="source")]
    speech: Speech | None = None
    gate: Gate | None = None
    model: Model | None = None
    training: Training | None = None
    base: Base | None = None
    encoder: Encoder | None = None
    align: Align | None = None
    train: dict[Name, Train] = Field(default={})
    evaluate: Evaluate | None = None
    attention: Attention | None = None
    report: Report | None = None

    @property
    def models(self) -> tuple[str, ...]:
        """Names of the models that the recipe trains, in the order of the recipe; `base` where it trains no ears."""
        ears = ((ALIGNED,) if self.align else ()) + tuple(self.train)
        return ears or (BASE,)

    @property
    def evaluated(self) -> tuple[str, ...]:
        """Names of the models that `[evaluate]` asks for."""
        if self.evaluate is None:
            return ()
        return self.models if self.evaluate.models == "all" else self.evaluate.models

    def optimisation(self, name: str) -> Training:
        """`[training]` with the overrides of `[train.NAME]`."""
        own = self.train[name]
        if self.training is None:
            raise ValueError("a recipe with trainings has a [training] table")
        given = {key: value for key, value in {"steps": own.steps, "lr": own.lr}.items() if value is not None}
        return self.training.model_copy(update=given)
