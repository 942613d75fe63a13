"""Attention masks that hide independent turns from one another.

Shapes: B samples, L tokens.
"""

from __future__ import annotations

import torch
from torch import Tensor

from earwise.errors import EarwiseError
from earwise.models.families import Family


def segment_mask(mask: Tensor, segments: Tensor, dtype: torch.dtype) -> Tensor:
    """(B, 1, L, L) to add to attention scores: a token sees the earlier tokens of its own turn and the shared ones."""
    length = mask.shape[1]
    earlier = torch.ones(length, length, dtype=torch.bool, device=mask.device).tril()
    seen = earlier & mask[:, None] & ((segments[:, None] == 0) | (segments[:, None] == segments[:, :, None]))
    seen |= torch.eye(length, dtype=torch.bool, device=mask.device)  # padding sees itself, so that no row is empty
    return torch.zeros(seen.shape, dtype=dtype, device=mask.device).masked_fill(~seen, torch.finfo(dtype).min)[:, None]


def segment_masks(family: Family, mask: Tensor, segments: Tensor, dtype: torch.dtype) -> Tensor | dict[str, Tensor]:
    """`segment_mask` for each kind of decoder layer. A sliding window counts only shared tokens and the own turn.

    Raises `EarwiseError` for layers with neither full nor sliding attention.
    """
    whole = segment_mask(mask, segments, dtype)
    if not family.forgets:
        return whole
    if other := family.layer_kinds - {"full_attention", "sliding_attention"}:
        raise EarwiseError(f"independent turns are not possible with {min(other)} layers: train on single turns")
    assert family.window is not None
    places = turn_places(mask, segments)
    outside = places[:, :, None] - places[:, None, :] >= family.window
    sliding = whole.masked_fill(outside[:, None], torch.finfo(dtype).min)
    by_kind = {"full_attention": whole, "sliding_attention": sliding}
    return by_kind if len(family.layer_kinds) > 1 or hasattr(family.backbone.config, "layer_types") else sliding


def turn_places(mask: Tensor, segments: Tensor) -> Tensor:
    """(B, L) number of tokens before each token, counting only its own turn and the shared tokens."""
    index = torch.arange(mask.shape[1], device=mask.device).expand_as(segments)
    begins = torch.nn.functional.pad(segments[:, 1:] != segments[:, :-1], (1, 0))
    begin = torch.where(begins, index, 0).cummax(1).values
    shared = (mask & (segments == 0)).sum(1, keepdim=True)
    return torch.where(segments == 0, index, shared + index - begin)
