"""Attention masks beside plain causality: independent turns hide from one another, and a picture sees all of itself.

Shapes: B samples, L tokens.
"""

from __future__ import annotations

import torch
from torch import Tensor

from earwise.errors import EarwiseError
from earwise.models.families import Family


def segment_mask(mask: Tensor, segments: Tensor, dtype: torch.dtype, images: Tensor | None = None) -> Tensor:
    """(B, 1, L, L) to add to attention scores: a token sees the earlier tokens of its own turn and the shared ones, and
    all tokens of its own image if `images`, (B, L), says which tokens are of images.
    """
    length = mask.shape[1]
    earlier = torch.ones(length, length, dtype=torch.bool, device=mask.device).tril()
    if images is not None:
        runs = _runs(images)
        earlier = earlier | ((runs[:, None] == runs[:, :, None]) & images[:, None])
    seen = earlier & mask[:, None] & ((segments[:, None] == 0) | (segments[:, None] == segments[:, :, None]))
    seen |= torch.eye(length, dtype=torch.bool, device=mask.device)  # padding sees itself, so that no row is empty
    return torch.zeros(seen.shape, dtype=dtype, device=mask.device).masked_fill(~seen, torch.finfo(dtype).min)[:, None]


def decoder_masks(
    family: Family, mask: Tensor, segments: Tensor | None, images: Tensor, dtype: torch.dtype
) -> Tensor | dict[str, Tensor]:
    """What the decoder is given as its mask: `mask` itself, (B, L), where plain causality holds.

    Args:
        family: the family of the decoder.
        mask: True where there is a token.
        segments: (B, L) number of the token's independent turn, or None.
        images: (B, L) True for the tokens of images.
        dtype: of the attention scores.

    Raises `EarwiseError` for independent turns in layers with neither full nor sliding attention.
    """
    ahead = images if family.looks_ahead and bool(images.any()) else None
    if segments is None and ahead is None:
        return mask
    shared = torch.zeros_like(mask, dtype=torch.long)
    return segment_masks(family, mask, shared if segments is None else segments, dtype, ahead)


def segment_masks(
    family: Family, mask: Tensor, segments: Tensor, dtype: torch.dtype, images: Tensor | None = None
) -> Tensor | dict[str, Tensor]:
    """`segment_mask` for each kind of decoder layer. A sliding window counts only shared tokens and the own turn.

    Raises `EarwiseError` for layers with neither full nor sliding attention.
    """
    whole = segment_mask(mask, segments, dtype, images)
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


def _runs(images: Tensor) -> Tensor:
    """(B, L) number of the run of image tokens that began last; two images have a marker between them."""
    return (images & ~torch.nn.functional.pad(images[:, :-1], (1, 0))).cumsum(1)


def turn_places(mask: Tensor, segments: Tensor) -> Tensor:
    """(B, L) number of tokens before each token, counting only its own turn and the shared tokens."""
    index = torch.arange(mask.shape[1], device=mask.device).expand_as(segments)
    begins = torch.nn.functional.pad(segments[:, 1:] != segments[:, :-1], (1, 0))
    begin = torch.where(begins, index, 0).cummax(1).values
    shared = (mask & (segments == 0)).sum(1, keepdim=True)
    return torch.where(segments == 0, index, shared + index - begin)
