"""Cohen's kappa: whether two ways of answering are right about the same items."""

from __future__ import annotations

from typing import Any

import numpy as np

from earwise.evaluate.estimates import Cells, clusters
from earwise.evaluate.gap import Floats, ends, metric_draws

RIGHT = 0.5
"""The least score of an answer that counts as right."""


def kappa(first: Cells, second: Cells) -> dict[str, Any]:
    """`{"kappa", "kappa_ci95"}` of two models, or of two views of a model, on the same items (Cohen 1960).

    Kappa is the agreement about right and wrong beyond that of chance: 1 where the same items are right, 0 where two
    models agree no more often than their scores make likely. Seeds are averaged; the interval resamples clusters. Both
    are None where one seed leaves nothing to agree about, as all answers of both sides are right, or all are wrong.
    """
    sides = [
        (
            np.array([one.value >= RIGHT for one in a], dtype=float),
            np.array([one.value >= RIGHT for one in b], dtype=float),
        )
        for a, b in zip(first, second, strict=True)
    ]
    groups = clusters(first[0])

    def metric(weights: Floats) -> Floats:
        found: Floats = np.mean([_kappa(weights, a, b) for a, b in sides], axis=0)
        return found

    value = float(metric(np.ones((1, len(groups))))[0])
    if np.isnan(value):
        return {"kappa": None, "kappa_ci95": None}
    draws = metric_draws(metric, groups)
    return {"kappa": value, "kappa_ci95": list(ends(draws[~np.isnan(draws)], len(set(groups)), (-1.0, 1.0)))}


def _kappa(weights: Floats, a: Floats, b: Floats) -> Floats:
    """(B,) kappa under each row of (B, N) weights; NaN where chance alone agrees on everything."""
    total = weights.sum(axis=1)
    right_a, right_b, both = weights @ a / total, weights @ b / total, weights @ (a == b) / total
    chance = right_a * right_b + (1 - right_a) * (1 - right_b)
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(chance < 1 - 1e-12, (both - chance) / (1 - chance), np.nan)
