import json
import subprocess
import sys

import pytest
from PIL import Image

from earwise.data.aro import Draw
from earwise.data.items import write_items
from earwise.errors import InputError
from earwise.evaluate.benchmarks import (
    aggregate,
    aggregate_gap,
    aggregate_interval,
    by_kind,
    invalid_rate,
    load_benchmark,
    scorer_name,
    yes_rate,
)
from earwise.evaluate.scoring import find_scorer
from earwise.records import Item, Score

PERCEPTION = ["existence", "count", "position", "color", "posters", "celebrity", "scene", "landmark", "artwork", "OCR"]
COGNITION = ["commonsense_reasoning", "numerical_calculation", "text_translation", "code_reasoning"]


def scored(value, item, cluster=None, kind="", **changes):
    fields = {
        "item": item,
        "source": "mme",
        "model": "m",
        "view": "image_text",
        "cluster": cluster or item,
        "kind": kind,
        "prediction": "yes",
        "value": value,
        "invalid": False,
    }
    return Score(**(fields | changes))


def mme(kind, *images):
    """Scores of a category from the values of each image's questions."""
    return [
        scored(value, f"{kind}-{image}-{number}", f"{kind}/{image}", kind)
        for image, values in enumerate(images)
        for number, value in enumerate(values)
    ]


def test_an_mme_category_is_accuracy_plus_accuracy_over_images():
    """Images (1, 1) and (1, 0): acc 75 and acc+ 50 give 125 of 200."""
    assert aggregate("mme", mme("color", (1.0, 1.0), (1.0, 0.0))) == pytest.approx(62.5)


def test_mme_of_all_categories_is_the_total_over_28():
    always_yes = [score for kind in PERCEPTION + COGNITION for score in mme(kind, *[(1.0, 0.0)] * 3)]
    assert aggregate("mme", always_yes) == pytest.approx(700 / 28)
    perfect = [score for kind in PERCEPTION + COGNITION for score in mme(kind, (1.0, 1.0))]
    assert aggregate("mme", perfect) == pytest.approx(2800 / 28)
    mixed = mme("color", (1.0, 1.0), (1.0, 0.0)) + mme("OCR", (0.0, 0.0))
    assert aggregate("mme", mixed) == pytest.approx((125 + 0) / 2 / 2)


def test_mme_interval_and_gap_resample_images():
    text = [score for kind in ("color", "OCR") for score in mme(kind, *[(1.0, 1.0)] * 30, *[(1.0, 0.0)] * 10)]
    speech = [score.model_copy(update={"value": 0.0}) if score.item.endswith("-1") else score for score in text]
    value, low, high = aggregate_interval("mme", text)
    assert value == pytest.approx((87.5 + 75) / 2)
    assert 70 < low < value < high < 92
    assert aggregate("mme", speech) == pytest.approx(25.0)
    gap, gap_low, gap_high = aggregate_gap("mme", text, list(reversed(speech)))
    assert gap == pytest.approx(value - 25.0)
    assert (gap_low, gap_high) == pytest.approx((low - 25.0, high - 25.0))


def test_other_numbers_are_means_and_invalid_counts_as_wrong():
    scores = [scored(1.0, "a"), scored(0.3, "b"), scored(0.0, "c", invalid=True), scored(0.0, "d")]
    assert aggregate("textvqa", scores) == pytest.approx(32.5)
    assert invalid_rate(scores) == 25.0


def test_results_break_down_by_kind():
    scores = [scored(1.0, "a", kind="x"), scored(0.0, "b", kind="x"), scored(1.0, "c", kind="y")]
    assert by_kind("exact", scores) == {"x": 50.0, "y": 100.0}


def test_yes_rate_is_of_all_answers():
    scores = [scored(1.0, item, prediction=text) for item, text in zip("abcd", ("Yes.", "no", "?", "yes"), strict=True)]
    assert yes_rate("mme", scores) == 50.0
    assert yes_rate("textvqa", scores) is None


@pytest.mark.parametrize(
    ("name", "scores", "match"),
    [
        ("mme", [], "mme: no scores"),
        ("textvqa", [scored(1.0, "a"), scored(1.0, "b", model="other")], "several models"),
        ("textvqa", [scored(1.0, "a"), scored(1.0, "a")], "an item twice"),
        ("hallusionbench", [scored(1.0, "a")], "does not name set, figure and question"),
    ],
)
def test_sets_that_make_no_number_are_refused(name, scores, match):
    with pytest.raises(InputError, match=match):
        aggregate(name, scores)


def test_a_gap_needs_both_sides():
    with pytest.raises(InputError, match="item b: scored under one view only"):
        aggregate_gap("mme", [scored(1.0, "a")], [scored(1.0, "a"), scored(1.0, "b")])


def test_public_files_are_found_by_benchmark_name(tmp_path):
    Image.new("RGB", (4, 4)).save(tmp_path / "p.png")
    rows = "index\tquestion\tanswer\timage_path\tsplit\n1\tq?\t5\tp.png\ttest_human\n2\tr?\t6\tp.png\ttest_augmented\n"
    (tmp_path / "ChartQA_TEST.tsv").write_text(rows)
    case = {f"bbox_{side}": 1 for side in "xywh"} | {"image_path": "p.png", "relation_name": "on"}
    case |= {"true_caption": "a on b", "false_caption": "b on a"}
    (tmp_path / "visual_genome_relation.json").write_text(json.dumps([case]))
    (human,) = load_benchmark("chartqa_human", tmp_path)
    (augmented,) = load_benchmark("chartqa_augmented", tmp_path)
    (aligned,) = load_benchmark("mmalign_relation", tmp_path)
    assert (human.source, human.question, augmented.question) == ("chartqa_human", "q?", "r?")
    assert aligned.source == "mmalign_relation"
    for item in (human, augmented, aligned):
        assert find_scorer(scorer_name(item.source))(item.answers, item.answers[0], item.choices) == 1.0


def test_how_mmalign_is_drawn_can_be_chosen(tmp_path):
    Image.new("RGB", (4, 4)).save(tmp_path / "p.png")
    case = {f"bbox_{side}": 1 for side in "xywh"} | {"image_path": "p.png", "relation_name": "near"}
    cases = [case | {"true_caption": f"a near {k}", "false_caption": f"{k} near a"} for k in range(9)]
    (tmp_path / "visual_genome_relation.json").write_text(json.dumps(cases))
    draw = Draw(count=4, seed=7, crop="full", symmetric="keep")
    items = load_benchmark("mmalign_relation", tmp_path, draw)
    assert len(items) == 4
    assert {(item.meta["seed"], item.meta["crop"], item.image) for item in items} == {(7, "full", "p.png")}
    with pytest.raises(InputError, match="symmetric"):
        load_benchmark("mmalign_relation", tmp_path)


def test_an_item_file_is_a_benchmark_of_its_own_name(tmp_path):
    write_items(tmp_path / "mine.jsonl", [Item(id="a", source="x", question="q?", answers=("5",), cluster="c")])
    assert load_benchmark("mine", tmp_path)[0].source == "mine"
    assert scorer_name("mine") == "exact"


def test_a_missing_benchmark_names_the_file_and_the_known_ones(tmp_path):
    with pytest.raises(InputError, match=r"MME\.tsv: no file for benchmark 'mme' \(put MME\.tsv there\)"):
        load_benchmark("mme", tmp_path)
    with pytest.raises(InputError, match=r"mem\.jsonl: no file for benchmark 'mem'.*use one of: mme, "):
        load_benchmark("mem", tmp_path)


def test_reading_scoring_and_statistics_need_no_torch():
    code = "import sys, earwise.evaluate.benchmarks; sys.exit('torch' in sys.modules or 'transformers' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
