"""InternVL in its native Hugging Face form (`model_type` internvl), for example InternVL3-1B-hf."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import Any, Final, cast

import torch
from torch import Tensor
from transformers.utils import cached_file

from earwise.models.families.base import Family, ImageInput

_PROCESSORS: Final = ("video_preprocessor_config.json", "processor_config.json")
"""Files that describe a checkpoint's video processor; older versions of transformers wrote the first."""


class InternVL(Family):
    """Images become square tiles; each tile becomes `image_seq_length` tokens between two marker tokens."""

    name = "internvl"
    model_types = ("internvl",)
    image_placeholder = "<IMG_CONTEXT>"

    def preprocess(self, image: Any) -> ImageInput:
        """Tiles as the published processor cuts them: (tiles, 3, height, width)."""
        return self._tiles(image, cut=True)

    def preprocess_frame(self, image: Any) -> ImageInput:
        """One tile, as the published processor shows a frame of a video."""
        return self._tiles(image, cut=False)

    def frame_label(self, number: int) -> str:
        """`Frame1: `, as the published processor writes it; nothing for a checkpoint without a processor."""
        return f"Frame{number}: " if self._has_processor else ""

    @cached_property
    def _has_processor(self) -> bool:
        """Whether the checkpoint has a video processor; without one, the model was not trained with frame labels."""
        base, revision = self.tokenizer.name_or_path, getattr(self.model.config, "_commit_hash", None)
        found = (
            cached_file(base, name, revision=revision, _raise_exceptions_for_missing_entries=False)
            for name in _PROCESSORS
        )
        return any(found)

    def _tiles(self, image: Any, *, cut: bool) -> ImageInput:
        pixels = self.image_processor(image, crop_to_patches=cut, return_tensors="pt")["pixel_values"]
        return ImageInput({"pixel_values": pixels}, pixels.shape[0] * int(self.model.config.image_seq_length))

    def image_token_ids(self, image: ImageInput) -> list[int]:
        """`<img>`, the placeholders, `</img>`."""
        begin, end = (cast(int, self.tokenizer.convert_tokens_to_ids(marker)) for marker in ("<img>", "</img>"))
        return [begin, *[self.image_token_id] * image.num_tokens, end]

    def encode_images(self, images: Sequence[ImageInput]) -> Tensor:
        """All tiles of all images in one batch."""
        pixels = torch.cat([image.tensors["pixel_values"] for image in images]).to(self.head_weight.device)
        return self.model.model.get_image_features(pixel_values=pixels).pooler_output.flatten(0, 1)
