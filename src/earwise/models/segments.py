"""What independent turns see of one another: nothing, as if each were asked alone.

Shapes: B samples, L tokens.
"""

from __future__ import annotations

import torch
from torch import Tensor

from earwise.errors import EarwiseError
from earwise.models.families import Family


def segment_mask(mask: Tensor, segments: Tensor, dtype: torch.dtype) -> Tensor:
    """(B, 1, L, L) added to attention scores: a token sees the shared tokens and its own turn, and nothing later."""
    length = mask.shape[1]
    earlier = torch.ones(length, length, dtype=torch.bool, device=mask.device).tril()
    seen = earlier & mask[:, None] & ((segments[:, None] == 0) | (segments[:, None] == segments[:, :, None]))
    seen |= torch.eye(length, dtype=torch.bool, device=mask.device)  # padding sees itself, so that no row is empty
    return torch.zeros(seen.shape, dtype=dtype, device=mask.device).masked_fill(~seen, torch.finfo(dtype).min)[:, None]


def segment_masks(family: Family, mask: Tensor, segments: Tensor, dtype: torch.dtype) -> Tensor | dict[str, Tensor]:
    """`segment_mask` for each kind of layer that the decoder has: in a sliding window, a turn counts what all turns see
    and itself, as if it stood alone.

    Raises `EarwiseError` for layers of other kinds.
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
    """(B, L) how many tokens stand before each one in its own turn and in what all turns see."""
    index = torch.arange(mask.shape[1], device=mask.device).expand_as(segments)
    begins = torch.nn.functional.pad(segments[:, 1:] != segments[:, :-1], (1, 0))
    begin = torch.where(begins, index, 0).cummax(1).values
    shared = (mask & (segments == 0)).sum(1, keepdim=True)
    return torch.where(segments == 0, index, shared + index - begin)
