"""InternVL in its native Hugging Face form (`model_type` internvl), for example InternVL3-1B-hf."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from earwise.models.families.base import Family, ImageInput


class InternVL(Family):
    """Images become square tiles; each tile becomes `image_seq_length` tokens between two marker tokens."""

    name = "internvl"
    model_types = ("internvl",)
    image_placeholder = "<IMG_CONTEXT>"

    def preprocess(self, image: Any) -> ImageInput:
        """Tiles as the published processor cuts them: (tiles, 3, height, width)."""
        return self._tiles(image, cut=True)

    def preprocess_frame(self, image: Any) -> ImageInput:
        """One tile, as the published processor makes of each frame of a video."""
        return self._tiles(image, cut=False)

    def _tiles(self, image: Any, *, cut: bool) -> ImageInput:
        pixels = self.image_processor(image, crop_to_patches=cut, return_tensors="pt")["pixel_values"]
        return ImageInput({"pixel_values": pixels}, pixels.shape[0] * int(self.model.config.image_seq_length))

    def image_token_ids(self, image: ImageInput) -> tuple[list[int], int]:
        """`<img>`, the placeholders, `</img>`."""
        begin, end = (self.tokenizer.convert_tokens_to_ids(marker) for marker in ("<img>", "</img>"))
        return [begin, *[self.model.config.image_token_id] * image.num_tokens, end], 1

    def encode_images(self, images: Sequence[ImageInput]) -> Tensor:
        """All tiles of all images in one batch."""
        pixels = torch.cat([image.tensors["pixel_values"] for image in images]).to(self.head_weight.device)
        return self.model.model.get_image_features(pixel_values=pixels).pooler_output.flatten(0, 1)
