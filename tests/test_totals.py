"""Numbers of benchmarks that are no plain means, and the average over benchmarks, against hand computations."""

import pytest
from test_scoring_benchmarks import COGNITION, PERCEPTION, mme, scored

from earwise.errors import InputError
from earwise.evaluate.benchmarks import aggregate, aggregate_gap, aggregate_interval, by_kind
from earwise.evaluate.benchmarks.hallusionbench import hallusion_parts
from earwise.evaluate.benchmarks.mmalign import aro_score
from earwise.evaluate.benchmarks.mme import mme_totals
from earwise.evaluate.estimates import MEAN, estimate
from earwise.evaluate.suite import COLUMNS, plain_mean


def hallusion(set_, figures, kind="VD_figure"):
    """Scores of one set from each figure's values, one question after the other."""
    return [
        scored(value, f"hallusionbench-{kind}_1_{set_}_{figure}_{question}", f"{kind}/{set_}", kind)
        for figure, values in enumerate(figures)
        for question, value in enumerate(values)
    ]


def test_hallusionbench_is_the_mean_of_questions_figures_and_questions_over_figures():
    """Figure 0 (right, wrong), figure 1 (right, right): aAcc 75, fAcc 50, qAcc 50."""
    scores = hallusion(0, [(1.0, 0.0), (1.0, 1.0)])
    assert hallusion_parts(scores) == {"aAcc": 75.0, "fAcc": 50.0, "qAcc": 50.0}
    assert aggregate("hallusionbench", scores) == pytest.approx(58.33, abs=0.005)


def test_hallusionbench_groups_do_not_cross_sets_or_categories():
    scores = hallusion(0, [(1.0,)]) + hallusion(1, [(0.0,)]) + hallusion(0, [(1.0,)], "VS_chart")
    assert hallusion_parts(scores) == pytest.approx({"aAcc": 200 / 3, "fAcc": 200 / 3, "qAcc": 200 / 3})
    assert by_kind("hallusionbench", scores) == {"VD_figure": 50.0, "VS_chart": 100.0}


def test_hallusionbench_intervals_and_gaps_resample_sets():
    text = [score for k in range(30) for score in hallusion(k, [(1.0, 0.0), (1.0, 1.0)])]
    # All 30 sets are alike: a share of 3.8415 / 33.8415 of other sets is left open, between 0 and 100.
    assert aggregate_interval("hallusionbench", text) == pytest.approx((175 / 3, 51.712, 63.063), abs=0.001)
    speech = [s.model_copy(update={"value": 0.0}) if s.cluster.endswith("7") else s for s in text]
    gap, low, high = aggregate_gap("hallusionbench", text, list(reversed(speech)))
    assert gap == pytest.approx(175 / 3 * 3 / 30)
    assert 0 <= low < gap < high
    prefixed = [s.model_copy(update={"item": f"hallusionbench/{s.item}"}) for s in text]
    assert aggregate("hallusionbench", prefixed) == pytest.approx(175 / 3)


def test_mme_totals_are_those_of_its_own_tables():
    always_yes = [score for kind in PERCEPTION + COGNITION for score in mme(kind, *[(1.0, 0.0)] * 3)]
    assert mme_totals(always_yes) == pytest.approx({"perception": 500.0, "cognition": 200.0})
    mixed = [score for kind in PERCEPTION + COGNITION for score in mme(kind, (1.0, 1.0), (1.0, 0.0))]
    assert mme_totals(mixed) == pytest.approx({"perception": 1250.0, "cognition": 500.0})
    assert aggregate("mme", mixed) == pytest.approx(sum(mme_totals(mixed).values()) / 28)
    with pytest.raises(InputError, match="mme: no scores of the categories OCR"):
        mme_totals([score for score in always_yes if score.kind != "OCR"])


def test_the_score_of_aro_itself_is_over_relations():
    """A 3 of 4, B 1 of 2, `near` 0 of 10, which is symmetric: 62.5, where the mean over items is 25 (4 of 6: 66.7)."""
    values = {"A": (1.0, 1.0, 1.0, 0.0), "B": (1.0, 0.0), "near": (0.0,) * 10}
    scores = [scored(value, f"{kind}{k}", kind=kind) for kind in values for k, value in enumerate(values[kind])]
    assert aro_score(scores, "relation") == 62.5
    assert aggregate("mmalign_relation", scores[:6]) == pytest.approx(66.67, abs=0.01)
    assert aggregate("mmalign_relation", scores) == 25.0


def test_the_score_of_aro_itself_needs_25_cases_of_a_pair_of_attributes():
    scores = [scored(1.0, f"a{k}", kind="black_white") for k in range(25)]
    scores += [scored(0.0, f"b{k}", kind="red_blue") for k in range(24)]
    assert aro_score(scores, "attribute") == 100.0
    with pytest.raises(InputError, match="no attribute that ARO counts"):
        aro_score(scores[25:], "attribute")


def test_the_plain_mean_is_over_eight_columns():
    numbers = {name: 10.0 * place for place, name in enumerate(COLUMNS)}
    assert plain_mean(numbers | {"mmalign_relation": 99.0}) == 35.0
    assert len(COLUMNS) == 8
    del numbers["docvqa"]
    with pytest.raises(InputError, match="no number for docvqa"):
        plain_mean(numbers)


def of(source, scores):
    return [score.model_copy(update={"source": source}) for score in scores]


def test_the_average_and_its_interval():
    """Two benchmarks of 50 % of n = 100: each has a standard error of 5, their mean one of 5 / sqrt 2."""
    scores = [scored(float(k % 2), f"{k}", kind="x") for k in range(100)]
    one = estimate(MEAN, [[*of("textvqa", scores), *of("docvqa", scores)]])
    assert one.value == 50.0
    assert (one.low, one.high) == pytest.approx((50 - 1.96 * 3.54, 50 + 1.96 * 3.54), abs=0.8)


def test_the_gap_of_averages_is_paired():
    text = of("textvqa", [scored(float(k % 2), f"{k}") for k in range(60)])
    right, half = mme("color", *[(1.0, 1.0)] * 20), mme("color", *[(1.0, 1.0)] * 10, *[(0.0, 0.0)] * 10)
    typed, spoken = [*text, *of("mme", right)], [*text, *of("mme", half)]
    gap = estimate(MEAN, [typed], [spoken])
    assert gap.value == 25.0
    assert 12 < gap.low < 25.0 < gap.high < 38
    # The smaller of the two has 20 clusters: 100 * 3.8415 / 23.8415.
    same = estimate(MEAN, [typed], [typed])
    assert (same.value, same.low, same.high) == pytest.approx((0.0, -16.113, 16.113), abs=0.001)
    with pytest.raises(InputError, match=r"mme: item .* is scored twice"):
        aggregate_gap("mme", right, [*right, right[0].model_copy(update={"value": 0.0})])
