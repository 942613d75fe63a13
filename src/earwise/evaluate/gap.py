"""The difference between two views of the same items, with its uncertainty.

Items that share an image are not independent, so every standard error and interval is over clusters (Miller 2024, arXiv
2411.00640). Values keep their scale: 0-1 scores give a gap between -1 and 1.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt
from scipy.stats import binomtest

from earwise.errors import InputError

RESAMPLES: Final = 2000
CHUNK: Final = 250
"""Resamples per batch."""

Floats = npt.NDArray[np.float64]
Values = Mapping[str, float] | Sequence[float]
Clusters = Mapping[str, Hashable] | Sequence[Hashable]
Bounds = tuple[float, float]
"""The lowest and highest possible value of a number: (0, 1) for a share, (-100, 100) for a gap in points."""
Z: Final = 1.959963984540054
"""97.5 % point of the normal distribution."""
Metric = Callable[[Floats], Floats]
"""From item weights (B, n), how often each resample holds each item, to the metric's B values."""


@dataclass(frozen=True)
class Gap:
    """A paired difference of mean scores, first minus second."""

    value: float
    se: float
    """Clustered standard error of `value`."""
    ci95: tuple[float, float]
    """Percentile interval of the cluster bootstrap; see `ends` for clusters with equal differences."""
    mcnemar_p: float | None
    """Two-sided exact McNemar test, which ignores clusters; None unless all values are 0 or 1."""
    only_a: int
    """Items on which the first scores more than the second."""
    only_b: int
    n: int


def paired_gap(a: Values, b: Values, clusters: Clusters | None = None, seed: int = 0) -> Gap:
    """Mean of `a` minus mean of `b` over the same items.

    `a` and `b` are dictionaries with the same item ids, or sequences in the same order. `clusters` gives each item's
    cluster in the same form (None: each item is its own cluster). With d_i = a_i - b_i,

        se^2 = C / (C - 1) * (1 / n^2) * sum over clusters c of (sum over i in c of (d_i - mean d))^2,

    the clustered error of Miller 2024 with the small-sample factor C / (C - 1) for C clusters, so that clusters of one
    item give the textbook paired error. Raises `InputError` for an item without partner or cluster, a value that is not
    finite, and fewer than 2 clusters.
    """
    first, second, groups = _aligned(a, b, clusters)
    difference = first - second
    codes, count = _codes(groups, len(difference))
    only_a, only_b = int(np.sum(difference > 0)), int(np.sum(difference < 0))
    binary = bool(np.isin(first, (0, 1)).all() and np.isin(second, (0, 1)).all())
    bounds = (-1.0, 1.0) if _within_01(first) and _within_01(second) else None
    mean, low, high = _mean_interval(difference, codes, count, seed, bounds)
    return Gap(
        value=mean,
        se=_clustered_se(difference, codes, count),
        ci95=(low, high),
        mcnemar_p=_mcnemar(only_a, only_b) if binary else None,
        only_a=only_a,
        only_b=only_b,
        n=len(difference),
    )


def interval(values: Values, clusters: Clusters | None = None, seed: int = 0) -> tuple[float, float, float]:
    """Mean of `values` and its 95 % interval (percentile cluster bootstrap; `ends`), as (mean, low, high)."""
    numbers, _, groups = _aligned(values, values, clusters)
    bounds = (0.0, 1.0) if _within_01(numbers) else None
    return _mean_interval(numbers, *_codes(groups, len(numbers)), seed, bounds)


def ends(draws: Floats, count: int, bounds: Bounds | None) -> tuple[float, float]:
    """The ends of a 95 % interval: percentiles of resamples of `count` clusters.

    If every cluster has the same value v, every resample has it too: 9 right answers of 9 would give exactly 100 %.
    Such a sample does not show how many clusters have another value. Wilson's interval for 0 of C ends at a share of p
    = z^2 / (C + z^2), and the values of these clusters may lie anywhere within `bounds`, so the ends are then

        v + p (lowest - v)  and  v + p (highest - v).

    For a share of 0 or 1 this is Wilson's interval over clusters: 9 of 9 give 0.701 to 1. Without bounds the
    percentiles are returned unchanged.
    """
    low, high = (float(end) for end in np.percentile(draws, (2.5, 97.5)))
    if bounds is None or not agree(draws):
        return low, high
    other, value = share_unseen(count), float(np.mean(draws))
    return value + other * (bounds[0] - value), value + other * (bounds[1] - value)


def agree(draws: Floats) -> bool:
    """Whether all resamples give the same value, up to rounding."""
    return bool(np.ptp(draws) <= 1e-9 * max(1.0, float(np.abs(draws).max())))


def share_unseen(count: int) -> float:
    """The largest share of clusters of another kind that is compatible with `count` clusters of one kind (Wilson, 95
    %).
    """
    return Z**2 / (count + Z**2)


def metric_interval(
    metric: Metric, clusters: Sequence[Hashable], seed: int = 0, *, bounds: Bounds | None = None
) -> tuple[float, float, float]:
    """Value and 95 % interval of a metric that is not a mean (MME total, a difference of two), as (value, low, high).
    Clusters are resampled as for `interval`; `metric` receives the weights of all items, and `bounds` are its own, for
    `ends`. For a paired difference, `metric` subtracts one view from the other under the same weights, so both see the
    same resample.
    """
    low, high = ends(metric_draws(metric, clusters, seed), len(set(clusters)), bounds)
    return float(metric(np.ones((1, len(clusters))))[0]), low, high


def metric_draws(metric: Metric, clusters: Sequence[Hashable], seed: int | Sequence[int] = 0) -> Floats:
    """(RESAMPLES,) the metric's value on each resample; see `metric_interval`."""
    codes, count = _codes(list(clusters), len(clusters))
    draws = []
    rng = np.random.default_rng(seed)
    for start in range(0, RESAMPLES, CHUNK):
        size = min(CHUNK, RESAMPLES - start)
        picked = rng.integers(0, count, (size, count)) + count * np.arange(size)[:, None]
        times = np.bincount(picked.ravel(), minlength=size * count).reshape(size, count)
        draws.append(metric(times[:, codes].astype(np.float64)))
    return np.concatenate(draws)


def _mean_interval(
    values: Floats, codes: npt.NDArray[np.intp], count: int, seed: int, bounds: Bounds | None
) -> tuple[float, float, float]:
    """The bootstrap of a mean from each cluster's sum and size, with the resamples of `metric_interval`."""
    sums = np.bincount(codes, weights=values, minlength=count)
    sizes = np.bincount(codes, minlength=count).astype(np.float64)
    rng = np.random.default_rng(seed)
    equal = bool((sizes == sizes[0]).all())
    means = []
    for start in range(0, RESAMPLES, CHUNK):
        picked = rng.integers(0, count, (min(CHUNK, RESAMPLES - start), count))
        total = sums[picked].sum(axis=1)
        means.append(total / (sizes[0] * count) if equal else total / sizes[picked].sum(axis=1))
    return float(values.mean()), *ends(np.concatenate(means), count, bounds)


def _within_01(values: Floats) -> bool:
    return bool(((values >= 0) & (values <= 1)).all())


def _clustered_se(values: Floats, codes: npt.NDArray[np.intp], count: int) -> float:
    residuals = np.bincount(codes, weights=values - values.mean(), minlength=count)
    return float(np.sqrt(count / (count - 1) * np.sum(residuals**2)) / len(values))


def _mcnemar(only_a: int, only_b: int) -> float:
    return float(binomtest(only_a, only_a + only_b).pvalue) if only_a + only_b else 1.0


def _codes(groups: Sequence[Hashable] | None, n: int) -> tuple[npt.NDArray[np.intp], int]:
    """The cluster number of each item, and the number of clusters."""
    numbers: dict[Hashable, int] = {}
    codes = np.arange(n) if groups is None else np.array([numbers.setdefault(g, len(numbers)) for g in groups])
    count = n if groups is None else len(numbers)
    if count < 2:
        raise InputError(f"{count} cluster in {n} items: no error can be estimated", remedy="use at least 2 clusters")
    return codes, count


def _aligned(a: Values, b: Values, clusters: Clusters | None) -> tuple[Floats, Floats, Sequence[Hashable] | None]:
    """Values and clusters as sequences in the order of `a`."""
    names: Sequence[object]
    if isinstance(a, Mapping) and isinstance(b, Mapping) and (clusters is None or isinstance(clusters, Mapping)):
        names = list(a)
        first, second, groups = _by_item(a, b, clusters)
    elif not (isinstance(a, Mapping) or isinstance(b, Mapping) or isinstance(clusters, Mapping)):
        names = range(len(a))
        first, second, groups = list(a), list(b), None if clusters is None else list(clusters)
    else:
        raise InputError("values and clusters must all be dictionaries by item, or all sequences")
    if len(first) != len(second) or (groups is not None and len(groups) != len(first)):
        sizes = f"{len(first)}, {len(second)}" + ("" if groups is None else f", clusters {len(groups)}")
        raise InputError(f"sequences of different length: {sizes}")
    if groups is not None and None in groups:
        raise InputError("no cluster", record=f"item {names[groups.index(None)]}")
    arrays = np.array(first, dtype=np.float64), np.array(second, dtype=np.float64)
    for array in arrays:
        if not np.isfinite(array).all():
            raise InputError("value is not finite", record=f"item {names[int(np.argmin(np.isfinite(array)))]}")
    return *arrays, groups


def _by_item(
    a: Mapping[str, float], b: Mapping[str, float], clusters: Mapping[str, Hashable] | None
) -> tuple[Sequence[float], Sequence[float], Sequence[Hashable] | None]:
    if alone := sorted(a.keys() ^ b.keys()):
        what = f"scored on the {'first' if alone[0] in a else 'second'} side only ({len(alone)} such items)"
        raise InputError(what, record=f"item {alone[0]}", remedy="score the same items on both sides")
    if clusters is None:
        return list(a.values()), [b[item] for item in a], None
    if lost := sorted(a.keys() - clusters.keys()):
        raise InputError("no cluster", record=f"item {lost[0]}")
    return list(a.values()), [b[item] for item in a], [clusters[item] for item in a]
