"""Outputs of the frozen parts of a base for pictures, computed once, however often a picture is drawn.

Shapes: B samples, P prefix tokens, H width.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from earwise.models.batch import Pass, joined
from earwise.models.families.base import ImageInput
from earwise.models.kept import digest_of, in_blocks, kept_by

if TYPE_CHECKING:
    from earwise.models.omni import OmniModel

LIMIT_BYTES = 1 << 29
"""Memory for the pictures of one base."""

KeyValues = list[tuple[Tensor, Tensor]]
"""Per decoder layer the keys and values of the prefix, (B, heads, P, head width) each."""


class KeptPictures:
    """Features of images, and keys and values of the prefixes that begin with them.

    Args:
        model: a model with a frozen vision tower; `prefix` requires that all of its base is frozen.
    """

    def __init__(self, model: OmniModel) -> None:
        self._model = model
        self._kept = kept_by(digest_of(model.base.state_dict()), LIMIT_BYTES)

    def prefix(self, prefix: Pass) -> KeyValues:
        """As `OmniModel.prefix`."""
        rows = [prefix.row(number) for number in range(len(prefix.ids))]
        keys = [(_precision(), *row.ids[0].tolist(), *(image.digest for image in row.images)) for row in rows]
        made = in_blocks(self._kept, keys, rows, lambda row: row.ids.shape, self._of_rows)
        sides = [
            pad_sequence([side[0].transpose(0, 1) for side in same], batch_first=True).transpose(1, 2)
            for same in zip(*made, strict=True)
        ]
        return list(zip(sides[::2], sides[1::2], strict=True))

    @torch.no_grad()
    def features(self, images: Sequence[ImageInput]) -> Tensor:
        """As `Family.encode_images`."""
        keys = [("image", _precision(), image.digest) for image in images]
        return torch.cat([features for (features,) in in_blocks(self._kept, keys, images, _shapes, self._of_images)])

    def _of_rows(self, rows: Sequence[Pass]) -> list[tuple[Tensor, ...]]:
        """For each row the keys and values of all layers in turn, each (1, heads, P, head width)."""
        sides = [side for layer in self._model.prefix(joined(rows)) for side in layer]
        return [tuple(side[number : number + 1].clone() for side in sides) for number in range(len(rows))]

    def _of_images(self, images: Sequence[ImageInput]) -> list[tuple[Tensor, ...]]:
        features = self._model.family.encode_images(images)
        return [(one.clone(),) for one in features.split([image.num_tokens for image in images])]


def _precision() -> str:
    return "autocast" if torch.is_autocast_enabled("cpu") else "full"


def _shapes(image: ImageInput) -> object:
    return tuple((name, tensor.shape) for name, tensor in image.tensors.items())
