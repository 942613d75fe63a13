"""How much two views of the same items differ, and how sure that is.

Items that share an image are not independent, so every standard error and interval here is over clusters (Miller 2024,
arXiv 2411.00640). Values keep the scale they come in: 0-1 scores give a gap between -1 and 1.
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
"""Resamples whose weights are held at once."""

Floats = npt.NDArray[np.float64]
Values = Mapping[str, float] | Sequence[float]
Clusters = Mapping[str, Hashable] | Sequence[Hashable]
Metric = Callable[[Floats], Floats]
"""Takes item weights of shape (B, n), how often each resample holds each item; gives the B values of the metric."""


@dataclass(frozen=True)
class Gap:
    """A paired difference of mean scores, first minus second."""

    value: float
    se: float
    """Clustered standard error of `value`."""
    ci95: tuple[float, float]
    """Percentile interval of the cluster bootstrap."""
    mcnemar_p: float | None
    """Two-sided exact McNemar test on the items that differ, blind to clusters; None unless all values are 0 or 1."""
    only_a: int
    """Items on which the first scores more than the second."""
    only_b: int
    n: int


def paired_gap(a: Values, b: Values, clusters: Clusters | None = None, seed: int = 0) -> Gap:
    """Mean of `a` minus mean of `b` over the same items.

    `a` and `b` are dictionaries by item id, which must hold the same ids, or sequences of one length in one order;
    `clusters` gives each item's cluster in the same form (None: each item is its own). With d_i = a_i - b_i,

        se^2 = C / (C - 1) * (1 / n^2) * sum over clusters c of (sum over i in c of (d_i - mean d))^2,

    the clustered error of Miller 2024 with the small-sample factor C / (C - 1) for C clusters, so that clusters of one
    give the textbook paired error. Raises `InputError` for an item without partner or cluster, a value that is not
    finite, and fewer than 2 clusters.
    """
    first, second, groups = _aligned(a, b, clusters)
    difference = first - second
    codes, count = _codes(groups, len(difference))
    only_a, only_b = int(np.sum(difference > 0)), int(np.sum(difference < 0))
    binary = bool(np.isin(first, (0, 1)).all() and np.isin(second, (0, 1)).all())
    mean, low, high = _mean_interval(difference, codes, count, seed)
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
    """Mean of `values` and its 95 % interval (percentile cluster bootstrap), as (mean, low, high)."""
    numbers, _, groups = _aligned(values, values, clusters)
    return _mean_interval(numbers, *_codes(groups, len(numbers)), seed)


def metric_interval(metric: Metric, clusters: Sequence[Hashable], seed: int = 0) -> tuple[float, float, float]:
    """Value and 95 % interval of a metric that is no mean (MME total, a difference of two), as (value, low, high).

    Clusters are resampled as for `interval`; `metric` is given the weights of all items. For a paired difference of two
    views let it subtract one from the other under the same weights: both then see the same resample.
    """
    low, high = np.percentile(metric_draws(metric, clusters, seed), (2.5, 97.5))
    return float(metric(np.ones((1, len(clusters))))[0]), float(low), float(high)


def metric_draws(metric: Metric, clusters: Sequence[Hashable], seed: int | Sequence[int] = 0) -> Floats:
    """The metric's value on each of the `RESAMPLES` resamples, shape (RESAMPLES,); see `metric_interval`."""
    codes, count = _codes(list(clusters), len(clusters))
    draws = []
    rng = np.random.default_rng(seed)
    for start in range(0, RESAMPLES, CHUNK):
        size = min(CHUNK, RESAMPLES - start)
        picked = rng.integers(0, count, (size, count)) + count * np.arange(size)[:, None]
        times = np.bincount(picked.ravel(), minlength=size * count).reshape(size, count)
        draws.append(metric(times[:, codes].astype(np.float64)))
    return np.concatenate(draws)


def _mean_interval(values: Floats, codes: npt.NDArray[np.intp], count: int, seed: int) -> tuple[float, float, float]:
    """The bootstrap of a mean needs only each cluster's sum and size; same resamples as `metric_interval`."""
    sums = np.bincount(codes, weights=values, minlength=count)
    sizes = np.bincount(codes, minlength=count).astype(np.float64)
    rng = np.random.default_rng(seed)
    equal = bool((sizes == sizes[0]).all())
    means = []
    for start in range(0, RESAMPLES, CHUNK):
        picked = rng.integers(0, count, (min(CHUNK, RESAMPLES - start), count))
        total = sums[picked].sum(axis=1)
        means.append(total / (sizes[0] * count) if equal else total / sizes[picked].sum(axis=1))
    low, high = np.percentile(np.concatenate(means), (2.5, 97.5))
    return float(values.mean()), float(low), float(high)


def _clustered_se(values: Floats, codes: npt.NDArray[np.intp], count: int) -> float:
    residuals = np.bincount(codes, weights=values - values.mean(), minlength=count)
    return float(np.sqrt(count / (count - 1) * np.sum(residuals**2)) / len(values))


def _mcnemar(only_a: int, only_b: int) -> float:
    return float(binomtest(only_a, only_a + only_b).pvalue) if only_a + only_b else 1.0


def _codes(groups: Sequence[Hashable] | None, n: int) -> tuple[npt.NDArray[np.intp], int]:
    """Cluster number of each item, and the number of clusters."""
    numbers: dict[Hashable, int] = {}
    codes = np.arange(n) if groups is None else np.array([numbers.setdefault(g, len(numbers)) for g in groups])
    count = n if groups is None else len(numbers)
    if count < 2:
        raise InputError(f"{count} cluster in {n} items: no error can be estimated", remedy="use at least 2 clusters")
    return codes, count


def _aligned(a: Values, b: Values, clusters: Clusters | None) -> tuple[Floats, Floats, Sequence[Hashable] | None]:
    """Both as arrays in the order of `a`, and the clusters in that order."""
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
