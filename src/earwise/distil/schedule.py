"""Which samples a training sees, in which order: decided once, before it starts, from the seed alone.

Because the order does not depend on how the work is cut up, accumulation, several processes and a resumed run see the
same global batches as one uninterrupted process.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from torch.utils.data import Dataset

from earwise.models.sample import Sample

_MEGABATCH = 32
"""Global batches that are sorted by length together: long enough to group well, short enough to stay random."""


class Schedule(Dataset[Sample]):
    """The samples of a whole training in the order in which they are drawn; iterate it sequentially."""

    def __init__(self, samples: Sequence[Sample], order: Sequence[int]) -> None:
        self._samples = samples
        self._order = order

    def __len__(self) -> int:
        return len(self._order)

    def __getitem__(self, position: int) -> Sample:
        return self._samples[self._order[position]]


def draw(num_samples: int, num_draws: int, seed: int) -> np.ndarray:
    """(num_draws,) indices: permutation after permutation, so that each sample is drawn equally often up to one."""
    rng = np.random.default_rng(seed)
    rounds = -(-num_draws // num_samples)
    return np.concatenate([rng.permutation(num_samples) for _ in range(rounds)])[:num_draws]


def draw_evenly(labels: Sequence[str], num_draws: int, seed: int) -> np.ndarray:
    """(num_draws,) indices: each label is drawn equally often up to one, and so is each sample of a label.

    What a filter left few of is repeated in place of being rare.
    """
    names, label_of = np.unique(np.array(labels), return_inverse=True)
    drawn = draw(len(names), num_draws, seed)
    order = np.empty(num_draws, dtype=np.int64)
    for label in np.unique(drawn):
        places, members = np.flatnonzero(drawn == label), np.flatnonzero(label_of == label)
        order[places] = members[draw(len(members), len(places), seed + 1 + int(label))]
    return order


def mix(first: np.ndarray, second: np.ndarray, share: float, seed: int) -> np.ndarray:
    """`first` with a `share` of its entries, at seeded places, replaced by the entries of `second` in order."""
    count = min(round(share * len(first)), len(second))
    mixed = first.copy()
    places = np.sort(np.random.default_rng(seed).choice(len(first), count, replace=False))
    mixed[places] = second[:count]
    return mixed


def braid(orders: Sequence[np.ndarray], counts: Sequence[int]) -> np.ndarray:
    """Draws of several parts as one order in which every optimiser step has `counts[p]` draws of `orders[p]`, in their
    order.

    Within a step the parts are spread evenly, so that a micro-batch of a step, or what one process gets of it, has
    nearly its share of each.
    """
    places = np.concatenate([(np.arange(count) + 0.5) / count for count in counts])
    steps = np.concatenate([order.reshape(-1, count) for order, count in zip(orders, counts, strict=True)], axis=1)
    return steps[:, np.argsort(places, kind="stable")].reshape(-1)


def repeat_batches(order: np.ndarray, batch: int, times: int) -> np.ndarray:
    """`order` with each global batch of `batch` draws `times` times in a row: several steps on the same samples.

    As long as `order`: what no longer fits is left out. Draws that fill no batch are an error.
    """
    if len(order) % batch:
        raise ValueError(f"{len(order)} draws are no whole number of batches of {batch}")
    return np.repeat(order.reshape(-1, batch), times, axis=0).reshape(-1)[: len(order)]


def group_by_length(order: np.ndarray, lengths: np.ndarray, batch: int, seed: int) -> np.ndarray:
    """`order` rearranged so that each global batch of `batch` draws has samples of similar length; batches stay
    shuffled.

    Only full batches are rearranged; `lengths` has one entry per sample.
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
    """`order` from short to long; draws of one length stay as they were."""
    return order[np.argsort(lengths[order], kind="stable")]
