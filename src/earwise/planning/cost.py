"""What a training step costs, counted and not measured: multiplications of matrices, and bytes.

Products count as 2 operations per multiply-add. A linear layer costs as much again in the backward pass to pass a
gradient on, and once more if it is trained; attention costs twice as much again. Attention is counted as the dense
product that is computed, without the half that the causal mask hides. Padding, norms and activations are left out.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, cast

from torch import nn

from earwise.distil.divergence import Tiling
from earwise.models.ears import Ears
from earwise.models.layout import Layout
from earwise.models.mel import bucket_frames
from earwise.models.omni import OmniModel
from earwise.term_settings import LayerMapTerm
from earwise.training_settings import LogitsTerm, SftTerm, Term


@dataclass(frozen=True)
class Sizes:
    """What of a model decides the cost of a step."""

    decoder: int
    """Parameters of the decoder's matrices, without embeddings and head."""
    layers: int
    attention_width: int
    key_value_width: int
    feed_forward: int
    heads: int
    head: int
    """Parameters of the output head."""
    vision: int
    """Parameters that every patch of an image passes through."""
    vision_layers: int
    vision_width: int
    patch_values: int
    """Pixel values that become one patch."""
    merger: int
    """Parameters that every token of an image passes through."""
    ears: int
    """Parameters that every encoder state passes through."""
    ears_layers: int
    ears_width: int
    projector: int
    trainable: int
    trains_decoder: bool
    """Whether its matrices and the head have gradients of their own."""
    base: int
    base_bytes: int
    copies: int
    """Bytes of the matrices that are kept a second time, in bfloat16, for the backward pass: autocast casts the float32
    ones that a gradient passes through, trained or not."""
    value_bytes: int
    """Bytes of one activation in the decoder."""
    keeps_maps: bool
    """Whether attention keeps its map for the backward pass."""
    workspace: int
    """Bytes of logits that exist at a time."""

    @classmethod
    def of(cls, model: OmniModel, *, bfloat16: bool) -> Sizes:
        """Sizes of `model`, whose trained parameters require gradients."""
        family, config = model.family, cast(Any, model.family.backbone.config)
        base = dict(model.base.named_parameters())
        embedding = {id(p) for p in (*family.embed.parameters(), family.head_weight)}
        heads = config.num_attention_heads
        head_width = getattr(config, "head_dim", None) or config.hidden_size // heads
        ears, layers, width, projector = _ears(model)
        return cls(
            decoder=sum(_matrices(family.backbone.parameters(), embedding)),
            layers=config.num_hidden_layers,
            attention_width=heads * head_width,
            key_value_width=config.num_key_value_heads * head_width,
            feed_forward=config.intermediate_size,
            heads=heads,
            head=family.head_weight.numel(),
            **_vision(model, base) if family.sees else _BLIND,
            ears=ears,
            ears_layers=layers,
            ears_width=width,
            projector=projector,
            trainable=sum(p.numel() for p in model.parameters() if p.requires_grad),
            trains_decoder=family.head_weight.requires_grad,
            base=sum(p.numel() for p in base.values()),
            base_bytes=sum(p.numel() * p.element_size() for p in base.values()),
            copies=_copies(model, embedding) if bfloat16 else 0,
            value_bytes=2 if bfloat16 else family.head_weight.element_size(),
            keeps_maps=model.base.config._attn_implementation == "eager",
            workspace=Tiling.for_device(model.device).workspace_bytes,
        )


def _matrices(parameters: Any, without: set[int]) -> list[int]:
    return [p.numel() for p in parameters if p.ndim > 1 and id(p) not in without]


def _copies(model: OmniModel, embedding: set[int]) -> int:
    """Bytes in bfloat16 of the decoder's matrices and of what is trained, as far as they are in float32."""
    trained = (p for p in model.parameters() if p.requires_grad)
    wide = {id(p): p for p in (*model.family.backbone.parameters(), *trained) if p.element_size() > 2}
    added = {id(model.ears.encoder.embed_positions.weight)} if isinstance(model.ears, Ears) else set()
    return 2 * sum(_matrices(wide.values(), embedding | added))


def _ears(model: OmniModel) -> tuple[int, int, int, int]:
    """Parameters per encoder state, layers and width of the encoder, parameters per token behind it."""
    if isinstance(model.ears, Ears):
        encoder = model.ears.encoder
        positions = {id(encoder.embed_positions.weight)}
        per_state = sum(_matrices(encoder.parameters(), positions))
        return per_state, len(encoder.layers), encoder.config.d_model, sum(
            _matrices(model.ears.projector.parameters(), set())
        )  # fmt: skip
    tower = [p for name, p in model.base.named_parameters() if "audio" in name]
    return sum(_matrices(tower, set())), 0, 0, 0


_BLIND: Final = {"vision": 0, "vision_layers": 0, "vision_width": 0, "patch_values": 1, "merger": 0}


def _vision(model: OmniModel, base: Mapping[str, nn.Parameter]) -> dict[str, int]:
    """The fields of `Sizes` that are about images."""
    config = cast(Any, model.base.config).vision_config
    sees = [(name, p) for name, p in base.items() if "vis" in name or "multi_modal_projector" in name]
    merges = [p for name, p in sees if "merger" in name or "projector" in name]
    size = config.patch_size if isinstance(config.patch_size, int) else config.patch_size[0]
    depth, width = (
        getattr(config, one, None) or getattr(config, other)
        for one, other in (("depth", "num_hidden_layers"), ("embed_dim", "hidden_size"))
    )
    return {
        "vision": sum(_matrices((p for _, p in sees), {id(p) for p in merges})),
        "vision_layers": depth,
        "vision_width": width,
        "patch_values": 3 * size**2 * getattr(config, "temporal_patch_size", 1),
        "merger": sum(_matrices(merges, set())),
    }


@dataclass(frozen=True)
class Shown:
    """One sample under one view, as far as its cost goes."""

    tokens: int
    responses: int
    patches: float
    patch_pairs: float
    """Pairs of patches that attend to one another: those of one tile."""
    image_tokens: int
    states: int
    """Encoder states of its clips, each clip's own."""
    clip_tokens: int
    squares: int
    """Sum of the squares of the clips' states, for attention in the encoder."""

    @classmethod
    def of(cls, layout: Layout, sizes: Sizes) -> Shown:
        """Lengths of a layout."""
        pixels = [m.image.tensors["pixel_values"] for m in layout.media if m.image is not None]
        tiles = [(p.shape[0] if p.ndim == 4 else 1, p.numel() / sizes.patch_values) for p in pixels]
        states = [bucket_frames(m.num_samples) // 2 for m in layout.media if m.kind == "audio"]
        return cls(
            tokens=len(layout),
            responses=len(layout.response),
            patches=sum(patches for _, patches in tiles),
            patch_pairs=sum(patches**2 / number for number, patches in tiles),
            image_tokens=sum(m.stop - m.start for m in layout.media if m.kind == "image"),
            states=sum(states),
            clip_tokens=sum(m.stop - m.start for m in layout.media if m.kind == "audio"),
            squares=sum(count**2 for count in states),
        )


@dataclass(frozen=True)
class Pass:
    """One pass of a training step: what is shown, whether the student learns in it, whether it has ears of its own."""

    shown: Sequence[Shown]
    learns: bool


def step_flops(passes: Sequence[Pass], prefixes: Sequence[int], terms: Sequence[Term], sizes: Sizes) -> float:
    """Operations of one forward and backward pass over a batch.

    Args:
        passes: the student's first; each with the samples of the batch in the same order.
        prefixes: tokens of each sample that are computed once for all passes.
        terms: what is computed at the response tokens.
        sizes: of the model.
    """
    total = 0.0
    for number, one in enumerate(passes):
        for place, (shown, prefix) in enumerate(zip(one.shown, prefixes, strict=True)):
            again = 2 if one.learns else 1
            if number == 0 and prefix:
                total += _decoder(prefix, 0, sizes, learns=False)
            if not any(before.shown[place].patches for before in passes[:number]):  # The tower sees an image once.
                total += 2 * (sizes.vision * shown.patches + sizes.merger * shown.image_tokens)
                total += 4 * sizes.vision_layers * sizes.vision_width * shown.patch_pairs
            total += _decoder(shown.tokens - prefix, prefix, sizes, learns=one.learns)
            linear = 2 * (sizes.ears * shown.states + sizes.projector * shown.clip_tokens)
            attention = 4 * sizes.ears_layers * sizes.ears_width * shown.squares
            total += (linear + attention) * (2 * again - 1)
    responses = sum(shown.responses for shown in passes[0].shown)
    products = sum(_products(term, sizes) for term in terms)
    return total + products * 2 * sizes.head * responses


def drawing_flops(prompts: Sequence[Shown], sizes: Sizes, *, answers: int, tokens: int) -> float:
    """Operations of drawing `answers` answers of `tokens` tokens to each of `prompts`: an estimate, because nobody
    knows how long answers become. With the limit for `tokens` it is the most that drawing takes.

    Each prompt goes through the model once. A decoding step then puts one more token of every answer on top of all that
    is before it, and makes one row of logits; the last token of an answer is read by nobody.
    """
    total, steps = 0.0, tokens - 1
    for shown in prompts:
        total += 2 * (sizes.vision * shown.patches + sizes.merger * shown.image_tokens)
        total += 4 * sizes.vision_layers * sizes.vision_width * shown.patch_pairs
        total += 2 * (sizes.ears * shown.states + sizes.projector * shown.clip_tokens)
        total += 4 * sizes.ears_layers * sizes.ears_width * shown.squares
        total += _decoder(shown.tokens, 0, sizes, learns=False)
        seen = steps * shown.tokens + steps * (steps + 1) / 2
        decoding = 2 * sizes.decoder * steps + 4 * sizes.layers * sizes.attention_width * seen
        total += answers * (decoding + 2 * sizes.head * tokens)
    return total


def _decoder(new: int, before: int, sizes: Sizes, *, learns: bool) -> float:
    """Operations on `new` tokens that follow `before` others; frozen layers pass a gradient on, trained ones have their
    own, too.
    """
    linear = 2 * sizes.decoder * new
    attention = 4 * sizes.layers * sizes.attention_width * new * (before + new)
    again = 3 if sizes.trains_decoder else 2
    return linear * (again if learns else 1) + attention * (3 if learns else 1)


def _products(term: Term, sizes: Sizes) -> int:
    """Products with a frozen head: the student's logits and their gradient, and the teacher's logits; for each layer
    that is read through the head. A head that is trained has one more, its gradient.
    """
    trained = 1 if sizes.trains_decoder else 0
    if isinstance(term, SftTerm):
        return 2 + trained
    if isinstance(term, LayerMapTerm) and term.space == "logit_lens":
        return (3 + trained) * (sizes.layers // term.every)
    return 3 + trained if isinstance(term, LogitsTerm) else 0


@dataclass(frozen=True)
class Memory:
    """Bytes that a training holds on one device."""

    weights: float
    """The base, and what of it and of the ears is kept a second time (`Sizes.copies`)."""
    optimiser: float
    """Trained weights in float32, their gradients and AdamW's two moments."""
    activations: float
    """What the student's backward pass needs, and the shared keys and values."""
    logits: float
    """The block of logits that exists at a time."""

    @property
    def total(self) -> float:
        """All of it."""
        return self.weights + self.optimiser + self.activations + self.logits


def step_memory(student: Pass, prefixes: Sequence[int], sizes: Sizes, *, batch: int) -> Memory:
    """Memory of a step over `batch` samples like the given ones.

    Activations are an estimate: how many of them are kept is the kernels' affair.

    A frozen decoder layer keeps about 8 vectors of its width and 4 of its feed-forward width per token, and with plain
    attention two maps; a trained encoder layer about 20 vectors.
    """
    size = sizes.value_bytes
    new = [shown.tokens - prefix for shown, prefix in zip(student.shown, prefixes, strict=True)]
    per_token = 8 * sizes.attention_width + 2 * sizes.key_value_width + 4 * sizes.feed_forward
    decoder = sizes.layers * per_token * sum(new) * size
    if sizes.keeps_maps:
        pairs = sum(n * shown.tokens for n, shown in zip(new, student.shown, strict=True))
        decoder += 2 * sizes.layers * sizes.heads * pairs * size
    states = sum(shown.states for shown in student.shown)
    encoder = 20 * sizes.ears_layers * sizes.ears_width * states * size
    shared = 2 * sizes.layers * sizes.key_value_width * sum(prefixes) * size
    activations = (decoder + encoder + shared) * batch / len(student.shown)
    return Memory(sizes.base_bytes + sizes.copies, 16 * sizes.trainable, activations, sizes.workspace)
