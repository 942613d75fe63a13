"""The numbers of a flow, by hand."""

import numpy as np
import pytest
from pydantic import ValidationError

from earwise.attention.records import KINDS, AttentionRow, Flow
from earwise.attention.shares import make_flow, matched, seen_by

VISION, QUERY, RESPONSE, REST = range(4)
#          0     1       2       3      4      5     6
LAYOUT = [REST, VISION, VISION, QUERY, QUERY, REST, RESPONSE]


def test_a_row_sees_what_comes_before_it_and_itself():
    assert seen_by(LAYOUT, [3, 4, 6]).tolist() == [[2, 1, 0, 1], [2, 2, 0, 1], [2, 2, 1, 2]]


def test_means_over_rows_by_hand():
    rows = np.array([[[0.5, 0.25, 0.0, 0.25], [0.25, 0.5, 0.0, 0.25]]])
    flow = make_flow(rows, seen_by(LAYOUT, [3, 4]), 1.0)
    assert flow.rows == 2
    assert flow.visible == (2.0, 1.5, 0.0, 1.0)
    assert flow.uniform == pytest.approx(((2 / 4 + 2 / 5) / 2, (1 / 4 + 2 / 5) / 2, 0, (1 / 4 + 1 / 5) / 2))
    assert flow.share == ((0.375, 0.375, 0.0, 0.25),)
    assert flow.matched == flow.share
    assert flow.values("per_token", "vision") == (0.1875,)
    assert flow.values("relative", "query") == pytest.approx((0.375 / 0.325,))
    assert flow.values("relative", "response") is None
    assert flow.values("share", "response") == (0.0,)


def test_uniform_attention_is_one_relative_to_itself():
    seen = seen_by(LAYOUT, [3, 4, 6])
    flow = make_flow((seen / seen.sum(1, keepdims=True))[None], seen, 0.5)
    for kind in KINDS:
        assert flow.values("relative", kind) == pytest.approx((1.0,))


def softmax_shares(scores, kinds):
    attention = np.exp(scores) / np.exp(scores).sum()
    return np.array([attention[np.array(kinds) == kind].sum() for kind in range(4)])


def test_a_query_whose_tokens_are_repeated_has_the_matched_shares_of_the_query_itself():
    kinds = [REST, VISION, VISION, QUERY, QUERY]
    scores = np.array([0.3, -1.2, 0.7, 1.1, -0.4])
    times = [1, 1, 1, 3, 3]
    short, long = softmax_shares(scores, kinds), softmax_shares(np.repeat(scores, times), np.repeat(kinds, times))
    assert abs(short - long).max() > 0.1
    assert matched(long[None, None], 2 / 6)[0, 0] == pytest.approx(short)
    assert matched(short[None, None], 1.0)[0, 0] == pytest.approx(short)


def test_matched_by_hand():
    rows = np.array([[[0.2, 0.6, 0.0, 0.2]]])
    assert matched(rows, 1 / 3)[0, 0] == pytest.approx([1 / 3, 1 / 3, 0, 1 / 3])


def flow(layers, columns=4):
    matrix = tuple((1 / columns,) * columns for _ in range(layers))
    return {"rows": 1, "visible": (1, 1, 1, 1), "uniform": (0.25,) * 4, "share": matrix, "matched": matrix}


def test_rows_of_another_shape_are_refused():
    with pytest.raises(ValidationError, match="4 columns"):
        Flow(**flow(2, columns=3))
    named = {"item": "i", "source": "b", "model": "m", "view": "image_text", "cluster": "c"}
    AttentionRow(**named, layers=(0, 1), query=Flow(**flow(2)), response=Flow(**flow(2)))
    with pytest.raises(ValidationError, match="3 layers are named"):
        AttentionRow(**named, layers=(0, 1, 2), query=Flow(**flow(3)), response=Flow(**flow(2)))
