"""Outputs of frozen modules, computed once and kept in memory for media that are drawn again."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from functools import lru_cache, partial
from typing import TypeVar

import torch
from torch import Tensor

BLOCK = 8
"""Clips or pictures that are computed together. Alone, each takes two to several times as long."""
T = TypeVar("T")


class Kept:
    """Tensors by key, up to `limit_bytes` of memory. Tensors that do not fit are computed each time.

    Nothing is evicted: media are drawn in turn, so the entry that was used longest ago is needed next.
    """

    def __init__(self, limit_bytes: int) -> None:
        self._limit = limit_bytes
        self._known: dict[Hashable, tuple[Tensor, ...]] = {}
        self.num_bytes = 0
        """Memory in use."""

    def __call__(self, key: Hashable, make: Callable[[], tuple[Tensor, ...]]) -> tuple[Tensor, ...]:
        """The tensors of `key`; `make` computes them if they are not kept."""
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
        """Copies of a frozen module share one `Kept`."""
        return self


@lru_cache(maxsize=4)
def kept_by(digest: str, limit_bytes: int) -> Kept:
    """The `Kept` of all training runs of this process that begin with weights of this `digest_of`."""
    return Kept(limit_bytes)


def in_blocks(
    kept: Kept,
    keys: Sequence[Hashable],
    values: Sequence[T],
    shape: Callable[[T], object],
    make: Callable[[list[T]], Iterable[tuple[Tensor, ...]]],
) -> list[tuple[Tensor, ...]]:
    """The tensors of each key. `make` computes the ones that are not kept, from blocks of `BLOCK` values of one shape.

    Products of one shape give a row the same result whatever the other rows hold. So the tensors of a value do not
    depend on what was kept before, and a resumed training run computes the same as an uninterrupted one. The last value
    fills up a block that is too short.
    """
    missing: dict[object, dict[Hashable, T]] = {}
    for key, value in zip(keys, values, strict=True):
        if key not in kept:
            missing.setdefault(shape(value), {})[key] = value
    made: dict[Hashable, tuple[Tensor, ...]] = {}
    for same in missing.values():
        names, same_shape = list(same.keys()), list(same.values())
        for start in range(0, len(names), BLOCK):
            block = same_shape[start : start + BLOCK]
            filled = [*block, *[block[-1]] * (BLOCK - len(block))]
            made.update(zip(names[start : start + BLOCK], make(filled), strict=False))
    return [kept(key, partial(made.__getitem__, key)) for key in keys]


def digest_of(tensors: Mapping[str, Tensor]) -> str:
    """Hash of named tensors, for example of a `state_dict`."""
    digest = hashlib.blake2b(digest_size=16)
    for name, value in tensors.items():
        digest.update(f"{name} {value.dtype} {tuple(value.shape)}".encode())
        digest.update(value.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()
