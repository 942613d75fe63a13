"""SmolVLM and Idefics3 (`model_type` smolvlm, idefics3): a large picture is cut into rows of tiles.

Each tile is a run of placeholders behind a marker that says its row and column; a small whole picture follows.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final, cast

import torch
from torch import Tensor
from transformers import PreTrainedModel

from earwise.models.families.base import Family, ImageInput

_MARK: Final = "<fake_token_around_image>"
_WHOLE: Final = "<global-img>"


class SmolVLM(Family):
    """Frames of a video are shown whole, as the published processor does, but without their times."""

    name = "smolvlm"
    model_types = ("smolvlm", "idefics3")
    image_placeholder = "<image>"

    @property
    def backbone(self) -> PreTrainedModel:
        """The decoder without its head."""
        return cast(PreTrainedModel, self.model.model.text_model)

    def preprocess(self, image: Any) -> ImageInput:
        """Tiles, their masks, and how many rows and columns they make."""
        return self._tiles(image)

    def preprocess_frame(self, image: Any) -> ImageInput:
        """The whole picture as one tile."""
        return self._tiles(image, do_image_splitting=False)

    def _tiles(self, image: Any, **options: bool) -> ImageInput:
        out = self.image_processor([[image]], return_row_col_info=True, return_tensors="pt", **options)
        tensors = {name: out[name] for name in ("pixel_values", "pixel_attention_mask")}
        tensors["grid"] = torch.tensor([out["rows"][0][0], out["cols"][0][0]])
        return ImageInput(tensors, tensors["pixel_values"].shape[1] * self._tokens_of_a_tile)

    @property
    def _tokens_of_a_tile(self) -> int:
        config = self.model.config
        side = config.vision_config.image_size // config.vision_config.patch_size
        return int(side**2 / config.scale_factor**2)

    def image_token_ids(self, image: ImageInput) -> list[int]:
        """Rows of tiles, each row ended by a line break, and the whole picture; or only the whole picture."""
        tile = self.image_placeholder * self._tokens_of_a_tile
        rows, columns = image.tensors["grid"].tolist()
        text = "".join(
            "".join(f"{_MARK}<row_{row + 1}_col_{column + 1}>{tile}" for column in range(columns)) + "\n"
            for row in range(rows)
        )
        whole = f"{_MARK}{_WHOLE}{tile}{_MARK}"
        return list(self.tokenizer.encode(f"{text}\n{whole}" if rows else whole, add_special_tokens=False))

    def encode_images(self, images: Sequence[ImageInput]) -> Tensor:
        """All tiles of all images in one batch."""
        names = ("pixel_values", "pixel_attention_mask")
        tiles = {
            name: torch.cat([image.tensors[name] for image in images], 1).to(self.head_weight.device) for name in names
        }
        found = self.model.model.get_image_features(**tiles).pooler_output
        return torch.cat([one.reshape(-1, self.width) for one in found])
