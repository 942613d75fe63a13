"""What frozen parts of a base make of pictures: made once, however often questions about a picture are drawn.

Shapes: B samples, P prefix tokens, H width.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from earwise.models.batch import Pass
from earwise.models.families.base import ImageInput
from earwise.models.kept import digest_of, kept_by

if TYPE_CHECKING:
    from earwise.models.omni import OmniModel

LIMIT_BYTES = 1 << 29
"""Memory that this may take for one base."""

KeyValues = list[tuple[Tensor, Tensor]]
"""Per decoder layer the keys and values of the prefix, (B, heads, P, head width) each."""


class KeptPictures:
    """Features of images, and keys and values of the prefixes that begin with them.

    Each is made alone, so it does not depend on which other ones were kept: a resumed training computes what an
    uninterrupted one does.

    Args:
        model: whose vision tower is frozen, and for `prefix` all of whose base is.
    """

    def __init__(self, model: OmniModel) -> None:
        self._model = model
        self._kept = kept_by(digest_of(model.base.state_dict()), LIMIT_BYTES)

    def prefix(self, prefix: Pass) -> KeyValues:
        """As `OmniModel.prefix`."""
        rows = [self._of_row(prefix.row(number)) for number in range(len(prefix.ids))]
        sides = [
            pad_sequence([side[0].transpose(0, 1) for side in same], batch_first=True).transpose(1, 2)
            for same in zip(*rows, strict=True)
        ]
        return list(zip(sides[::2], sides[1::2], strict=True))

    def _of_row(self, row: Pass) -> tuple[Tensor, ...]:
        """(1, heads, P, head width) keys and values of all layers in turn."""
        key = ("prefix", _precision(), *row.ids[0].tolist(), *(image.digest for image in row.images))
        return self._kept(key, lambda: tuple(side for layer in self._model.prefix(row) for side in layer))

    @torch.no_grad()
    def features(self, images: Sequence[ImageInput]) -> Tensor:
        """As `Family.encode_images`."""
        return torch.cat([self._of_image(image) for image in images])

    def _of_image(self, image: ImageInput) -> Tensor:
        encode = self._model.family.encode_images
        return self._kept(("image", _precision(), image.digest), lambda: (encode([image]),))[0]


def _precision() -> str:
    return "autocast" if torch.is_autocast_enabled("cpu") else "full"
