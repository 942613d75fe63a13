"""A fully trained decoder: embeddings, layers, final norm and head, without towers and projectors.

It includes the embeddings because many checkpoints tie them to the head.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Final

import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from earwise.errors import InputError
from earwise.models.families import Family
from earwise.models.saving import read_description, save_description, save_tensors

SHARD_BYTES: Final = 4 * 2**30
_DESCRIPTION: Final = "decoder.json"


class Decoder:
    """The decoder of a base for training, in float32 even where the base has less precision.

    Its files use the parameter names of the base's own checkpoint.
    """

    def __init__(self, family: Family) -> None:
        self._family = family
        for parameter in self.parameters():
            parameter.data = parameter.data.float()
        self.requires_grad_(False)

    def named_parameters(self) -> dict[str, nn.Parameter]:
        """Parameters by their names in the base; looked up anew, because DDP and FSDP2 replace them."""
        family = self._family
        mine = {id(p) for p in family.backbone.parameters()} | {id(family.head_weight)}
        return {name: p for name, p in family.model.named_parameters() if id(p) in mine}

    def parameters(self) -> Iterator[nn.Parameter]:
        """The values of `named_parameters`."""
        yield from self.named_parameters().values()

    def requires_grad_(self, trained: bool = True) -> None:
        """Train the decoder, or freeze it."""
        for parameter in self.parameters():
            parameter.requires_grad_(trained)

    def save(self, folder: Path, *, base: str, revision: str | None, shard_bytes: int = SHARD_BYTES) -> None:
        """Write safetensors shards of at most `shard_bytes` (a larger tensor has its own), and then `decoder.json` with
        their names and the base.
        """
        shards = list(_shards(self.named_parameters(), shard_bytes))
        names = [f"decoder-{n:05d}-of-{len(shards):05d}.safetensors" for n in range(1, len(shards) + 1)]
        for name, shard in zip(names, shards, strict=True):
            save_tensors(shard, folder / name)
        save_description({"base": base, "revision": revision, "shards": names}, folder / _DESCRIPTION)

    def load(self, folder: Path) -> None:
        """Read what `save` wrote. Raises `InputError` for parameters that are not those of this decoder."""
        missing = self.named_parameters()
        for name in read_description(folder, _DESCRIPTION)["shards"]:
            for key, value in load_file(folder / name).items():
                parameter = missing.pop(key, None)
                if parameter is None or parameter.shape != value.shape:
                    raise InputError(f"{key!r} does not fit the base's decoder", file=folder / name)
                with torch.no_grad():
                    parameter.copy_(value)
        if missing:
            raise InputError(f"no weights for {min(missing)!r}", file=folder, remedy="copy the whole folder")


def _shards(parameters: dict[str, nn.Parameter], most_bytes: int) -> Iterator[dict[str, Tensor]]:
    """`parameters` in order, in shards of at most `most_bytes`, except for a shard of one larger tensor."""
    shard: dict[str, Tensor] = {}
    size = 0
    for name, parameter in parameters.items():
        value = parameter.detach().contiguous()
        if shard and size + value.nbytes > most_bytes:
            yield shard
            shard, size = {}, 0
        shard[name] = value
        size += value.nbytes
    yield shard
