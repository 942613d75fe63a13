"""The sizes of a model and of a sample that determine the cost of a training step."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, cast

from torch import nn

from earwise.distil.divergence import Tiling
from earwise.models.ears import Ears
from earwise.models.families import OwnEars
from earwise.models.families.base import ImageInput
from earwise.models.layout import Layout
from earwise.models.mel import FULL_FRAMES, Tail, bucket_frames
from earwise.models.omni import OmniModel

AGAIN_MAP, AGAIN_FUSED = 2.0, 2.5
"""Ratio of attention in the backward to the forward pass, with the map stored and with scores recomputed."""


@dataclass(frozen=True)
class Hearing:
    """The sizes of ears that determine their cost."""

    encoder: int
    """Parameters that every encoder state passes through."""
    layers: int
    width: int
    mel_bins: int
    window: int
    """States that attend to one another; 0 where a clip's do all."""
    projector: int
    """Parameters that every token passes through."""
    own: OwnEars | None
    """A base's own ears, which count a clip's states themselves; others process it in whole seconds."""
    trains_encoder: bool
    frozen: int = 0
    """Layers with cached states. They cost nothing in a step; `encoder` and `layers` count the layers after them."""
    tail: Tail = 0.0
    """Silence that is encoded behind each clip."""
    only_lora: bool = False
    """Whether the encoder's own weights get no gradient, as only updates beside them are trained."""

    @classmethod
    def of(cls, model: OmniModel) -> Hearing:
        """Sizes of the ears of `model`, or of none."""
        if isinstance(model.ears, OwnEars):
            encoder, projector = model.ears.modules_of_base
            window = model.ears.window
        elif isinstance(model.ears, Ears):
            encoder, projector, window = model.ears.encoder, model.ears.projector, FULL_FRAMES // 2
        else:
            return cls(0, 0, 0, 0, 0, 0, own=None, trains_encoder=False)
        positions = getattr(encoder, "embed_positions", None)
        given = model.ears if isinstance(model.ears, Ears) else None
        frozen = given.frozen_layers if given is not None else 0
        kept = (encoder.conv1, encoder.conv2, *encoder.layers[:frozen]) if frozen else ()
        without = {id(p) for part in (projector, positions, *kept) if part is not None for p in part.parameters()}
        every = sum(_matrices(encoder.parameters(), without))
        every += 0 if frozen or not hasattr(encoder, "conv1") else encoder.conv1.weight.numel()  # two frames to a state
        trained = any(p.requires_grad and id(p) not in without for p in encoder.parameters())
        return cls(
            every,
            len(encoder.layers) - frozen,
            encoder.config.d_model,
            encoder.config.num_mel_bins,
            window,
            sum(_matrices(projector.parameters(), set())),
            own=model.ears if isinstance(model.ears, OwnEars) else None,
            trains_encoder=trained,
            frozen=frozen,
            tail=given.config.tail if given is not None else 0.0,
            only_lora=given is not None and given.has_lora,
        )

    def states(self, num_samples: int) -> int:
        """Encoder states of a clip."""
        return bucket_frames(num_samples, self.tail) // 2 if self.own is None else self.own.states_of(num_samples)

    def pairs(self, states: int) -> int:
        """Pairs of a clip's states that attend to one another."""
        if not self.window:
            return states**2
        whole, rest = divmod(states, self.window)
        return whole * self.window**2 + rest**2

    def flops(self, shown: Shown, *, learns: bool) -> float:
        """Operations on the clips of a sample, including the gradients of trained weights."""
        linear = 2 * self.encoder * shown.states
        attention = 4 * self.layers * self.width * shown.state_pairs
        projector = 2 * self.projector * shown.clip_tokens
        if not learns:
            return linear + attention + projector
        if not self.trains_encoder:  # the gradient ends at the projector
            return linear + attention + 2 * projector
        return (2 if self.only_lora else 3) * linear + (1 + AGAIN_FUSED) * attention + 3 * projector


@dataclass(frozen=True)
class Sizes:
    """The sizes of a model that determine the cost of a step."""

    decoder: int
    """Parameters of the decoder's matrices that a token passes through, without embeddings and head."""
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
    vision_window: int
    """Patches along a side of an attention window; 0 for attention over the whole image."""
    vision_global: int
    """Layers with attention over the whole image in spite of windows."""
    patch_values: int
    """Pixel values that become one patch."""
    merger: int
    """Parameters that every token of an image passes through."""
    hearing: Hearing
    width: int
    trainable: int
    trains_decoder: bool
    """Whether its matrices and the head are trained."""
    base: int
    base_bytes: int
    copies: int
    """Bytes of the matrices that are kept a second time, in bfloat16, for the backward pass: autocast casts the float32
    ones that a gradient passes through, trained or not."""
    value_bytes: int
    """Bytes of one activation in the decoder."""
    keeps_maps: bool
    """Whether attention stores its map for the backward pass."""
    workspace: int
    """Bytes of logits that exist at the same time."""

    @classmethod
    def of(cls, model: OmniModel, *, bfloat16: bool) -> Sizes:
        """Sizes of `model`, whose trained parameters require gradients."""
        family, config = model.family, cast(Any, model.family.backbone.config)
        base = dict(model.base.named_parameters())
        embedding = {id(p) for p in (*family.embed.parameters(), family.head_weight)}
        heads = config.num_attention_heads
        head_width = getattr(config, "head_dim", None) or config.hidden_size // heads
        return cls(
            decoder=sum(_matrices(family.backbone.parameters(), embedding)) - _idle(family.backbone),
            layers=config.num_hidden_layers,
            attention_width=heads * head_width,
            key_value_width=config.num_key_value_heads * head_width,
            feed_forward=config.intermediate_size,
            heads=heads,
            head=family.head_weight.numel(),
            **_vision(model, base) if family.sees else _BLIND,
            hearing=Hearing.of(model),
            width=family.width,
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


def _idle(decoder: nn.Module) -> int:
    """Parameters of the experts that a token does not pass through, in a mixture of experts."""
    config = cast(Any, decoder).config
    experts, chosen = getattr(config, "num_experts", 0), getattr(config, "num_experts_per_tok", 0)
    stacked = sum(p.numel() for p in decoder.parameters() if p.ndim == 3 and p.shape[0] == experts)
    return stacked * (experts - chosen) // experts if experts else 0


def _copies(model: OmniModel, embedding: set[int]) -> int:
    """Bytes in bfloat16 of the decoder's matrices and of what is trained, as far as they are in float32."""
    trained = (p for p in model.parameters() if p.requires_grad)
    wide = {id(p): p for p in (*model.family.backbone.parameters(), *trained) if p.element_size() > 2}
    added = {id(model.ears.encoder.embed_positions.weight)} if isinstance(model.ears, Ears) else set()
    return 2 * sum(_matrices(wide.values(), embedding | added))


_BLIND: Final = {
    "vision": 0, "vision_layers": 0, "vision_width": 0, "vision_window": 0, "vision_global": 0,
    "patch_values": 1, "merger": 0,
}  # fmt: skip


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
        "vision_window": getattr(config, "window_size", 0) // size,
        "vision_global": len(getattr(config, "fullatt_block_indexes", ())),
        "patch_values": 3 * size**2 * getattr(config, "temporal_patch_size", 1),
        "merger": sum(_matrices(merges, set())),
    }


@dataclass(frozen=True)
class Shown:
    """The sizes of one sample under one view."""

    tokens: int
    responses: int
    patches: float
    patch_pairs: float
    """Pairs of patches that attend to one another, summed over the layers."""
    image_tokens: int
    states: int
    """Encoder states of each of its clips."""
    clip_tokens: int
    state_pairs: int
    """Pairs of its clips' states that attend to one another, in each layer."""
    has_turns: bool
    """Whether it has independent turns, with one mask for all layers."""

    @classmethod
    def of(cls, layout: Layout, sizes: Sizes) -> Shown:
        """Lengths of a layout."""
        images = [medium.image for medium in layout.media if medium.image is not None]
        hearing = sizes.hearing
        states = [hearing.states(m.num_samples) for m in layout.media if m.kind == "audio"]
        return cls(
            tokens=len(layout),
            responses=len(layout.response),
            patches=sum(image.tensors["pixel_values"].numel() / sizes.patch_values for image in images),
            patch_pairs=sum(_patch_pairs(image, sizes) for image in images),
            image_tokens=sum(m.stop - m.start for m in layout.media if m.kind == "image"),
            states=sum(states),
            clip_tokens=sum(m.stop - m.start for m in layout.media if m.kind == "audio"),
            state_pairs=sum(map(hearing.pairs, states)),
            has_turns=bool(layout.starts),
        )


def _patch_pairs(image: ImageInput, sizes: Sizes) -> float:
    """Pairs of patches of one image that attend to one another, summed over the layers."""
    pixels, grid = image.tensors["pixel_values"], image.tensors.get("image_grid_thw")
    patches = pixels.numel() / sizes.patch_values
    tiles = pixels.shape[0] if pixels.ndim == 4 else 1
    if not sizes.vision_window or grid is None:
        return sizes.vision_layers * patches**2 / tiles
    _, height, width = grid.flatten().tolist()
    in_windows = _squares(height, sizes.vision_window) * _squares(width, sizes.vision_window)
    return sizes.vision_global * patches**2 + (sizes.vision_layers - sizes.vision_global) * in_windows


def _squares(length: int, window: int) -> int:
    """Sum of the squares of what a side of `length` patches is cut into."""
    whole, rest = divmod(length, window)
    return whole * window**2 + rest**2
