"""Qwen2-VL (`model_type` qwen2_vl): images of any size, M-RoPE positions in three dimensions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar, Final

import torch
from torch import Tensor

from earwise.models.families.base import Family, ImageInput
from earwise.models.layout import AUDIO_ID, Layout

_LONGEST: Final = 200
"""Limit of a picture's longer side divided by its shorter side."""


class Qwen2VL(Family):
    """The chat template writes the vision markers itself; only the pad token between them is expanded."""

    name = "qwen2_vl"
    model_types: ClassVar[tuple[str, ...]] = ("qwen2_vl",)
    image_placeholder = "<|image_pad|>"

    def preprocess(self, image: Any) -> ImageInput:
        """Flat patches and their (time, height, width) grid."""
        out = self.image_processor(images=[image], return_tensors="pt")
        merge = self.image_processor.merge_size**2
        tensors = {"pixel_values": out["pixel_values"], "image_grid_thw": out["image_grid_thw"]}
        return ImageInput(tensors, int(out["image_grid_thw"].prod()) // merge)

    def refuses_size(self, width: int, height: int) -> str | None:
        """The processor refuses a picture with a side more than 200 times as long as the other."""
        ratio = max(width, height) / min(width, height)
        return f"a picture of {width} x {height} pixels is too narrow for {self.name}" if ratio > _LONGEST else None

    def image_token_ids(self, image: ImageInput) -> list[int]:
        """Only placeholders; the template writes the markers."""
        return [self.image_token_id] * image.num_tokens

    def encode_images(self, images: Sequence[ImageInput]) -> Tensor:
        """Encode the patches of all images in one call."""
        return torch.cat(self._encoded(images).pooler_output)

    def _encoded(self, images: Sequence[ImageInput]) -> Any:
        """The model's own output, with one tensor per image."""
        device = self.head_weight.device
        pixels = torch.cat([image.tensors["pixel_values"] for image in images]).to(device)
        grids = torch.cat([image.tensors["image_grid_thw"] for image in images]).to(device)
        return self.model.model.get_image_features(pixels, grids)

    def positions(self, layout: Layout) -> Tensor:
        """M-RoPE positions from the model's own function; clips count as text, one step per token."""
        shown = [m for m in layout.media if m.stop <= len(layout) and m.image is not None]
        if not shown:
            return torch.arange(len(layout)).expand(3, -1)
        kinds = torch.zeros(1, len(layout), dtype=torch.int)
        for medium in shown:
            kinds[0, medium.start : medium.stop] = 1
        grids = torch.cat([medium.image.tensors["image_grid_thw"] for medium in shown if medium.image is not None])
        ids = torch.tensor(layout.ids)[None]
        positions, _ = self.model.model.get_rope_index(
            ids.masked_fill(ids == AUDIO_ID, 0), mm_token_type_ids=kinds, image_grid_thw=grids
        )
        return positions[:, 0]
