"""From a recipe's `[attention]` to rows, numbers and the section of the page, on a tiny model."""

import json
import re
from dataclasses import replace
from importlib.resources import files

import pytest
import torch
from report_fixture import write_run
from tiny import tiny_model, tiny_samples

from earwise.attention.measure import Look, measure
from earwise.attention.records import KINDS, AttentionRow
from earwise.attention.runner import run_attention
from earwise.attention.summary import AttentionTable, summarise
from earwise.errors import InputError
from earwise.planning.compile import compile_recipe
from earwise.recipe.read import load_recipe
from earwise.records import Item
from earwise.report import build_report
from earwise.report.attention import attention_section, read_attention
from earwise.report.attention_charts import line_style
from earwise.stages.attention import answered, spread
from earwise.work.store import Store, read_store

SPOKEN, TYPED = "image_speech", "image_text"


@pytest.fixture
def model(tiny_checkpoints):
    return tiny_model(tiny_checkpoints["internvl"])


def test_shares_sum_to_one_and_a_typed_query_is_its_own_match(model, tmp_path):
    samples = tiny_samples(tmp_path)
    for view in (TYPED, SPOKEN):
        for row in measure(model, "m", "mme", samples, view, Look()):
            for flow in (row.query, row.response):
                assert all(sum(layer) == pytest.approx(1, abs=1e-6) for layer in (*flow.share, *flow.matched))
                apart = torch.tensor(flow.matched) - torch.tensor(flow.share)
                assert (apart.abs().max() < 1e-6) == (view == TYPED)
            assert row.query.values("share", "response") == (0.0,) * 2
            assert row.query.visible[KINDS.index("vision")] == 16


def test_a_batch_measures_each_item_as_alone(model, tmp_path):
    samples = tiny_samples(tmp_path)
    together = measure(model, "m", "mme", samples, SPOKEN, Look())
    for n, sample in enumerate(samples):
        [alone] = measure(model, "m", "mme", [sample], SPOKEN, Look())
        torch.testing.assert_close(
            torch.tensor(together[n].query.share), torch.tensor(alone.query.share), atol=1e-5, rtol=0
        )
        assert together[n].response.rows == alone.response.rows


def test_predicting_positions_are_one_earlier(model, tmp_path):
    [sample] = tiny_samples(tmp_path, 1)
    layout = model.layouts.build(sample, TYPED, answers=True)
    [tokens] = measure(model, "m", "mme", [sample], TYPED, Look())
    [predicting] = measure(model, "m", "mme", [sample], TYPED, Look(response_rows="predicting"))
    seen = [i + 1 for i in layout.response]
    assert sum(tokens.response.visible) == pytest.approx(sum(seen) / len(seen))
    assert sum(predicting.response.visible) == pytest.approx(sum(seen) / len(seen) - 1)
    assert predicting.query == tokens.query


def test_sinks_are_the_keys_above_the_share(model, tmp_path):
    samples = tiny_samples(tmp_path, 1)
    [row] = measure(model, "m", "mme", samples, SPOKEN, Look(layers=(1,), sink_share=0.03))
    [none] = measure(model, "m", "mme", samples, SPOKEN, Look(layers=(1,), sink_share=1.0))
    assert row.sinks
    assert none.sinks == ()
    layout = model.layouts.build(samples[0], SPOKEN, answers=True)
    for sink in row.sinks:
        assert sink.layer == 1
        assert sink.share > 0.03
        assert sink.position < len(layout)


def test_a_query_without_tokens_is_refused(model, tmp_path):
    [sample] = tiny_samples(tmp_path, 1)
    empty = replace(sample, turns=(replace(sample.turns[0], text=""),))
    with pytest.raises(InputError, match="the query has no tokens"):
        measure(model, "m", "mme", [empty], TYPED, Look())


def test_a_stopped_run_continues_and_ends_as_an_uninterrupted_one(model, tmp_path, monkeypatch):
    samples, views = tiny_samples(tmp_path), (TYPED, SPOKEN)
    with Store(tmp_path / "whole.jsonl", AttentionRow) as store:
        run_attention(model, "m", "mme", samples, views, Look(), store, batch_size=2)
    whole = read_store(tmp_path / "whole.jsonl", AttentionRow)
    assert len(whole) == 8
    with Store(tmp_path / "cut.jsonl", AttentionRow) as store:
        for row in whole[:3]:
            store.append(row)
    asked = []
    monkeypatch.setattr(
        "earwise.attention.runner.measure",
        lambda *arguments: asked.append(len(arguments[3])) or measure(*arguments),
    )
    with Store(tmp_path / "cut.jsonl", AttentionRow) as store:
        run_attention(model, "m", "mme", samples, views, Look(), store, batch_size=2)
    assert asked == [2, 2, 2]
    assert read_store(tmp_path / "cut.jsonl", AttentionRow) == whole


def test_items_are_spread_evenly():
    assert spread(range(10), 4) == [0, 2, 5, 7]
    assert spread(range(3), 4) == [0, 1, 2]


RECIPE = """\
[attention]
items = 2
"""


def recipe_with(tmp_path, *overrides):
    from example_recipe import TEXT

    path = tmp_path / "recipe.toml"
    path.write_text(TEXT + RECIPE)
    return load_recipe(path, list(overrides))


def test_each_seed_has_a_stage_and_all_together_one(tmp_path):
    recipe = recipe_with(tmp_path)
    stages = {stage.name: stage for stage in compile_recipe(recipe)}
    names = list(stages)
    needed = {"data", "speech/benchmarks/mme", "seed1/align", "seed1/train.layers"}
    assert needed <= {*stages["seed1/attention"].needs}
    assert stages["attention"].needs == ("seed0/attention", "seed1/attention")
    assert stages["attention"].settings["baseline"] == "sft"
    assert names.index("seed1/attention") < names.index("attention") < names.index("report")
    assert "attention" in stages["report"].needs
    given = recipe_with(tmp_path, "attention.response=base", "attention.models=['sft']")
    needs = {stage.name: stage.needs for stage in compile_recipe(given)}["seed0/attention"]
    assert "seed0/evaluate.base" in needs
    assert "seed0/train.layers" not in needs


@pytest.mark.parametrize(
    ("override", "said"),
    [
        ("attention.benchmarks=['textvqa']", "'textvqa' is not among evaluate.benchmarks"),
        ("attention.models=['sfx']", "no model is named 'sfx'"),
        ("attention.baseline=base", "'base' is not among attention.models"),
        ("attention.views=['image_speech']", "image_speech is spoken"),
        ("attention.views=['image_text', 'sound_text']", "expected one of 'image_text', 'image_spoken_form'"),
        ("attention.layer=[1]", "did you mean 'layers'"),
    ],
)
def test_a_recipe_that_cannot_be_meant_is_refused(tmp_path, override, said):
    with pytest.raises(InputError, match=re.escape(said)):
        recipe_with(tmp_path, override)


@pytest.fixture
def run_folder(model, tmp_path):
    """A run folder with the analysis of two models that hear and of the base."""
    samples = tiny_samples(tmp_path)
    rows = measure(model, "base", "mme", samples, TYPED, Look())
    for seed, name in enumerate(("sft", "self_kd")):
        heard = tiny_model(model.origin[0], seed=seed)
        rows += measure(heard, name, "mme", samples, SPOKEN, Look())
    folder = write_run(tmp_path / "run")
    result = summarise(AttentionTable.of([rows], ("base", TYPED)), "sft")
    asked = {"response": "gold", "response_rows": "tokens", "sink_share": 0.1, "benchmarks": ["mme"]}
    (folder / "attention.json").write_text(json.dumps({**asked, **result}))
    return folder


def test_the_page_shows_every_figure_and_answers_the_question(run_folder):
    page = build_report(run_folder, [], run_folder / "report.html").read_text()
    section = page[page.index('<section id="attention">') :]
    section = section[: section.index("</section>")]
    assert '<a href="#attention">' in page
    assert section.count('class="panel"') >= 4 * 4
    for line in ("base, typed", "SFT, spoken", "Self-KD, spoken"):
        assert line in section
    assert re.search(r"Self-KD:</span> (closer|farther|no difference)", section)
    assert "length-matched:" in section
    assert section.count('class="layers line-0"') >= 4 * 4


def test_the_answer_follows_from_the_interval(run_folder):
    path = run_folder / "attention.json"
    data = json.loads(path.read_text())
    for c in data["comparisons"]:
        matched = c["variant"] == "matched"
        c |= {"value": 0.01, "ci95": [-0.02, 0.04]} if matched else {"value": -0.05, "ci95": [-0.07, -0.03]}
    path.write_text(json.dumps(data))
    assert attention_section(run_folder).answers == (
        "Self-KD: farther than SFT by 5.00 points (3.00 to 7.00); "
        "length-matched: no difference from SFT shown (−2.00 to +4.00 points).",
    )


def test_answers_name_the_view_where_there_are_several(run_folder):
    path = run_folder / "attention.json"
    data = json.loads(path.read_text())
    data["comparisons"] += [{**c, "view": TYPED} for c in data["comparisons"]]
    path.write_text(json.dumps(data))
    told = [answer.split(":")[0] for answer in attention_section(run_folder).answers]
    assert told == ["Self-KD, spoken", "Self-KD, typed"]


def test_no_two_of_sixteen_lines_look_alike_and_only_the_first_is_the_reference():
    styles = [line_style(rank) for rank in range(16)]
    assert len(set(styles)) == 16
    assert [style for style in styles if "line-0" in style] == ["line-0"]
    css = files("earwise.report").joinpath("attention.css").read_text()
    assert all(f".{name}" in css for style in styles for name in style.split())


def test_items_that_the_base_did_not_answer_are_left_out():
    items = [Item(id=name, source="s", question="?", answers=("gold",), cluster=name) for name in "abc"]
    [only] = answered(items, {"a": "yes", "b": ""})
    assert (only.id, only.answers) == ("a", ("yes",))


def test_a_run_without_analysis_has_no_section_and_a_broken_one_is_named(run_folder, tmp_path):
    assert attention_section(tmp_path) is None
    path = run_folder / "attention.json"
    path.write_text(path.read_text().replace('"items": 4', '"items": "four"', 1))
    with pytest.raises(InputError, match=r"attention\.json: items: not an attention analysis"):
        read_attention(run_folder)
