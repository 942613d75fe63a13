"""Benchmarks of one run that are asked under views of their own: spoken questions beside sounds."""

import re

import pytest
from example_recipe import TEXT
from test_faithful import score

from earwise.errors import InputError
from earwise.evaluate.ablation import ablation_gains, ablation_rows
from earwise.evaluate.guards import guard_changes
from earwise.evaluate.summary import ScoreTable, summarise_models
from earwise.recipe.read import load_recipe

LAST = {"spoken": "video_speech"}


def scores(model, source, view, values):
    return [
        score(n, value, model=model).model_copy(
            update={"source": source, "cluster": f"{source}-{n}", "view": view, "item": f"{source}-{n}"}
        )
        for n, value in enumerate(values)
    ]


def table():
    """Eight sounds and four spoken questions of two models: `after` is better by ear and worse by speech."""
    found = []
    for model, heard, typed, spoken in (
        ("before", [1, 0] * 4, [1, 1, 1, 0], [1, 1, 0, 0]),
        ("after", [1, 1] * 4, [1, 1, 1, 1], [1, 0, 0, 0]),
    ):
        found += scores(model, "avqa", "sound_text", heard)
        found += scores(model, "spoken", "video_text", typed) + scores(model, "spoken", "video_speech", spoken)
    return ScoreTable.of({0: found}, "base")


def test_the_gap_and_the_rows_of_a_benchmark_are_of_its_own_views():
    models = summarise_models(table(), "text_only", "sound_text", {"spoken": ("video_text", "video_speech")})
    assert models["after"]["spoken"]["gap"]["value"] == pytest.approx(75)
    assert models["before"]["spoken"]["gap"]["value"] == pytest.approx(25)
    assert models["after"]["avqa"]["gap"] is None
    rows = ablation_rows(models, {"a": "after", "b": "before"}, "sound_text", LAST)
    assert {row: {name: (cell["score"], cell["n"]) for name, cell in cells.items()} for row, cells in rows.items()} == {
        "a": {"avqa": (100.0, 8), "spoken": (25.0, 4), "all": (100.0, 8)},
        "b": {"avqa": (50.0, 8), "spoken": (50.0, 4), "all": (50.0, 8)},
    }


def test_a_gap_over_all_benchmarks_is_of_the_items_that_both_views_were_asked_about():
    found = scores("m", "mme", "image_text", [1, 1, 1, 0]) + scores("m", "mme", "image_speech", [1, 0, 0, 0])
    typed_only = scores("m", "textvqa", "image_text", [0, 0])
    both = summarise_models(ScoreTable.of({0: found}, "base"), "image_text", "image_speech")["m"]["all"]
    more = summarise_models(ScoreTable.of({0: found + typed_only}, "base"), "image_text", "image_speech")["m"]
    assert both["gap"]["value"] == pytest.approx(50)
    assert more["all"]["gap"] == both["gap"]
    assert more["all"]["views"]["image_text"]["score"] == pytest.approx(50)
    assert more["textvqa"]["gap"] is None


def test_models_are_compared_under_the_views_of_each_benchmark():
    gains = ablation_gains(table(), {"a": "after", "b": "before"}, "b", "sound_text", LAST)["a"]
    assert gains["avqa"]["value"] == pytest.approx(50)
    assert gains["spoken"]["value"] == pytest.approx(-25)
    changes = guard_changes(table(), {"after": "before"}, ["spoken", "avqa"], "sound_text", LAST)["after"]
    assert [changes[name]["value"] for name in ("spoken", "avqa")] == [pytest.approx(-25), pytest.approx(50)]


def test_a_recipe_says_which_views_and_keeps_its_fingerprint_where_it_says_nothing(tmp_path):
    path = tmp_path / "recipe.toml"
    path.write_text(TEXT)
    said = ['evaluate.benchmarks=["mme", "textvqa"]', "evaluate.views_of.textvqa=['image_text', 'speech_only']"]
    plain, own = load_recipe(path).evaluate, load_recipe(path, said).evaluate
    assert "views_of" not in plain.for_stage()
    assert "views_of" in own.for_stage()
    assert own.asked("mme") == ("image_text", "image_speech")
    assert own.asked("textvqa") == ("image_text", "speech_only")
    assert (own.compared("mme"), own.compared("textvqa")) == ("image_speech", "speech_only")
    assert own.every_view == ("image_text", "image_speech", "speech_only")
    with pytest.raises(InputError, match=re.escape("evaluate.views_of.docvqa: is not among evaluate.benchmarks")):
        load_recipe(path, ["evaluate.views_of.docvqa=['image_text']"])
