"""What frozen parts of a base make of pictures: made once, however often questions about a picture are drawn.

Shapes: B samples, P prefix tokens, H width.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from functools import partial
from typing import TYPE_CHECKING, TypeVar

import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from earwise.models.batch import Pass, joined
from earwise.models.families.base import ImageInput
from earwise.models.kept import digest_of, kept_by

if TYPE_CHECKING:
    from earwise.models.omni import OmniModel

LIMIT_BYTES = 1 << 29
"""Memory that this may take for one base."""

KeyValues = list[tuple[Tensor, Tensor]]
"""Per decoder layer the keys and values of the prefix, (B, heads, P, head width) each."""


BLOCK = 8
"""Pictures that are made together: alone, a picture takes several times as long."""
T = TypeVar("T")


class KeptPictures:
    """Features of images, and keys and values of the prefixes that begin with them.

    They are made in blocks of one size and one shape, for the reason that `EncodedClips` gives.

    Args:
        model: whose vision tower is frozen, and for `prefix` all of whose base is.
    """

    def __init__(self, model: OmniModel) -> None:
        self._model = model
        self._kept = kept_by(digest_of(model.base.state_dict()), LIMIT_BYTES)

    def prefix(self, prefix: Pass) -> KeyValues:
        """As `OmniModel.prefix`."""
        rows = [prefix.row(number) for number in range(len(prefix.ids))]
        keys = [("prefix", *row.ids[0].tolist(), *(image.digest for image in row.images)) for row in rows]
        made = self._made(keys, rows, lambda row: row.ids.shape, self._of_rows)
        sides = [
            pad_sequence([side[0].transpose(0, 1) for side in same], batch_first=True).transpose(1, 2)
            for same in zip(*made, strict=True)
        ]
        return list(zip(sides[::2], sides[1::2], strict=True))

    @torch.no_grad()
    def features(self, images: Sequence[ImageInput]) -> Tensor:
        """As `Family.encode_images`."""
        keys = [("image", image.digest) for image in images]
        made = self._made(keys, images, lambda image: [(n, t.shape) for n, t in image.tensors.items()], self._of_images)
        return torch.cat([features for (features,) in made])

    def _made(
        self,
        keys: Sequence[tuple[Hashable, ...]],
        values: Sequence[T],
        shape: Callable[[T], object],
        make: Callable[[Sequence[T]], list[tuple[Tensor, ...]]],
    ) -> list[tuple[Tensor, ...]]:
        """What is kept under each key; what is not is made of its value, with others of its shape."""
        marked: list[Hashable] = [(_precision(), *key) for key in keys]
        unknown: dict[str, dict[Hashable, T]] = {}
        for key, value in zip(marked, values, strict=True):
            if key not in self._kept:
                unknown.setdefault(str(shape(value)), {})[key] = value
        made: dict[Hashable, tuple[Tensor, ...]] = {}
        for same in unknown.values():
            names, all_of_shape = list(same.keys()), list(same.values())
            for start in range(0, len(names), BLOCK):
                block = all_of_shape[start : start + BLOCK]
                filled = [*block, *[block[-1]] * (BLOCK - len(block))]
                made.update(zip(names[start : start + BLOCK], make(filled), strict=False))
        return [self._kept(key, partial(made.__getitem__, key)) for key in marked]

    def _of_rows(self, rows: Sequence[Pass]) -> list[tuple[Tensor, ...]]:
        """(1, heads, P, head width) keys and values of all layers in turn, of each row."""
        sides = [side for layer in self._model.prefix(joined(rows)) for side in layer]
        return [tuple(side[number : number + 1].clone() for side in sides) for number in range(len(rows))]

    def _of_images(self, images: Sequence[ImageInput]) -> list[tuple[Tensor, ...]]:
        features = self._model.family.encode_images(images)
        return [(one.clone(),) for one in features.split([image.num_tokens for image in images])]


def _precision() -> str:
    return "autocast" if torch.is_autocast_enabled("cpu") else "full"
