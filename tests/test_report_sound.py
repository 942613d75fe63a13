"""What a run on sounds shows: controls and the rows of an ablation, by hand, and the page that says it."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from example_recipe import TEXT
from report_fixture import write_clip
from test_faithful import DECISIONS, ITEMS, TRACES, TRUTH, answer, many, score
from test_report import Page

from earwise.errors import InputError
from earwise.evaluate.ablation import ablation_gains, ablation_rows
from earwise.evaluate.faithful import summarise_faithfulness
from earwise.evaluate.filters import summarise_filters
from earwise.evaluate.sound import sound_gaps, summarise_sound
from earwise.evaluate.summary import ScoreTable, compare, summarise_models
from earwise.recipe.evaluate import Evaluate, Report
from earwise.recipe.read import load_recipe
from earwise.records import View
from earwise.report import Answer, ShownItem, build_report, console_table
from earwise.report.sound import faithfulness_gains_grid, faithfulness_grid, gains_grid, sound_section, trace_section
from earwise.report.summary import Summary, parse_summary

# What a score owes to hearing


def test_sound_gaps_average_seeds_item_by_item() -> None:
    """Seed 0: 3 of 4 with sound, 1 of 4 without; seed 1: 4 of 4 and 2 of 4."""
    main = [many([1, 1, 1, 0]), many([1, 1, 1, 1])]
    without = [many([1, 0, 0, 0], view="text_only"), many([1, 1, 0, 0], view="text_only")]
    cells = {"sound_text": main, "text_only": without, "sound_off": main, "sound_swapped": without}
    gaps = {gap.control: gap for gap in sound_gaps("sounds", cells)}
    assert (gaps["text_only"].score, gaps["text_only"].gap) == (pytest.approx(37.5), pytest.approx(50))
    assert gaps["text_only"].by_seed == (pytest.approx(50), pytest.approx(50))
    assert (gaps["sound_off"].gap, gaps["sound_off"].hears) == (0, False)
    assert gaps["sound_off"].low == pytest.approx(-48.99, abs=0.01), "four clusters that agree: 100 * 3.8415 / 7.8415"


def test_a_control_of_other_items_is_named() -> None:
    cells = {view: [many([1, 0], view=view)] for view in ("sound_text", "text_only", "sound_off")}
    cells["sound_swapped"] = [[score(0, 1, view="sound_swapped"), score(7, 1, view="sound_swapped")]]
    with pytest.raises(InputError, match="sounds: sound_swapped was scored on other items than sound_text"):
        sound_gaps("sounds", cells)


# Ablation


def ablation_table() -> ScoreTable:
    """Two seeds. `direct` has 1 of 4 twice; `sft` 3 of 4 and 4 of 4."""
    seeds = {0: (many([1, 0, 0, 0], model="base"), many([1, 1, 1, 0])),
             1: (many([0, 1, 0, 0], model="base"), many([1, 1, 1, 1]))}  # fmt: skip
    return ScoreTable.of({seed: [*a, *b] for seed, (a, b) in seeds.items()}, "base")


def test_rows_of_an_ablation_have_names_of_their_own() -> None:
    table, rows = ablation_table(), {"direct": "base", "sft_traces": "sft"}
    cells = ablation_rows(summarise_models(table, "image_text", "image_speech"), rows, "sound_text")
    assert {row: cells[row]["sounds"]["score"] for row in cells} == {"direct": 25, "sft_traces": 87.5}
    assert cells["direct"]["sounds"]["n"] == 4
    gains = ablation_gains(table, rows, "direct", "sound_text")
    assert list(gains) == ["sft_traces"]
    gain = gains["sft_traces"]["sounds"]
    assert (gain["value"], gain["by_seed"], gain["n"]) == (pytest.approx(62.5), pytest.approx([50, 75]), 4)
    assert gain["ci95"] == compare(table, [("sft", "base")], "sounds", "sound_text")[0]["ci95"]
    assert ablation_gains(table, rows, "sft_traces", "sound_text")["direct"]["sounds"]["value"] == pytest.approx(-62.5)


def test_an_ablation_is_a_list_or_a_table_and_its_baseline_a_row() -> None:
    assert Report.model_validate({"ablation": ["sft", "grpo"]}).rows == {"sft": "sft", "grpo": "grpo"}
    assert Report.model_validate({"ablation": {"direct": "base"}}).rows == {"direct": "base"}
    with pytest.raises(ValueError, match="'base' is no row of the ablation"):
        Report.model_validate({"ablation": {"direct": "base"}, "ablation_baseline": "base"})


@pytest.mark.parametrize(
    ("views", "main"),
    [
        (["image_text", "image_speech"], "image_speech"),
        (["sound_text", "video_text"], "sound_text"),
        (["image_speech", "sound_text"], "image_speech"),
        (["image_text"], "image_speech"),
    ],
)
def test_models_are_compared_by_sound_where_nothing_is_asked_by_speech(views: list[View], main: View) -> None:
    given = {"benchmarks": ["x"], "views": views, "batch_size": 1, "max_new_tokens": 1}
    assert Evaluate.model_validate(given).main_view == main


@pytest.mark.parametrize(
    ("ablation", "message"),
    [
        ("{ direct = 'sfd' }", "no model is named 'sfd' for row 'direct': choose from base, aligned, sft"),
        ("{ direct = 'base' }", "row 'direct' is of 'base', which has no ears for image_speech"),
        ("3", "expected a list or a table, got 3"),
    ],
)
def test_a_row_without_scores_is_found_before_anything_runs(tmp_path: Path, ablation: str, message: str) -> None:
    (tmp_path / "quick.toml").write_text(f"{TEXT}ablation = {ablation}\n")
    with pytest.raises(InputError, match=re.escape(f"report.ablation: {message}")):
        load_recipe(tmp_path / "quick.toml")


# The page


def run_summary() -> dict[str, Any]:
    """A run that asks by sound only: `base` needs no sound on `easy`, `sft` does on `hard`."""
    scores = []
    for seed in (0, 1):
        for view, right in (("sound_text", 30), ("text_only", 29 + seed), ("sound_off", 10), ("sound_swapped", 10)):
            values = [1.0] * right + [0.0] * (40 - right)
            scores.append((seed, many(values, model="base", source="easy", view=view)))
            values = [1.0] * (36 if view == "sound_text" else 8) + [0.0] * (4 if view == "sound_text" else 32)
            said = answer("A bell rings at one.")
            scores.append((seed, many(values, model="sft", source="hard", view=view, said=said)))
            scores.append((seed, many(values, model="base", source="hard", view=view)))
            scores.append((seed, many(values, model="sft", source="easy", view=view)))
    table = ScoreTable.of({seed: [s for at, some in scores for s in some if at == seed] for seed in (0, 1)}, "base")
    rows = {"direct": "base", "sft_traces": "sft"}
    models = summarise_models(table, "image_text", "image_speech")
    trust = {"value": 0.9, "low": 0.85, "high": 0.94, "n": 100}
    return {
        "recipe": "sounds",
        "seeds": [0, 1],
        "text_view": "image_text",
        "speech_view": "image_speech",
        "main_view": "sound_text",
        "models": models,
        "comparisons": [c for n in table.benchmarks for c in compare(table, [("sft", "base")], n, "sound_text")],
        "ablation": ablation_rows(models, rows, "sound_text"),
        "ablation_baseline": "direct",
        "ablation_gains": ablation_gains(table, rows, "direct", "sound_text"),
        "sound": summarise_sound(table),
        "faithfulness": summarise_faithfulness(table, TRUTH, "sound_text"),
        "faithfulness_gains": {
            "sft": {"base": {"hard": {"value": 0.25, "ci95": [0.125, 0.5], "n": 4, "by_seed": [0.0, 0.5]}}},
            "late": {
                "base": {"hard": {"value": 0.0, "ci95": [-0.25, 0.25], "n": 4, "by_seed": [0.0, 0.0]}},
                "sft": {"hard": {"value": -0.25, "ci95": None, "n": 1, "by_seed": [0.0, -0.5]}},
            },
        },
        "traces": summarise_filters(TRACES, DECISIONS, ITEMS, TRUTH)
        | {"trust": {"checker": "ear<b>", "precision": trust, "recall": trust, "accuracy": trust}}
        | {"failed": 1, "spent": {"teacher": {"prompt_tokens": 1200, "completion_tokens": 30, "cost": 0.5}}},
    }


def summary() -> Summary:
    return parse_summary(json.dumps(run_summary()))


def test_a_benchmark_that_can_be_answered_without_sound_says_so() -> None:
    section = sound_section(summary())
    assert section is not None
    (told,) = [line.replace("\xa0", " ") for line in section.sentences]
    # 30 of 40 with sound; without, 29 and 30: half an item of 40 is 1.25 points. `sft` is best and needs the sound.
    assert told.startswith(
        "easy, scores that do not depend on the sound: no loss of base is shown under text only (+1.2 p"
    )
    (row,) = [row for row in section.grid.groups[1].rows if row.label == "base"]
    assert [cell and cell.text for cell in row.cells] == ["75.0", "73.8", "25.0", "25.0", "40"]
    assert section.grid.columns[1] == ("Text only", "the question alone, typed")


def test_the_best_score_decides_whether_a_benchmark_needs_its_sound() -> None:
    data = run_summary()
    for part in ("models", "sound"):
        data[part] = {model: {"easy": found["easy"]} for model, found in data[part].items() if model == "base"}
    section = sound_section(parse_summary(json.dumps(data)))
    assert section is not None
    assert section.sentences[0].startswith("easy is answered equally well without its sound: no loss of base is shown")
    hard = run_summary()
    for part in ("models", "sound"):
        hard[part] = {model: {"hard": found["hard"]} for model, found in hard[part].items()}
    section = sound_section(parse_summary(json.dumps(hard)))
    assert section is not None
    assert section.sentences == ("Every score is lower under every control, so the models use the sound.",)


def test_gains_are_told_in_words() -> None:
    grid = gains_grid(summary())
    assert grid is not None
    (row,) = grid.groups[0].rows
    # easy: 36 - 30 of 40; hard: the same for both.
    cells = {
        title: (cell.text, cell.small[0]) for (title, _), cell in zip(grid.columns, row.cells, strict=True) if cell
    }
    assert cells == {
        "easy": ("+15.0", "better"), "hard": ("0.0", "no difference shown"), "All items": ("+7.5", "better"),
    }  # fmt: skip


def test_the_page_shows_a_run_on_sounds(tmp_path: Path) -> None:
    (tmp_path / "summary.json").write_text(json.dumps(run_summary()))
    train = {"sft": {"view": "sound_text", "terms": [{"type": "sft", "weight": 1.0}]}}
    recipe = {"name": "sounds", "train": train, "report": {"ablation": {"direct": "base", "sft_traces": "sft"}}}
    (tmp_path / "recipe.json").write_text(json.dumps(recipe))
    clip = write_clip(tmp_path / "bell.wav", "a", "?", 0)
    said = {"sft": {"sound_text": Answer("bell", 1.0, False)}}
    shown = [ShownItem(ITEMS["a"], None, None, None, said, tmp_path / "bell.wav")]
    page = Page(build_report(tmp_path, shown, tmp_path / "report.html").read_text())
    (sound,) = page.all("audio")
    assert sound["aria-label"] == "The sound that the question is about: What sounds?"
    assert sound["src"].startswith("data:audio/flac;base64,")
    assert shown[0].seconds == clip.duration_s == 2.5
    heads = page.text("h2")
    for head in (
        "Models compared",
        "Scores with and without the sound",
        "Faithfulness of the reasoning",
        "after each filter",
    ):
        assert head in heads
    assert "paper" not in heads
    assert "typed" not in heads
    visible = page.visible
    for told in (
        "Sound view: base 82.5 → SFT 90.0.", "73.8 loss 1.2, not shown", "Each setting minus direct",
        "+15.0 better",
        "The checker ear<b>, measured on known chains: precision 90.0 %",
        "Against the truth, on the 5 traces that it judged: precision 66.7 %", "Format: 5 kept; dropped: no 1.",
        "Agreed, verified and complete", "Teacher: 1,200 tokens read, 30 written, cost 0.50.",
        "72 chains are about sounds without known truth",
    ):  # fmt: skip
        assert told in visible.replace("\xa0", " "), told
    grid = faithfulness_grid(summary())
    assert grid is not None
    assert [cell and cell.text for cell in grid.groups[0].rows[0].cells] == [
        "100.0",
        "100.0",
        "100.0",
        "0.0",
        "8",
        "40",
    ]
    assert trace_section(summary()) is not None


def test_true_answers_are_compared_in_points() -> None:
    grid = faithfulness_gains_grid(summary())
    assert grid is not None
    assert [(group.title, [row.label for row in group.rows]) for group in grid.groups] == [
        ("SFT", ["minus base"]), ("late", ["minus base", "minus SFT"])
    ]  # fmt: skip
    gained, same, alone = (row.cells[0] for group in grid.groups for row in group.rows)
    assert gained is not None
    assert same is not None
    assert (gained.text, gained.small[0]) == ("+25.0", "better")
    assert gained.small[-1] == "0.0, +50.0"
    assert (same.text, same.small[0]) == ("0.0", "no difference shown")
    assert alone is None


def test_a_gap_between_other_views_is_named_by_them(tmp_path: Path) -> None:
    data = run_summary() | {"text_view": "text_only", "speech_view": "sound_text"}
    for results in data["models"].values():
        for found in results.values():
            found["gap"] = {"value": -40.0, "ci95": [-45.0, -35.0], "p": 0.001}
    (tmp_path / "summary.json").write_text(json.dumps(data))
    page = Page(build_report(tmp_path, [], tmp_path / "report.html").read_text())
    assert "The gap between the views “text only” and “sound”" in page.text("h2")
    assert "text only − sound, points" in page.text("small")
    for word in ("typed −", "spoken", "Spoken", "Recovered"):
        assert word not in page.visible
    assert "Sound view: base 82.5 → SFT 90.0; text only 20.0 to 46.9." in page.visible
    assert console_table(data).columns[-1].header.plain == "gap [95 % CI]"


def test_a_run_without_sounds_has_none_of_these_parts() -> None:
    empty = parse_summary('{"recipe": "x", "models": {}}')
    assert (sound_section(empty), gains_grid(empty), faithfulness_grid(empty), trace_section(empty)) == (None,) * 4
    assert faithfulness_gains_grid(empty) is None
