"""Cross entropy from hidden states. The logits of only one chunk of tokens exist at a time.

Shapes: N tokens, H width, V vocabulary.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.utils.checkpoint import checkpoint

CHUNK = 128
"""Tokens per chunk: 78 MiB of float32 logits at a vocabulary of 152,064."""


def linear_cross_entropy(hidden: Tensor, weight: Tensor, targets: Tensor) -> Tensor:
    """-log softmax(hidden @ weight.T)[target] per token, in nats: (N, H), (V, H), (N,) -> (N,) float32. The logits of
    each chunk are recomputed in the backward pass and accumulated in float32.
    """
    chunks = zip(hidden.split(CHUNK), targets.split(CHUNK), strict=True)
    return torch.cat([checkpoint(_chunk, h, weight, t, use_reentrant=False) for h, t in chunks])


def _chunk(hidden: Tensor, weight: Tensor, targets: Tensor) -> Tensor:
    with torch.autocast(hidden.device.type, enabled=False):
        logits = hidden.to(weight.dtype) @ weight.T
        return torch.nn.functional.cross_entropy(logits.float(), targets, reduction="none")
