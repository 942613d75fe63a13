"""Attention on CPUs, in blocks of clips whose scores fit the processor's cache.

Plain products write all scores of a batch to memory several times, in float32 under autocast, and torch's fused
attention has a slow backward pass on CPUs. This implementation stores no scores: like FlashAttention (Dao et al. 2022),
it computes them again in the backward pass.

Shapes: B clips, N heads, L queries, S keys, D width of a head.
"""

from __future__ import annotations

from typing import Any, cast

import torch
from torch import Tensor, nn
from transformers import AttentionInterface

NAME = "earwise_blocks"
"""The name of this implementation in Hugging Face configurations."""
_SCORES = 1 << 20
"""Scores in a block: two megabytes in bfloat16."""


def block_attention(query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None, scaling: float) -> Tensor:
    """(B, N, L, D) attention of (B, N, L, D) queries to (B, N, S, D) keys and values, without dropout.

    `mask`, (B or 1, 1, 1 or L, S), is added to the scores. Equal to plain products up to rounding.
    """
    if mask is not None:
        lowest = torch.finfo(query.dtype).min
        mask = mask.to(query.dtype).clamp(min=lowest).expand(query.shape[0], -1, -1, -1)
    with torch.autocast(query.device.type, enabled=False):
        return cast(Tensor, _Blocks.apply(query * scaling, key, value, mask))


class _Blocks(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None) -> Tensor:
        ctx.save_for_backward(query, key, value, mask)
        blocks = zip(*_blocks(query, key, value, mask), strict=True)
        return torch.cat([_weights(q, k, m) @ v for q, k, v, m in blocks])

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        query, key, value, mask = ctx.saved_tensors
        found = []
        for q, k, v, m, gradient in zip(*_blocks(query, key, value, mask, *gradients), strict=True):
            weights = _weights(q, k, m)
            by_weight = gradient @ v.transpose(-1, -2)
            by_score = torch._softmax_backward_data(by_weight, weights, -1, weights.dtype)
            found.append((by_score @ k, by_score.transpose(-1, -2) @ q, weights.transpose(-1, -2) @ gradient))
        return (*(torch.cat(parts) for parts in zip(*found, strict=True)), None)


def _blocks(
    query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None, *others: Tensor
) -> list[tuple[Tensor | None, ...]]:
    _, heads, length, _ = query.shape
    clips = max(1, _SCORES // (heads * length * key.shape[2]))
    count = -(-len(query) // clips)
    cut = [tensor.split(clips) if tensor is not None else (None,) * count for tensor in (query, key, value, mask)]
    return [*cut, *(tensor.split(clips) for tensor in others)]


def _weights(query: Tensor, key: Tensor, mask: Tensor | None) -> Tensor:
    scores = query @ key.transpose(-1, -2)
    return torch.softmax(scores.add_(mask) if mask is not None else scores, dim=-1)


def _for_hugging_face(
    module: nn.Module,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | None,
    scaling: float | None = None,
    dropout: float = 0.0,
    **_: object,
) -> tuple[Tensor, None]:
    if dropout:
        raise NotImplementedError("attention dropout")
    out = block_attention(query, key, value, attention_mask, query.shape[-1] ** -0.5 if scaling is None else scaling)
    return out.transpose(1, 2).contiguous(), None


AttentionInterface.register(NAME, _for_hugging_face)
