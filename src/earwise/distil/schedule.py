"""Which samples a training run sees in which order: decided by the seed, before it starts.

The order does not depend on how the work is divided. So accumulation, several processes and a resumed run see the same
global batches as one uninterrupted process.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from torch.utils.data import Dataset

from earwise.models.sample import Sample

_MEGABATCH = 32
"""Global batches that are sorted by length together: enough to group well, few enough to stay random."""


class Schedule(Dataset[Sample]):
    """The samples of a whole training run in drawing order; iterate it sequentially."""

    def __init__(self, samples: Sequence[Sample], order: Sequence[int]) -> None:
        self._samples = samples
        self._order = order

    def __len__(self) -> int:
        return len(self._order)

    def __getitem__(self, position: int) -> Sample:
        return self._samples[self._order[position]]


def draw(num_samples: int, num_draws: int, seed: int) -> np.ndarray:
    """(num_draws,) indices: one permutation after another, so that counts per sample differ by at most one."""
    rng = np.random.default_rng(seed)
    rounds = -(-num_draws // num_samples)
    return np.concatenate([rng.permutation(num_samples) for _ in range(rounds)])[:num_draws]


def draw_evenly(labels: Sequence[str], num_draws: int, seed: int) -> np.ndarray:
    """(num_draws,) indices: counts per label differ by at most one, and so do counts per sample of a label. A label
    with few samples is repeated instead of being rare.
    """
    names, label_of = np.unique(np.array(labels), return_inverse=True)
    drawn = draw(len(names), num_draws, seed)
    order = np.empty(num_draws, dtype=np.int64)
    for label in np.unique(drawn):
        places, members = np.flatnonzero(drawn == label), np.flatnonzero(label_of == label)
        order[places] = members[draw(len(members), len(places), seed + 1 + int(label))]
    return order


def mix(first: np.ndarray, second: np.ndarray, share: float, seed: int) -> np.ndarray:
    """`first` with a `share` of its entries replaced, at seeded places, by the entries of `second` in order."""
    count = min(round(share * len(first)), len(second))
    mixed = first.copy()
    places = np.sort(np.random.default_rng(seed).choice(len(first), count, replace=False))
    mixed[places] = second[:count]
    return mixed


def braid(orders: Sequence[np.ndarray], counts: Sequence[int]) -> np.ndarray:
    """Draws of several parts as one order: every optimiser step has the next `counts[p]` draws of each `orders[p]`.
    Within a step the parts are spread evenly, so that each micro-batch and each process gets about its share of each.
    """
    places = np.concatenate([(np.arange(count) + 0.5) / count for count in counts])
    steps = np.concatenate([order.reshape(-1, count) for order, count in zip(orders, counts, strict=True)], axis=1)
    return steps[:, np.argsort(places, kind="stable")].reshape(-1)


def repeat_batches(order: np.ndarray, batch: int, times: int) -> np.ndarray:
    """`order` with each global batch of `batch` draws repeated `times` times in a row, cut to the length of `order`.
    Raises `ValueError` if the draws are no whole number of batches.
    """
    if len(order) % batch:
        raise ValueError(f"{len(order)} draws are no whole number of batches of {batch}")
    return np.repeat(order.reshape(-1, batch), times, axis=0).reshape(-1)[: len(order)]


def group_by_length(order: np.ndarray, lengths: np.ndarray, batch: int, seed: int) -> np.ndarray:
    """`order`, rearranged so that each global batch of `batch` draws has samples of similar length, in shuffled
    batches. Only full batches are rearranged; `lengths` has one entry per sample.
    """
    rng = np.random.default_rng(seed)
    grouped = []
    for start in range(0, len(order), batch * _MEGABATCH):
        mega = order[start : start + batch * _MEGABATCH]
        full = len(mega) // batch * batch
        by_length = mega[:full][np.argsort(lengths[mega[:full]], kind="stable")].reshape(-1, batch)
        grouped += [by_length[rng.permutation(len(by_length))].reshape(-1), mega[full:]]
    return np.concatenate(grouped)


def shortest_first(order: np.ndarray, lengths: np.ndarray) -> np.ndarray:
    """`order` from short to long; draws of the same length keep their order."""
    return order[np.argsort(lengths[order], kind="stable")]
