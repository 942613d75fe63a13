"""Guards: what a training changed on benchmarks that it was not made for, by hand, and the lines that say it."""

import json

import pytest
from example_recipe import TEXT
from test_faithful import score

from earwise.errors import InputError
from earwise.evaluate.guards import guard_changes, verdict
from earwise.evaluate.summary import ScoreTable
from earwise.recipe.checks import guard_pairs
from earwise.recipe.read import load_recipe
from earwise.report import build_report, guard_lines

SUMMARY = {"recipe": "r", "models": {}}


def scores(model, source, values):
    return [
        score(n, value, model=model).model_copy(update={"source": source, "cluster": f"{source}-{n}"})
        for n, value in enumerate(values)
    ]


def table():
    """Two seeds of forty items. `after` wins 20 of them on `gained`, loses 20 on `lost`, and one each way on `even`."""
    one = []
    for model, gained, lost, even in (
        ("base", [0] * 40, [1] * 40, [1, 0] * 20),
        ("after", [1, 0] * 20, [0, 1] * 20, [0, 1] + [1, 0] * 19),
    ):
        one += scores(model, "gained", gained) + scores(model, "lost", lost) + scores(model, "even", even)
    return ScoreTable.of({0: one, 1: one}, "base")


def test_each_guard_is_compared_with_the_start_paired_and_pooled_over_seeds():
    names = ("gained", "even", "lost")
    changes = guard_changes(table(), {"after": "base"}, names, "sound_text")["after"]
    assert [changes[name]["value"] for name in names] == [pytest.approx(50), pytest.approx(0), pytest.approx(-50)]
    assert [changes[name]["verdict"] for name in names] == ["better", "no difference", "worse"]
    assert all(change["n"] == 40 and change["than"] == "base" for change in changes.values())
    low, high = changes["lost"]["ci95"]
    assert -70 < low < -50 < high < -30
    assert changes["lost"]["p"] < 1e-4 < changes["even"]["p"]


def test_the_interval_decides_the_verdict():
    assert [verdict(0.1, 2), verdict(0, 2), verdict(-2, 0), verdict(-2, -0.1)] == [
        "better", "no difference", "no difference", "worse"
    ]  # fmt: skip


def change(value, low, high, said, than="base"):
    return {"value": value, "ci95": [low, high], "p": 0.5, "n": 9, "verdict": said, "than": than}


GUARDS = {
    "no_regret": {
        "speech": change(-11, -14.2, -8, "worse"),
        "avqa": change(4.06, 1.9, 6.3, "better"),
        "music": change(0.04, -1, 1.1, "no difference"),
    },
    "second": {"avqa": change(1, 0.5, 2, "better", "no_regret")},
    "unasked": {},
}
LINES = [
    "no_regret: better on avqa +4.1 [1.9, 6.3]; no difference on music +0.0 [-1.0, 1.1]; "
    "worse on speech -11.0 [-14.2, -8.0]",
    "second (than no_regret): better on avqa +1.0 [0.5, 2.0]",
]


def test_one_line_says_what_got_better_and_what_got_worse():
    assert guard_lines({**SUMMARY, "guards": GUARDS}) == LINES
    assert guard_lines(SUMMARY) == []


def test_the_page_has_the_same_lines(tmp_path):
    for guards, shown in ((GUARDS, True), ({}, False)):
        (tmp_path / "summary.json").write_text(json.dumps({**SUMMARY, "guards": guards}))
        page = build_report(tmp_path, [], tmp_path / "report.html").read_text()
        assert ('id="guards"' in page) == shown
        assert all((f"<li>{line}</li>" in page) == shown for line in LINES)


@pytest.fixture
def recipe(tmp_path):
    path = tmp_path / "recipe.toml"
    path.write_text(TEXT)
    return path


def test_a_model_is_compared_with_its_start_where_that_was_asked(recipe):
    two = 'evaluate.benchmarks=["mme", "docvqa"]'
    guards = 'guards.benchmarks=["docvqa"]'
    assert guard_pairs(load_recipe(recipe, [two, guards])) == {
        "sft": "aligned", "self_kd": "aligned", "layers": "self_kd"
    }  # fmt: skip
    fewer = 'evaluate.models=["layers", "self_kd"]'
    assert guard_pairs(load_recipe(recipe, [two, guards, fewer])) == {"layers": "self_kd"}
    hears = ['model.ears={encoder="native"}', fewer, 'train.self_kd.start="base"']
    assert guard_pairs(load_recipe(recipe, [two, guards, *hears])) == {"self_kd": "base", "layers": "self_kd"}


@pytest.mark.parametrize(
    ("overrides", "said"),
    [
        (['guards.benchmarks=["docvqa"]'], "guards.benchmarks: 'docvqa' is not among evaluate.benchmarks"),
        (['guards.benchmarks=["mme"]'], "guards.benchmarks: 'mme' is the first of evaluate.benchmarks"),
        (
            ['evaluate.benchmarks=["mme", "docvqa"]', 'guards.benchmarks=["docvqa"]', 'evaluate.models=["sft"]'],
            "guards: no training is evaluated together with the model that it started from",
        ),
        (
            ['evaluate.benchmarks=["mme", "docvqa"]', 'guards.benchmarks=["docvqa"]', 'evaluate.views=["image_text"]'],
            "guards: models are compared under image_speech",
        ),
    ],
)
def test_guards_that_cannot_be_told_are_refused(recipe, overrides, said):
    with pytest.raises(InputError, match=said):
        load_recipe(recipe, overrides)
