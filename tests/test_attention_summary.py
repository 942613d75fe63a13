"""Curves, distances, comparisons and sinks of a made-up analysis whose numbers are known."""

import numpy as np
import pytest

from earwise.attention.records import KINDS, AttentionRow, Flow, Sink
from earwise.attention.summary import AttentionTable, mean_intervals, summarise
from earwise.errors import InputError
from earwise.evaluate.gap import interval

ITEMS = 6
BASE = ("base", "image_text")
SPOKEN = "image_speech"


def flow(vision):
    """One layer per number: the rest of the attention goes to the query."""
    matrix = tuple((v, 1 - v, 0.0, 0.0) for v in vision)
    return Flow(rows=2, visible=(4, 2, 0, 1), uniform=(4 / 7, 2 / 7, 0, 1 / 7), share=matrix, matched=matrix)


def row(item, model, view, vision, sinks=()):
    return AttentionRow(
        item=f"i{item}", source="mme", model=model, view=view, cluster=f"c{item // 2}", layers=(0, 1),
        query=flow(vision), response=flow(vision), sinks=sinks,
    )  # fmt: skip


def seed_rows(shift=0.0):
    rows = []
    for n in range(ITEMS):
        rows.append(row(n, *BASE, (0.6, 0.4)))
        rows.append(row(n, "sft", SPOKEN, (0.4 - shift, 0.5)))
        rows.append(row(n, "self_kd", SPOKEN, (0.5, 0.35 + n / 100)))
    return rows


def find(rows, **wanted):
    (found,) = [one for one in rows if wanted.items() <= one.items()]
    return found


def test_who_is_closer_to_the_typed_view_by_hand():
    result = summarise(AttentionTable.of([seed_rows()], BASE), "sft")
    assert (result["items"], result["clusters"], result["seeds"], result["layers"]) == (6, 3, 1, [0, 1])
    query_to_vision = {"from": "query", "to": "vision", "variant": "share"}
    sft = find(result["distances"], model="sft", **query_to_vision)
    assert sft["value"] == pytest.approx((0.2 + 0.1) / 2)
    assert sft["ci95"] == pytest.approx([0.15, 0.15])
    own = [(0.1 + abs(0.35 + n / 100 - 0.4)) / 2 for n in range(ITEMS)]
    kd = find(result["distances"], model="self_kd", **query_to_vision)
    assert kd["value"] == pytest.approx(np.mean(own), abs=1e-6)
    closer = find(result["comparisons"], model="self_kd", **query_to_vision)
    assert closer["baseline"] == "sft"
    assert closer["value"] == pytest.approx(0.15 - np.mean(own), abs=1e-6)
    assert closer["ci95"][0] < closer["value"] < closer["ci95"][1]
    assert find(result["comparisons"], model="self_kd", **{**query_to_vision, "variant": "relative"})[
        "value"
    ] == pytest.approx(closer["value"] / (4 / 7), abs=1e-5)


def test_curves_are_means_over_items_with_the_intervals_of_gap():
    result = summarise(AttentionTable.of([seed_rows()], BASE), None)
    assert result["comparisons"] == []
    curve = find(result["curves"], model="self_kd", **{"from": "response", "to": "vision"}, variant="share")
    values, clusters = [0.35 + n / 100 for n in range(ITEMS)], [f"c{n // 2}" for n in range(ITEMS)]
    expected = interval(values, clusters)
    assert [curve["mean"][1], curve["low"][1], curve["high"][1]] == pytest.approx(expected, abs=1e-6)
    assert curve["mean"][0] == curve["low"][0] == curve["high"][0] == 0.5
    assert not [c for c in result["curves"] if (c["from"], c["to"]) == ("query", "response")]
    # nothing of a response is seen, so no share per token of it exists
    unseen = [c["variant"] for c in result["curves"] if (c["from"], c["to"]) == ("response", "response")]
    assert set(unseen) == {"share", "matched"}


def test_seeds_are_averaged_item_by_item_and_kept_beside_the_mean():
    table = AttentionTable.of([seed_rows(), seed_rows(shift=0.1)], BASE)
    result = summarise(table, "sft")
    sft = find(result["distances"], model="sft", **{"from": "query", "to": "vision"}, variant="share")
    assert sft["by_seed"] == pytest.approx([0.15, 0.2])
    assert sft["value"] == pytest.approx(0.175)
    closer = find(result["comparisons"], model="self_kd", **{"from": "query", "to": "vision"}, variant="share")
    assert closer["value"] == pytest.approx(np.mean(closer["by_seed"]), abs=1e-6)


def test_many_columns_at_once_have_the_intervals_of_one():
    rng = np.random.default_rng(3)
    values = rng.normal(size=(40, 3))
    clusters = [f"c{n}" for n in rng.integers(0, 11, 40)]
    mean, low, high = mean_intervals(values, clusters)
    for n in range(3):
        assert (mean[n], low[n], high[n]) == pytest.approx(interval(values[:, n].tolist(), clusters))


def test_sinks_are_counted_by_layer_and_kind():
    def sink(position, share):
        return Sink(source="query", layer=1, position=position, kind="rest", token="<s>", share=share)

    rows = [row(n, *BASE, (0.6, 0.4), sinks=(sink(0, 0.5), sink(n, 0.2)) if n else ()) for n in range(4)]
    (found,) = summarise(AttentionTable.of([rows], BASE), None)["sinks"]
    assert (found["from"], found["layer"], found["kind"]) == ("query", 1, "rest")
    assert found["items"] == 0.75
    assert found["share"] == pytest.approx(0.7 * 3 / 4)
    assert found["top"][0] == {"position": 0, "token": "<s>", "items": 0.75}


def test_readers_of_different_items_are_refused():
    rows = seed_rows()
    with pytest.raises(InputError, match="self_kd: image_speech: not the same items"):
        AttentionTable.of([rows[:-1]], BASE)
    with pytest.raises(InputError, match="base: no row under image_text"):
        AttentionTable.of([[one for one in rows if one.model != "base"]], BASE)


def test_kinds_are_in_the_order_that_matrices_have():
    assert KINDS == ("vision", "query", "response", "rest")
