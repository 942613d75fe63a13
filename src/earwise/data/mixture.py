"""Weighted mixtures of several sources in one order that depends only on the seed.

The whole order is computed in advance, as two small arrays. So a mixture can be read as a stream from any position, and
the state of a reader is one integer.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Generic, Literal, NamedTuple, Protocol, TypeVar

import numpy as np
import numpy.typing as npt

from earwise.errors import InputError

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)


class Source(Protocol[T_co]):
    """Anything with a length and entries that are read one at a time."""

    def __len__(self) -> int: ...

    def __getitem__(self, index: int, /) -> T_co: ...


WhenExhausted = Literal["leave", "stop", "repeat"]
"""What happens at the end of a source: it leaves and the others continue in their proportion; the mixture ends; or the
source repeats in a new order."""


class Draw(NamedTuple):
    """Entry number `entry` of source number `source`, in round number `again`, from 0."""

    source: int
    entry: int
    again: int


@dataclass(frozen=True)
class Order:
    """The draws of a mixture: for each position the source, and the number of earlier draws of that source."""

    sources: npt.NDArray[np.int32]
    turns: npt.NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.sources)


def mixture_order(
    sizes: Sequence[int],
    weights: Sequence[float],
    seed: int,
    *,
    exhausted: WhenExhausted = "leave",
    length: int | None = None,
) -> Order:
    """The source of each position.

    Draw `j` of source `k` happens at time `(j + u) / share_k`, with `u` uniform in [0, 1) and drawn from the seed, and
    the draws of all sources are sorted by time. At any time the number of draws of a source is within one of its share
    of the time. So at any position it is within `1 + share_k * (number of sources - 2)` of its share of the position,
    as long as no source has left.

    Args:
        sizes: number of entries of each source.
        weights: weights of the sources; they need not sum to 1.
        seed: seed of the order.
        exhausted: what happens at the end of a source.
        length: number of draws; None for all.

    Raises `InputError` for a source without entries or of weight 0, for `repeat` without a length, and if the sources
    end before `length`.
    """
    _check(sizes, weights, exhausted, length)
    share = np.asarray(weights, dtype=np.float64) / sum(weights)
    counts = [
        # Each source may be one draw behind its share, which moves the time of the last draw by the number of sources.
        size if exhausted != "repeat" else int(np.ceil(part * ((length or 0) + len(sizes)))) + 1
        for size, part in zip(sizes, share, strict=True)
    ]
    times, sources, turns = [], [], []
    for number, (count, part) in enumerate(zip(counts, share, strict=True)):
        turn = np.arange(count)
        jitter = np.random.default_rng([seed, number, 0]).random(count)
        times.append((turn + jitter) / part)
        sources.append(np.full(count, number, dtype=np.int32))
        turns.append(turn)
    time = np.concatenate(times)
    order = np.argsort(time, kind="stable")
    if exhausted == "stop":
        end = min(count / part for count, part in zip(counts, share, strict=True))
        order = order[time[order] < end]
    if length is not None and length > len(order):
        what = f"{length} draws asked for, the sources end after {len(order)}"
        raise InputError(what, remedy='ask for fewer, or exhausted = "repeat"')
    order = order[:length]
    return Order(np.concatenate(sources)[order], np.concatenate(turns)[order])


def _check(sizes: Sequence[int], weights: Sequence[float], exhausted: WhenExhausted, length: int | None) -> None:
    if not sizes:
        raise InputError("a mixture of nothing")
    for number, (size, weight) in enumerate(zip(sizes, weights, strict=True)):
        if size < 1:
            raise InputError("no entries", record=f"source {number} of the mixture")
        if not 0 < weight < np.inf:
            raise InputError(f"its weight is {weight:g}", record=f"source {number} of the mixture", remedy="above 0")
    if exhausted == "repeat" and length is None:
        raise InputError("a mixture that repeats has no end", remedy="say how many draws")


class Mixture(Generic[T]):
    """Several sources as one sequence in a seeded order; see `mixture_order` for the arguments.

    Each source has a new order in each round. Entries are read on access and not kept.
    """

    def __init__(
        self,
        sources: Sequence[Source[T]],
        weights: Sequence[float],
        seed: int,
        *,
        exhausted: WhenExhausted = "leave",
        length: int | None = None,
    ) -> None:
        self._sources, self._seed = sources, seed
        sizes = [len(source) for source in sources]
        self._order = mixture_order(sizes, weights, seed, exhausted=exhausted, length=length)
        self._permutations: dict[int, tuple[int, npt.NDArray[np.int64]]] = {}

    def __len__(self) -> int:
        return len(self._order)

    def draw(self, position: int) -> Draw:
        """The draw at `position`."""
        source, turn = int(self._order.sources[position]), int(self._order.turns[position])
        again, place = divmod(turn, len(self._sources[source]))
        return Draw(source, int(self._permutation(source, again)[place]), again)

    def __getitem__(self, position: int) -> T:
        source, entry, _ = self.draw(position)
        return self._sources[source][entry]

    def stream(self, position: int = 0) -> Iterator[T]:
        """The entries from `position` on, for example for a resumed reader."""
        return (self[place] for place in range(position, len(self)))

    def _permutation(self, source: int, again: int) -> npt.NDArray[np.int64]:
        """Order of a source in round `again`. One round per source is kept, because positions are read in order."""
        known = self._permutations.get(source)
        if known is None or known[0] != again:
            rng = np.random.default_rng([self._seed, source, again + 1])
            known = (again, rng.permutation(len(self._sources[source])))
            self._permutations[source] = known
        return known[1]
