"""From attention rows, already summed by kind of key, to the numbers of a `Flow`.

Shapes: K layers, R rows (attending tokens), 4 kinds of keys, L tokens.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from earwise.attention.records import KINDS, Flow, Matrix

Floats = npt.NDArray[np.float64]

_DIGITS = 7
"""Number of decimals; attention is computed in float32."""


def make_flow(rows: Floats, seen: Floats, query_weight: float) -> Flow:
    """Means over the rows of (K, R, 4) shares, given the (R, 4) counts of tokens that each row sees."""
    return Flow(
        rows=rows.shape[1],
        visible=_four(seen.mean(axis=0)),
        uniform=_four((seen / seen.sum(axis=1, keepdims=True)).mean(axis=0)),
        share=_matrix(rows.mean(axis=1)),
        matched=_matrix(matched(rows, query_weight).mean(axis=1)),
    )


def matched(rows: Floats, query_weight: float) -> Floats:
    """Shares as if the query had another number of keys: its mass times `query_weight`, then every row sums to 1 again.

    A spoken query has several tokens for each typed one. In a softmax, k keys with the same score take k times the mass
    of one, so a longer query draws attention from everything else by its length alone. With the weight w = typed tokens
    / own tokens, a query with every token repeated k times has, in one head, the shares of the original query; this
    equals adding log w to the scores of the query's keys. For means over heads it is an approximation, exact for equal
    heads. A typed query has w = 1 and keeps its shares.
    """
    weights = np.ones(len(KINDS))
    weights[KINDS.index("query")] = query_weight
    weighed = rows * weights
    return weighed / weighed.sum(axis=-1, keepdims=True)


def seen_by(kinds: Sequence[int], rows: Sequence[int]) -> Floats:
    """(R, 4) tokens of each kind that causal attention lets each row see, itself included; `kinds` has L entries."""
    one_hot = np.eye(len(KINDS))[np.asarray(kinds, dtype=np.intp)]
    return one_hot.cumsum(axis=0)[np.asarray(rows, dtype=np.intp)]


def _matrix(values: Floats) -> Matrix:
    return tuple(tuple(round(float(v), _DIGITS) for v in row) for row in values)


def _four(values: Floats) -> tuple[float, float, float, float]:
    vision, query, response, rest = (round(float(v), _DIGITS) for v in values)
    return vision, query, response, rest
