"""A decoder that is trained whole: embeddings, layers, final norm and head. The towers and projectors stay as they are.

Embeddings are among it because many checkpoints tie them to the head.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from earwise.errors import InputError
from earwise.models.families import Family

SHARD_BYTES: Final = 4 * 2**30
_DESCRIPTION: Final = "decoder.json"


class Decoder:
    """The decoder of a base as what is trained, in float32 whatever the base is in.

    Files hold its parameters under the names that the base's own checkpoint gives them.
    """

    def __init__(self, family: Family) -> None:
        self._family = family
        for parameter in self.parameters():
            parameter.data = parameter.data.float()
        self.requires_grad_(False)

    def named_parameters(self) -> dict[str, nn.Parameter]:
        """Each once, by its name in the base; looked up anew, because engines of several processes replace them."""
        family = self._family
        mine = {id(p) for p in family.backbone.parameters()} | {id(family.head_weight)}
        return {name: p for name, p in family.model.named_parameters() if id(p) in mine}

    def parameters(self) -> Iterator[nn.Parameter]:
        """All of it."""
        yield from self.named_parameters().values()

    def requires_grad_(self, trained: bool = True) -> None:
        """Whether it is trained."""
        for parameter in self.parameters():
            parameter.requires_grad_(trained)

    def save(self, folder: Path, *, base: str, revision: str | None, shard_bytes: int = SHARD_BYTES) -> None:
        """Write safetensors shards of at most `shard_bytes` (one tensor may be larger), and then `decoder.json` with
        their names and the base that the decoder was trained from.
        """
        folder.mkdir(parents=True, exist_ok=True)
        shards = list(_shards(self.named_parameters(), shard_bytes))
        names = [f"decoder-{n:05d}-of-{len(shards):05d}.safetensors" for n in range(1, len(shards) + 1)]
        for name, shard in zip(names, shards, strict=True):
            try:
                save_file(shard, folder / name)
            except SafetensorError as error:
                what = f"cannot write: {error}"
                raise InputError(what, file=folder / name, remedy="make room, then run again") from error
        described = {"base": base, "revision": revision, "shards": names}
        (folder / _DESCRIPTION).write_text(json.dumps(described, indent=2) + "\n", encoding="utf-8")

    def load(self, folder: Path) -> None:
        """Read what `save` wrote. Raises `InputError` where the parameters are not those of this decoder."""
        described = folder / _DESCRIPTION
        if not described.is_file():
            raise InputError(f"no {_DESCRIPTION}", file=folder, remedy="give a folder that save_ears wrote")
        missing = self.named_parameters()
        for name in json.loads(described.read_text(encoding="utf-8"))["shards"]:
            for key, value in load_file(folder / name).items():
                parameter = missing.pop(key, None)
                if parameter is None or parameter.shape != value.shape:
                    raise InputError(f"{key!r} does not fit the base's decoder", file=folder / name)
                with torch.no_grad():
                    parameter.copy_(value)
        if missing:
            raise InputError(f"no weights for {min(missing)!r}", file=folder, remedy="copy the whole folder")


def _shards(parameters: dict[str, nn.Parameter], most_bytes: int) -> Iterator[dict[str, Tensor]]:
    """`parameters` in order, cut so that no shard of several is larger than `most_bytes`."""
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
