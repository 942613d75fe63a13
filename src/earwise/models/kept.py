"""Tensors that are made once and kept in memory: what frozen modules make of media that are drawn again."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Hashable, Mapping
from functools import lru_cache

import torch
from torch import Tensor


class Kept:
    """Tensors by key. What finds no room is made each time.

    Nothing that was kept gives way to something new: media are drawn in turn, and whatever was used longest ago is
    what comes next.

    Args:
        limit_bytes: memory that the tensors may take.
    """

    def __init__(self, limit_bytes: int) -> None:
        self._limit = limit_bytes
        self._known: dict[Hashable, tuple[Tensor, ...]] = {}
        self.num_bytes = 0
        """Memory that is taken."""

    def __call__(self, key: Hashable, make: Callable[[], tuple[Tensor, ...]]) -> tuple[Tensor, ...]:
        """The tensors of `key`, which `make` makes if they are not kept."""
        if key in self._known:
            return self._known[key]
        made = make()
        size = sum(tensor.nbytes for tensor in made)
        if self.num_bytes + size <= self._limit:
            self._known[key] = made
            self.num_bytes += size
        return made

    def __contains__(self, key: Hashable) -> bool:
        return key in self._known

    def __deepcopy__(self, memo: object) -> Kept:
        """A copy of a frozen module shares it."""
        return self


@lru_cache(maxsize=4)
def kept_by(digest: str, limit_bytes: int) -> Kept:
    """What this process keeps for modules whose weights have this `digest_of`: trainings that begin with equal weights
    share it. Of more than four, the one that was asked for longest ago is forgotten.
    """
    return Kept(limit_bytes)


def digest_of(tensors: Mapping[str, Tensor]) -> str:
    """Hash of named tensors: of a module's weights (`state_dict`), or of a preprocessed image."""
    digest = hashlib.blake2b(digest_size=16)
    for name, value in tensors.items():
        digest.update(f"{name} {value.dtype} {tuple(value.shape)}".encode())
        digest.update(value.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()
