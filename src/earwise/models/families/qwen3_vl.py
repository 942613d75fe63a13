"""Qwen3-VL (`model_type` qwen3_vl, qwen3_vl_moe): Qwen2-VL whose first decoder layers get features of pictures, too.

DeepStack (arXiv 2406.04334): features of several depths of the tower are added behind the first layers, at the places
of the picture. They belong to the picture's own tokens, so a prefix that ends behind the picture holds their effect.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from earwise.models.families.base import ImageInput
from earwise.models.families.qwen2_vl import Qwen2VL


class Qwen3VL(Qwen2VL):
    """Features have 1 + K times the decoder's width: the embeddings, and what K layers add."""

    name = "qwen3_vl"
    model_types = ("qwen3_vl", "qwen3_vl_moe")

    def encode_images(self, images: Sequence[ImageInput]) -> Tensor:
        """Encode the patches of all images in one call."""
        found = self._encoded(images)
        return torch.cat([torch.cat(one) for one in (found.pooler_output, *found.deepstack_features)], dim=-1)

    def deep_inputs(self, deep: Tensor) -> dict[str, Any]:
        """The layers' features at every place; those of other tokens are 0."""
        everywhere = torch.ones(deep.shape[:2], dtype=torch.bool, device=deep.device)
        layers = [layer.flatten(0, 1) for layer in deep.split(self.width, dim=-1)]
        return {"visual_pos_masks": everywhere, "deepstack_visual_embeds": layers}
