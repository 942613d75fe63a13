"""Numbers behind a study's tables: the mean over benchmarks, the true share of yes, intervals of relations."""

from __future__ import annotations

import pytest

from earwise.evaluate.estimates import MEAN, estimate, number
from earwise.evaluate.summary import ScoreTable, compare, summarise_models
from earwise.records import Score, View


def score(source: str, item: int, value: float, model: str = "sft", view: View = "image_speech", **more: str) -> Score:
    """A score; two items share a cluster."""
    given = {"prediction": "x", "kind": "", "invalid": False, **more}
    return Score(
        item=str(item), source=source, model=model, view=view, cluster=str(item // 2), value=value, profile="strict",
        **given,  # type: ignore[arg-type]
    )  # fmt: skip


def both(model: str, read: list[float], seen: list[float], view: View = "image_speech") -> list[Score]:
    """Answers to TextVQA and RealWorldQA."""
    return [score("textvqa", n, value, model, view) for n, value in enumerate(read)] + [
        score("realworldqa", n, value, model, view) for n, value in enumerate(seen)
    ]


ASKED: tuple[tuple[str, View], ...] = (("base", "image_text"), ("sft", "image_speech"), ("self_kd", "image_speech"))
READ, SEEN = [1.0, 0.0, 1.0, 0.0, 1.0, 0.0, 0.0, 1.0], [1.0, 1.0, 1.0, 0.0]


def test_the_mean_weighs_benchmarks_and_not_items() -> None:
    cell = both("sft", READ, SEEN)
    assert number(MEAN, cell) == pytest.approx((50 + 75) / 2)
    assert number("all", cell) == pytest.approx(100 * 7 / 12)


def test_seeds_are_averaged_and_a_difference_is_paired() -> None:
    first, second = both("sft", READ, SEEN), both("sft", [1.0] * 8, SEEN)
    assert estimate(MEAN, [first, second]).value == pytest.approx((62.5 + 87.5) / 2)
    difference = estimate(MEAN, [second], [first])
    assert difference.value == pytest.approx(25)
    # Each pair of TextVQA gains one of two, RealWorldQA nothing, so no resample differs; RealWorldQA has 2 clusters,
    # which leave a share of 3.8415 / 5.8415 = 0.6576 open: 25 - 0.6576 * 125 and 25 + 0.6576 * 75.
    assert (difference.low, difference.high) == pytest.approx((-57.20, 74.32), abs=0.01)
    assert difference.se == pytest.approx((74.32 + 57.20) / 3.92, abs=0.01)


def test_the_summary_has_the_mean_and_starts_in_domain() -> None:
    scores = both("base", [1.0] * 8, [1.0] * 4, "image_text") + both("sft", READ, SEEN)
    scores += both("self_kd", [1.0] * 8, SEEN)
    scores += [score("own", n, 1.0, model, view) for n in (0, 3) for model, view in ASKED]
    table = ScoreTable.of({0: scores, 1: scores}, "base")
    assert table.benchmarks == ["textvqa", "realworldqa", "own", "mean", "all"]
    mean = summarise_models(table, "image_text", "image_speech")["sft"]["mean"]
    assert (mean["n"], mean["columns"]) == (12, ["realworldqa", "textvqa"])
    assert mean["views"]["image_speech"]["by_seed"] == pytest.approx([62.5, 62.5])
    assert mean["gap"]["value"] == pytest.approx(37.5)
    (row,) = compare(table, [("self_kd", "sft")], "mean", "image_speech")
    assert (row["value"], len(row["each_seed"])) == (pytest.approx(25), 2)
    assert row["p"] == pytest.approx(0.456, abs=1e-3), "25 / 33.55 standard errors, of two clusters that agree"


def test_one_benchmark_alone_has_no_mean() -> None:
    scores = [score("textvqa", n, 1.0) for n in range(4)] + [score("own", n, 1.0) for n in range(4)]
    assert ScoreTable.of({0: scores}, "base").benchmarks == ["textvqa", "own", "all"]


def test_the_true_share_of_yes_is_told_by_any_answer_that_was_parsed() -> None:
    said = [("yes", 1.0), ("no", 0.0), ("No.", 1.0), ("yes", 0.0), ("a cat", 0.0)]
    scores = [
        score("mme", n, value, prediction=text).model_copy(update={"invalid": text == "a cat"})
        for n, (text, value) in enumerate(said)
    ]
    result = summarise_models(ScoreTable.of({0: scores}, "base"), "image_text", "image_speech")["sft"]["mme"]
    assert result["yes_truth"] == {"share": 0.5, "n": 4}
    assert result["views"]["image_speech"]["yes_rate"] == pytest.approx(0.4)
    low, high = result["views"]["image_speech"]["yes_ci95"]
    assert 0 <= low < 0.4 < high <= 1


def test_only_relations_with_enough_items_have_an_interval() -> None:
    scores = [score("mmalign_relation", n, float(n % 2), kind="left of") for n in range(20)]
    scores += [score("mmalign_relation", 100 + n, 1.0, kind="above") for n in range(19)]
    result = summarise_models(ScoreTable.of({0: scores}, "base"), "image_text", "image_speech")["sft"]
    assert list(result["mmalign_relation"]["kind_ci95"]) == ["left of"]
    # Each of 10 clusters holds one right and one wrong answer, so no resample differs: 3.8415 / 13.8415 are left open.
    ends = result["mmalign_relation"]["kind_ci95"]["left of"]["image_speech"]
    assert ends == pytest.approx([36.12, 63.88], abs=0.01)
    assert set(result["mmalign_relation"]["kinds"]) == {"left of", "above"}


def test_the_base_lends_typed_scores_only_and_only_where_a_model_has_none() -> None:
    views = ("image_text", "image_speech")
    base = [score("mme", n, 1.0, "base", view) for n in (0, 1) for view in views]
    adapted = [score("mme", n, 0.0, "adapted", view) for n in (0, 1) for view in views]
    table = ScoreTable.of({0: [*base, *adapted, score("mme", 0, 0.0, "deaf", "text_only")]}, "base")
    assert [s.value for s in table.cells[0, "adapted", "mme", "image_text"]] == [0.0, 0.0]
    assert [s.value for s in table.cells[0, "deaf", "mme", "image_text"]] == [1.0, 1.0]
    assert (0, "deaf", "mme", "image_speech") not in table.cells
