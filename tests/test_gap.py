import math
import time

import numpy as np
import pytest
from scipy.stats import binomtest

from earwise.errors import InputError
from earwise.evaluate.gap import interval, metric_interval, paired_gap, share_unseen

# 70 both right, 15 only by text, 5 only by speech, 10 neither
TEXT = [1] * 70 + [1] * 15 + [0] * 5 + [0] * 10
SPEECH = [1] * 70 + [0] * 15 + [1] * 5 + [0] * 10


def test_the_worked_example_of_100_items():
    gap = paired_gap(TEXT, SPEECH)
    assert gap.value == pytest.approx(0.10)
    assert gap.se == pytest.approx(0.043809, abs=1e-6)
    assert gap.mcnemar_p == pytest.approx(0.041389, abs=1e-6)
    assert (gap.only_a, gap.only_b, gap.n) == (15, 5, 100)
    assert gap.ci95 == pytest.approx((0.10 - 1.96 * 0.0436, 0.10 + 1.96 * 0.0436), abs=0.011)


def test_dictionaries_are_paired_by_item_whatever_their_order():
    a = {f"i{k}": float(value) for k, value in enumerate(TEXT)}
    b = {f"i{k}": float(value) for k, value in reversed(list(enumerate(SPEECH)))}
    assert paired_gap(a, b) == paired_gap(TEXT, SPEECH)


def test_clustered_error_by_hand():
    """d = (1, 1), (0, -1): mean 1/4, cluster sums of residuals 3/2 and -3/2; 2/1 * (9/4 + 9/4) / 16 = 9/16."""
    gap = paired_gap([1, 1, 0, 0], [0, 0, 0, 1], ["x", "x", "y", "y"])
    assert gap.value == 0.25
    assert gap.se == pytest.approx(0.75)
    assert gap.ci95 == pytest.approx((-0.5, 1.0))


def test_copies_of_items_do_not_add_certainty_when_clustered():
    once = paired_gap(TEXT, SPEECH)
    clusters = list(range(100)) * 4
    copied = paired_gap(TEXT * 4, SPEECH * 4, clusters)
    assert copied.se == pytest.approx(once.se)
    assert copied.ci95 == pytest.approx(once.ci95, abs=0.02)
    assert paired_gap(TEXT * 4, SPEECH * 4).se < 0.6 * once.se


def test_the_interval_covers_the_truth_about_19_times_in_20():
    rng = np.random.default_rng(1)
    hits = 0
    for trial in range(200):
        common = rng.normal(size=60).repeat(3)
        a = common + rng.normal(size=180) + 0.3
        gap = paired_gap(list(a), list(np.zeros(180)), list(np.arange(60).repeat(3)), seed=trial)
        hits += gap.ci95[0] <= 0.3 <= gap.ci95[1]
    assert 178 <= hits <= 200


def test_values_that_are_not_0_or_1_have_no_mcnemar():
    gap = paired_gap([0.3, 1.0, 0.6], [0.3, 0.0, 0.9])
    assert gap.mcnemar_p is None
    assert (gap.only_a, gap.only_b) == (1, 1)


def test_no_difference_at_all():
    gap = paired_gap([1, 0, 1], [1, 0, 1])
    assert (gap.value, gap.se, gap.mcnemar_p) == (0.0, 0.0, 1.0)
    # z^2 = 3.8415: a share of 3.8415 / (3 + 3.8415) = 0.5615 of other items is left open, which differ by 1 at most.
    assert gap.ci95 == pytest.approx((-0.5615, 0.5615), abs=1e-4)


@pytest.mark.parametrize(
    ("right", "n", "low", "high"),
    # 9 of 9: 1 - 3.8415 / 12.8415; 0 of 9; 1,300 of 1,300: 1 - 3.8415 / 1303.8415; 2 of 2: 1 - 3.8415 / 5.8415
    [(9, 9, 0.7009, 1.0), (0, 9, 0.0, 0.2991), (1_300, 1_300, 0.99705, 1.0), (2, 2, 0.3424, 1.0)],
)
def test_all_right_and_all_wrong_have_wilsons_interval(right, n, low, high):
    mean, *found = interval([1] * right + [0] * (n - right))
    assert mean == right / n
    assert found == pytest.approx([low, high], abs=1e-4)
    wilson = binomtest(right, n).proportion_ci(method="wilson")
    assert found == pytest.approx([wilson.low, wilson.high], abs=1e-9)


def test_clusters_and_not_items_count_where_all_agree():
    assert interval([1] * 18, [k // 2 for k in range(18)]) == interval([1] * 9)
    assert paired_gap([1] * 18, [1] * 18, [k // 6 for k in range(18)]).ci95 == pytest.approx(
        (-0.5615, 0.5615), abs=1e-4
    )


def test_a_difference_that_is_the_same_everywhere_keeps_to_the_scale():
    # 9 items, share 0.2991 left open: 1 - 0.2991 * 2 = 0.4017; 0.5 - 0.2991 * 1.5 = 0.0513, 0.5 + 0.2991 * 0.5 = 0.6496
    assert paired_gap([1] * 9, [0] * 9).ci95 == pytest.approx((0.4017, 1.0), abs=1e-4)
    assert paired_gap([0] * 9, [1] * 9).ci95 == pytest.approx((-1.0, -0.4017), abs=1e-4)
    assert paired_gap([1] * 9, [0.5] * 9).ci95 == pytest.approx((0.0513, 0.6496), abs=1e-4)


def test_values_without_a_known_scale_and_resamples_that_differ_keep_the_percentiles():
    assert interval([7.0, 7.0, 7.0]) == (7.0, 7.0, 7.0)
    assert paired_gap([2.0, 3.0], [1.0, 2.0]).ci95 == (1.0, 1.0)
    one_wrong = [1] * 8 + [0]
    assert interval(one_wrong)[1:] == pytest.approx(metric_interval(lambda w: w @ one_wrong / 9, range(9))[1:])


def test_a_metric_that_all_resamples_agree_on_needs_its_bounds():
    def full(weights):
        return np.full(len(weights), 100.0)

    assert metric_interval(full, range(9)) == (100.0, 100.0, 100.0)
    assert metric_interval(full, range(9), bounds=(0, 100))[1:] == pytest.approx((70.09, 100.0), abs=0.01)
    assert metric_interval(full, range(9), bounds=(-100, 100))[1:] == pytest.approx((40.17, 100.0), abs=0.01)
    assert share_unseen(9) == pytest.approx(3.841458820694124 / 12.841458820694124)


def test_the_seed_decides_and_the_sign_flips():
    one, same, other = (paired_gap(TEXT, SPEECH, seed=seed) for seed in (0, 0, 1))
    assert one == same
    assert other.ci95 != one.ci95 or other == one
    back = paired_gap(SPEECH, TEXT)
    assert back.value == -one.value
    assert back.ci95 == pytest.approx((-one.ci95[1], -one.ci95[0]))


def test_interval_of_one_score():
    mean, low, high = interval(TEXT)
    assert mean == 0.85
    assert (low, high) == pytest.approx((0.85 - 1.96 * 0.0357, 0.85 + 1.96 * 0.0357), abs=0.015)
    # Two clusters of 3 right and 1 wrong: resamples hold 3, 2 or 1 of each, so means 1, 0.75 and 0.
    assert interval([1, 1, 1, 0], ["x", "x", "x", "y"]) == pytest.approx((0.75, 0.0, 1.0))


def test_a_metric_that_is_a_mean_gets_the_interval_of_the_mean():
    values = np.array(TEXT, dtype=float)
    clusters = [k // 3 for k in range(100)]
    found = metric_interval(lambda weights: weights @ values / weights.sum(axis=1), clusters, seed=5)
    assert found == pytest.approx(interval(TEXT, clusters, seed=5))


@pytest.mark.parametrize(
    ("a", "b", "clusters", "match"),
    [
        ({"i": 1.0, "j": 1.0}, {"i": 1.0}, None, r"item j: scored on the first side only \(1 such items\)"),
        ({"i": 1.0}, {"i": 1.0, "k": 0.0}, None, "item k: scored on the second side only"),
        ({"i": 1.0, "j": 1.0}, {"i": 1.0, "j": 0.0}, {"i": "x"}, "item j: no cluster"),
        ({"i": 1.0}, [1.0], None, "all be dictionaries"),
        ([1.0, 0.0], [1.0, 0.0], {"i": "x"}, "all be dictionaries"),
        ([1.0, 0.0], [1.0], None, "different length: 2, 1"),
        ([1.0, 0.0], [1.0, 0.0], ["x"], "different length: 2, 2, clusters 1"),
        ([1.0, 0.0], [1.0, 0.0], ["x", None], "item 1: no cluster"),
        ([1.0, math.nan], [1.0, 0.0], None, "item 1: value is not finite"),
        ([1.0, 0.0], [1.0, 0.0], ["x", "x"], "1 cluster in 2 items"),
        ([], [], None, "0 cluster"),
    ],
)
def test_bad_pairs_are_refused(a, b, clusters, match):
    with pytest.raises(InputError, match=match):
        paired_gap(a, b, clusters)


def test_3000_items_take_a_moment():
    rng = np.random.default_rng(0)
    a, b = ({f"i{k}": float(v) for k, v in enumerate(rng.random(3000) < share)} for share in (0.8, 0.7))
    start = time.process_time()
    paired_gap(a, b, {item: int(item[1:]) // 2 for item in a})
    assert time.process_time() - start < 0.5
