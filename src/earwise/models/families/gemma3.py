"""Gemma 3 (`model_type` gemma3): a picture's tokens see one another in both directions; most layers have windows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from earwise.models.families.base import Family, ImageInput


class Gemma3(Family):
    """One square of 256 tokens per picture, without the optional crops (pan and scan), as the processor by default."""

    name = "gemma3"
    model_types = ("gemma3",)
    image_placeholder = "<start_of_image>"
    around_image = "\n\n", "\n\n"
    looks_ahead = True

    def preprocess(self, image: Any) -> ImageInput:
        """One square, whatever the picture's shape."""
        pixels = self.image_processor([[image]], do_pan_and_scan=False, return_tensors="pt")["pixel_values"]
        return ImageInput({"pixel_values": pixels}, int(self.model.config.mm_tokens_per_image))

    def image_token_ids(self, image: ImageInput) -> list[int]:
        """The placeholders between two markers."""
        config = self.model.config
        return [config.boi_token_index, *[self.image_token_id] * image.num_tokens, config.eoi_token_index]

    def encode_images(self, images: Sequence[ImageInput]) -> Tensor:
        """All pictures in one batch."""
        pixels = torch.cat([image.tensors["pixel_values"] for image in images]).to(self.head_weight.device)
        return self.model.model.get_image_features(pixels).pooler_output.flatten(0, 1)
