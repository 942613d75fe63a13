"""A share of cases, pooled over seeds, with its 95 % interval over clusters."""

from __future__ import annotations

from collections.abc import Hashable, Sequence

import numpy as np

from earwise.evaluate.gap import Floats, ends, metric_draws
from earwise.evaluate.summary import Json


def pooled_share(hits: Floats, cases: Floats, clusters: Sequence[Hashable]) -> Json | None:
    """`{"value", "ci95", "n", "by_seed"}` of hits among cases, a share from 0 to 1; None if there are no cases.

    Clusters are resampled, with all seeds' answers to their items. Resamples without cases are left out; a single
    cluster has no interval.

    Args:
        hits: shape (S, N), the hits of each item, for each of S seeds.
        cases: shape (S, N), the cases of each item.
        clusters: of each of the N items.
    """
    if not cases.sum():
        return None
    hit, asked = hits.sum(axis=0), cases.sum(axis=0)

    def share(weights: Floats) -> Floats:
        total = weights @ asked
        return np.divide(weights @ hit, total, out=np.full(len(total), np.nan), where=total > 0)

    ci95 = None
    if len(set(clusters)) > 1:
        draws = metric_draws(share, clusters)
        asked_of = {group for group, times in zip(clusters, asked, strict=True) if times > 0}
        ci95 = list(ends(draws[~np.isnan(draws)], len(asked_of), (0.0, 1.0)))
    by_seed = [float(h.sum() / c.sum()) if c.sum() else None for h, c in zip(hits, cases, strict=True)]
    return {"value": float(hit.sum() / asked.sum()), "ci95": ci95, "n": int(cases.sum()), "by_seed": by_seed}
