"""How response positions divide their attention between image keys and all other keys, with gradients.

It is computed beside the decoder's own attention from tapped queries (`models/tapping.py`), for the rows that predict
response tokens. In a training pass, gradients flow through these queries and all keys except those of a shared prefix.

Shapes: B samples, L tokens of the pass, C keys (cached ones first), R response positions of a sample, I image keys of a
sample, K asked layers, H query heads, G groups of them per key head, D head width.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint
from transformers import PreTrainedModel

from earwise.errors import EarwiseError
from earwise.models.batch import Pass
from earwise.models.families.base import ImageInput
from earwise.models.tapping import attention_layers, hide_unseen, tapping

ROWS_AT_ONCE = 16
"""Limit of a sample's rows in memory at once, as (B, H, ROWS_AT_ONCE, C)."""


@dataclass(frozen=True)
class AttentionAsk:
    """A request for one view's attention to its images."""

    layers: tuple[int, ...]
    """Numbers of the decoder's layers, from 1."""
    each_head: bool = False
    """Whether to keep each head; the mean over heads takes H times less memory."""

    def __or__(self, other: AttentionAsk) -> AttentionAsk:
        return AttentionAsk(tuple(sorted({*self.layers, *other.layers})), self.each_head or other.each_head)


@dataclass
class ImageAttention:
    """The attention of one view's response positions."""

    layers: tuple[int, ...]
    """Numbers of the layers, from 1."""
    samples: list[Tensor]
    """For each sample (K, H or 1, R, I + 1): natural logarithms of the share of a row's attention on each image key, in
    the order of the tokens, and in the last column on all other keys together."""
    images: list[ImageInput] = field(default_factory=list)
    """The images of all samples, those of a shared prefix first."""


class _Taken:
    def __init__(self, view: Pass, image_keys: Tensor, each_head: bool) -> None:
        self._rows, self._num_rows = _places(view.predicts)
        self._image, self._num_image = _places(image_keys)
        columns = torch.arange(self._image.shape[1], device=image_keys.device)
        self._no_image = (columns >= torch.tensor(self._num_image, device=columns.device)[:, None])[:, None, None]
        self._image_keys, self._each_head = image_keys[:, None, None], each_head
        self.layers: dict[nn.Module, Tensor] = {}

    def take(self, layer: nn.Module, query: Tensor, key: Tensor, mask: Tensor | None, scaling: float) -> None:
        """Add one layer; arguments as in `tapping.Take`. The backward pass computes tensors with a column per key again
        instead of keeping them.
        """
        found = []
        for rows in self._rows.split(ROWS_AT_ONCE, dim=1):
            asked = query.take_along_dim(rows[:, None, :, None], dim=2)
            arguments = (asked, key, mask, scaling, rows, query.shape[2])
            if torch.is_grad_enabled() and query.requires_grad:
                found.append(checkpoint(self._shares, *arguments, use_reentrant=False, preserve_rng_state=False))
            else:
                found.append(self._shares(*arguments))
        self.layers[layer] = torch.cat(found, dim=2)

    def by_sample(self, modules: Sequence[nn.Module]) -> list[Tensor]:
        """For each sample (K, H or 1, R, I + 1), with the layers in the order of `modules`."""
        if missing := [module for module in modules if module not in self.layers]:
            raise EarwiseError(f"no attention passed through {len(missing)} of {len(modules)} tapped layers")
        every = torch.stack([self.layers[module] for module in modules])
        samples = []
        for b, (rows, image) in enumerate(zip(self._num_rows, self._num_image, strict=True)):
            own = every[:, b, :, :rows]
            samples.append(torch.cat([own[..., :image], own[..., -1:]], dim=-1))
        return samples

    def _shares(
        self, query: Tensor, key: Tensor, mask: Tensor | None, scaling: float, rows: Tensor, length: int
    ) -> Tensor:
        """(B, H or 1, r, longest I + 1) for the queries (B, H, r, D) of the `rows` (B, r), in float32 or wider."""
        with torch.autocast(query.device.type, enabled=False):
            wide = torch.promote_types(query.dtype, torch.float32)
            batch, heads, count, width = query.shape
            groups = heads // key.shape[1]
            keys = key.to(wide).transpose(-1, -2)  # (B, H / G, D, C): the heads of a group share it
            asked = query.to(wide).reshape(batch, -1, groups * count, width)
            scores = (asked @ keys).mul_(scaling).unflatten(2, (groups, count))
            scores = hide_unseen(scores, mask, range(batch), rows, length).flatten(1, 2)  # (B, H, r, C)
            rest = scores.masked_fill(self._image_keys, float("-inf")).logsumexp(-1, keepdim=True)
            image = scores.take_along_dim(self._image[:, None, None], dim=-1)
            # Finite also in unused columns: infinities would give NaN gradients there.
            image = image.masked_fill(self._no_image, float("-inf")).clamp_min(torch.finfo(wide).min / 2)
            shares = torch.cat([image, rest], dim=-1).log_softmax(-1)
            return shares if self._each_head else mean_of_heads(shares)


def _places(mask: Tensor) -> tuple[Tensor, list[int]]:
    """(B, most per row) indices where `mask` (B, n) is True, filled up with each row's first; and the count per row."""
    found = [row.nonzero()[:, 0] for row in mask]
    counts = [len(places) for places in found]
    filled = [torch.cat([p, (p[:1] if len(p) else p.new_zeros(1)).expand(max(counts) - len(p))]) for p in found]
    return torch.stack(filled), counts


def mean_of_heads(shares: Tensor) -> Tensor:
    """(..., 1, R, I + 1) logarithm of the mean over heads, from (..., H, R, I + 1) logarithms."""
    return shares.logsumexp(-3, keepdim=True) - math.log(shares.shape[-3])


@contextmanager
def image_attention(
    decoder: PreTrainedModel, ask: AttentionAsk, view: Pass, prefix: Pass | None
) -> Iterator[ImageAttention]:
    """The attention of `view`'s response positions in the one pass that runs inside the block; filled at its end.

    Raises `InputError` as `tapping`, and `EarwiseError` if the pass did not go through every requested layer.
    """
    modules = attention_layers(decoder, [number - 1 for number in ask.layers])
    masks = [view.image_mask] if prefix is None else [prefix.image_mask, view.image_mask]
    taken = _Taken(view, torch.cat(masks, dim=1), ask.each_head)
    found = ImageAttention(ask.layers, [], [*(prefix.images if prefix is not None else ()), *view.images])
    with tapping(decoder, modules, taken.take):
        yield found
    found.samples += taken.by_sample(modules)
