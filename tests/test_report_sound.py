"""What a run on sounds shows: controls, ablation rows, faithfulness and filters, by hand, and the page that says it."""

from __future__ import annotations

import json
import re
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from example_recipe import TEXT
from test_report import Page

from earwise.errors import InputError
from earwise.evaluate.ablation import ablation_gains, ablation_rows
from earwise.evaluate.faithful import Chain, faithfulness, judge_chain, read_truth, summarise_faithfulness
from earwise.evaluate.filters import summarise_filters
from earwise.evaluate.shares import pooled_share
from earwise.evaluate.sound import sound_gaps, summarise_sound
from earwise.evaluate.summary import ScoreTable, compare, summarise_models
from earwise.evaluation_settings import Evaluate, Report
from earwise.recipe import load_recipe
from earwise.records import Item, Score, Trace, View
from earwise.report import build_report
from earwise.report.sound import faithfulness_grid, gains_grid, sound_section, trace_section
from earwise.report.summary import Summary, parse_summary
from earwise.stages import report as report_stage
from earwise.store import write_jsonl
from earwise.traces.filtering import Decision, Step
from earwise.traces.format import parse, render
from earwise.traces.known import KnownChain

TRUE = "A bell rings at one. A horn blows at three."


def score(
    n: int, value: float, *, model: str = "sft", source: str = "sounds", view: View = "sound_text", said: str = "x"
) -> Score:
    return Score(
        item=f"q{n}", source=source, model=model, view=view, cluster=f"c{n}", prediction=said, value=value,
        invalid=False,
    )  # fmt: skip


def many(values: list[float], **about: Any) -> list[Score]:
    return [score(n, value, **about) for n, value in enumerate(values)]


# What a score owes to hearing


def test_sound_gaps_average_seeds_item_by_item() -> None:
    """Seed 0: 3 of 4 with sound, 1 of 4 without; seed 1: 4 of 4 and 2 of 4."""
    main = [many([1, 1, 1, 0]), many([1, 1, 1, 1])]
    without = [many([1, 0, 0, 0], view="text_only"), many([1, 1, 0, 0], view="text_only")]
    cells = {"sound_text": main, "text_only": without, "sound_off": main, "sound_swapped": without}
    gaps = {gap.control: gap for gap in sound_gaps("sounds", cells)}
    assert (gaps["text_only"].score, gaps["text_only"].gap) == (pytest.approx(37.5), pytest.approx(50))
    assert gaps["text_only"].by_seed == (pytest.approx(50), pytest.approx(50))
    assert (gaps["sound_off"].gap, gaps["sound_off"].low, gaps["sound_off"].hears) == (0, 0, False)


def test_a_control_of_other_items_is_named() -> None:
    cells = {view: [many([1, 0], view=view)] for view in ("sound_text", "text_only", "sound_off")}
    cells["sound_swapped"] = [[score(0, 1, view="sound_swapped"), score(7, 1, view="sound_swapped")]]
    with pytest.raises(InputError, match="sounds: sound_swapped was scored on other items than sound_text"):
        sound_gaps("sounds", cells)


# Shares


def test_a_pooled_share_counts_cases_of_all_seeds() -> None:
    """3 hits of 4 cases and 0 of 1: 3 of 5 together, not the mean of the two."""
    found = pooled_share(np.array([[1.0, 2.0], [0.0, 0.0]]), np.array([[2.0, 2.0], [1.0, 0.0]]), ["a", "b"])
    assert found is not None
    assert (found["value"], found["n"], found["by_seed"]) == (pytest.approx(0.6), 5, [0.75, 0.0])
    assert found["ci95"] == pytest.approx([1 / 3, 1])  # cluster a twice: 2 of 6; b twice: 4 of 4


def test_a_share_of_nothing_is_unknown_and_one_cluster_has_no_interval() -> None:
    assert pooled_share(np.zeros((1, 2)), np.zeros((1, 2)), ["a", "b"]) is None
    one = pooled_share(np.array([[1.0, 0.0]]), np.array([[1.0, 1.0]]), ["a", "a"])
    assert one == {"value": 0.5, "ci95": None, "n": 2, "by_seed": [0.5]}


# Faithfulness


def answer(reasoning: str) -> str:
    return render(reasoning, "bell")


TRUTH = {f"c{n}": frozenset({"a bell rings at one", "a horn blows at three"}) for n in range(4)}


def test_claims_are_compared_without_case_spaces_and_final_mark(tmp_path: Path) -> None:
    write_jsonl(tmp_path / "truth.jsonl", [KnownChain(id="c0", audio="c0.wav", reasoning=TRUE)])
    truth = read_truth(tmp_path / "truth.jsonl")
    assert truth == {"c0": TRUTH["c0"]}
    said = "A  BELL rings at one! A dog barks at two. a bell rings at one."
    assert judge_chain(said, truth["c0"]) == Chain(claims=2, true=1, omitted=1)


def test_faithfulness_by_hand() -> None:
    """Four answers: all told; one true and one false claim; one true claim alone; no reasoning."""
    cell = [
        score(0, 1, said=answer("a horn blows at three . A bell rings at one .")),
        score(1, 1, said=answer("A bell rings at one. A dog barks at two.")),
        score(2, 0, said=answer("A horn blows at three")),
        score(3, 1, said="bell"),
    ]
    found = faithfulness([cell], TRUTH)
    assert {key: found[key]["value"] for key in ("reasons", "true_chains", "true_claims", "complete_chains")} == {
        "reasons": 0.75,
        "true_chains": pytest.approx(2 / 3),
        "true_claims": pytest.approx(4 / 5),
        "complete_chains": pytest.approx(1 / 3),
    }
    assert (found["n"], found["no_truth"], found["true_claims"]["n"]) == (4, 0, 5)
    low, high = found["true_chains"]["ci95"]
    assert low < 2 / 3 < high


def test_chains_without_truth_or_claims_are_not_judged() -> None:
    cell = [
        score(0, 1, said=answer("a bell rings at one")),
        score(9, 1, said=answer("a cat")),
        score(1, 1, said=answer("...")),
    ]
    found = faithfulness([cell], TRUTH)
    assert (found["reasons"]["value"], found["no_truth"], found["true_chains"]["n"]) == (pytest.approx(2 / 3), 1, 1)


def test_only_models_that_reason_are_in_the_summary() -> None:
    says = [score(n, 1, said=answer(TRUE)) for n in range(2)]
    table = ScoreTable.of({0: [*says, *many([1, 1], model="direct")]}, "base")
    found = summarise_faithfulness(table, TRUTH, "sound_text")
    assert list(found) == ["sft"]
    assert found["sft"]["sounds"]["complete_chains"]["value"] == 1


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


# Filters


def trace(item: str, sample: int, reasoning: str | None, said: str = "bell") -> Trace:
    text = f"<think>{reasoning}</think><answer>{said}</answer>" if reasoning else "no idea"
    parsed = parse(text)
    return Trace(
        item=item, model="t", view="video_text", sample=sample, text=text, outcome=parsed.outcome.value,
        reasoning=parsed.reasoning, answer=parsed.answer,
    )  # fmt: skip


ITEMS = {
    name: Item(id=name, source="s", question="What sounds?", answers=("bell",), cluster=cluster)
    for name, cluster in (("a", "c0"), ("b", "c1"), ("x", "unknown"))
}
WRONG = "A bell rings at one. A dog barks at two."
TRACES = [
    trace("a", 0, TRUE),
    trace("a", 1, "A bell rings at one."),
    trace("b", 0, WRONG),
    trace("b", 1, TRUE, "horn"),
    trace("b", 2, None),
    trace("x", 0, "A cat meows."),
]
ALL = [one.key for one in TRACES]


def decided(step: Step, shown: list[int], kept: list[int]) -> list[Decision]:
    return [Decision(trace=ALL[n], step=step, kept=n in kept, reason="" if n in kept else "no") for n in shown]


DECISIONS = [
    *decided("format", [0, 1, 2, 3, 4, 5], [0, 1, 2, 3, 5]),
    *decided("agreement", [0, 1, 2, 3, 4, 5], [0, 1, 5]),
    *decided("verification", [0, 1, 2, 3, 5], [0, 1, 2]),
    *decided("completeness", [0, 1, 2, 3, 5], [0, 3]),
]


def share(found: dict[str, Any], step: str, key: str) -> Any:
    one = found["steps"][step][key]
    return one and (one["value"], one["n"])


def test_filters_are_held_against_the_truth() -> None:
    found = summarise_filters(TRACES, DECISIONS, ITEMS, TRUTH)
    assert {name: (step["traces"], step["items"]) for name, step in found["steps"].items()} == {
        "all": (6, 3), "well_formed": (5, 3), "agreed": (3, 2), "verified": (3, 2), "agreed_verified": (2, 1),
        "complete": (1, 1),
    }  # fmt: skip
    assert (found["items"], found["drawn"], found["no_truth"]) == (3, 6, 1)
    # Of four chains with a truth, `WRONG` is false, and it and "A bell rings at one." leave out the horn.
    assert share(found, "all", "hallucinated") == (0.25, 4)
    assert share(found, "all", "omitting") == (0.5, 4)
    assert share(found, "all", "true_claims") == (pytest.approx(6 / 7), 7)
    assert share(found, "all", "right") == (pytest.approx(4 / 6), 6)
    assert share(found, "verified", "hallucinated") == (pytest.approx(1 / 3), 3)
    assert share(found, "verified", "recall") == (pytest.approx(2 / 3), 3)
    assert share(found, "complete", "omitting") == (0, 1)
    assert found["steps"]["all"]["labels"] == {"bell": 0.8, "horn": 0.2}
    assert found["steps"]["complete"]["labels"] == {"bell": 1}
    assert found["dropped"]["format"] == {"kept": 5, "no": 1}
    # Of three confirmed chains two are true; of three true ones that were judged two are confirmed.
    assert (found["checker"]["judged"], found["checker"]["precision"]["value"]) == (5, pytest.approx(2 / 3))
    assert (found["checker"]["recall"]["value"], found["checker"]["recall"]["n"]) == (pytest.approx(2 / 3), 3)


def test_filters_without_checker_truth_or_survivors() -> None:
    nothing = [*decided("format", [2, 5], []), *decided("agreement", [2, 5], [])]
    found = summarise_filters([TRACES[2], TRACES[5]], nothing, ITEMS, {})
    assert list(found["steps"]) == ["all", "well_formed", "agreed"]
    assert found["checker"] is None
    assert share(found, "all", "hallucinated") is None
    assert found["steps"]["agreed"] == {
        "traces": 0, "items": 0, "hallucinated": None, "true_claims": None, "omitting": None, "recall": None,
        "right": None, "labels": {},
    }  # fmt: skip
    judged = [*nothing, *decided("verification", [], [])]
    assert "agreed_verified" not in summarise_filters([TRACES[2]], judged, ITEMS, {})["steps"]


def test_verified_has_no_line_of_its_own_where_only_agreed_traces_were_judged() -> None:
    decisions = [one for one in DECISIONS if one.step in ("format", "agreement")] + decided("verification", [0, 1], [0])
    assert list(summarise_filters(TRACES, decisions, ITEMS, TRUTH)["steps"]) == [
        "all", "well_formed", "agreed", "agreed_verified",
    ]  # fmt: skip


def test_the_gold_answer_of_a_choice_is_its_letter() -> None:
    item = ITEMS["a"].model_copy(update={"answers": ("B",), "choices": ("horn", "bell")})
    found = summarise_filters([trace("a", 0, TRUE, "bell"), trace("a", 1, TRUE, "A")], [
        Decision(trace=f"a|t|video_text|{n}", step=step, kept=True) for n in (0, 1) for step in ("format", "agreement")
    ], {"a": item}, TRUTH)  # fmt: skip
    assert (share(found, "all", "right"), found["steps"]["all"]["labels"]) == ((0.5, 2), {"B": 0.5, "A": 0.5})


def test_the_stage_reads_what_the_filters_left(tmp_path: Path) -> None:
    for name, steps in (("traces", ("format", "agreement")), ("verify", ("verification", "completeness"))):
        (tmp_path / name).mkdir()
        write_jsonl(tmp_path / name / "decisions.jsonl", [one for one in DECISIONS if one.step in steps])
    write_jsonl(tmp_path / "traces" / "traces.jsonl", TRACES)
    (tmp_path / "verify" / "trust.json").write_text('{"checker": "ear"}')
    (tmp_path / "data").mkdir()
    write_jsonl(tmp_path / "data" / "train.jsonl", ITEMS.values())
    chains = [KnownChain(id=f"c{n}", audio="a.wav", reasoning=TRUE) for n in range(4)]
    write_jsonl(tmp_path / "data" / "truth.jsonl", chains)
    recipe = SimpleNamespace(traces=SimpleNamespace(items="train"), verify=object(), data=None)
    found = report_stage._traces(SimpleNamespace(folder_of=lambda name: tmp_path / name), recipe)  # type: ignore[arg-type]
    assert found == {**summarise_filters(TRACES, DECISIONS, ITEMS, TRUTH), "trust": {"checker": "ear"}}


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
        "traces": summarise_filters(TRACES, DECISIONS, ITEMS, TRUTH)
        | {"trust": {"checker": "ear<b>", "precision": trust, "recall": trust, "accuracy": trust}},
    }


def summary() -> Summary:
    return parse_summary(json.dumps(run_summary()))


def test_a_benchmark_that_can_be_answered_without_sound_says_so() -> None:
    section = sound_section(summary())
    assert section is not None
    (told,) = [line.replace("\xa0", " ") for line in section.sentences]
    # 30 of 40 with sound; without, 29 and 30: half an item of 40 is 1.25 points. `sft` is best and needs the sound.
    assert told.startswith(
        "easy, scores that are not earned by hearing: no loss of base is shown under text only (+1.2 p"
    )
    (row,) = [row for row in section.grid.groups[1].rows if row.label == "base"]
    assert [cell and cell.text for cell in row.cells] == ["75.0", "73.8", "25.0", "25.0", "40"]
    assert section.grid.columns[1] == ("Text only", "control: the question alone")


def test_the_best_score_decides_whether_a_benchmark_needs_its_sound() -> None:
    data = run_summary()
    for part in ("models", "sound"):
        data[part] = {model: {"easy": found["easy"]} for model, found in data[part].items() if model == "base"}
    section = sound_section(parse_summary(json.dumps(data)))
    assert section is not None
    assert section.sentences[0].startswith(
        "easy can be answered without its sound: no loss of base is shown under text"
    )
    hard = run_summary()
    for part in ("models", "sound"):
        hard[part] = {model: {"hard": found["hard"]} for model, found in hard[part].items()}
    section = sound_section(parse_summary(json.dumps(hard)))
    assert section is not None
    assert section.sentences == ("Every score is lower under every control: it is earned by hearing.",)


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
    page = Page(build_report(tmp_path, [], tmp_path / "report.html").read_text())
    heads = page.text("h2")
    for head in (
        "Models compared",
        "What the scores owe to hearing",
        "Whether the reasoning is true",
        "filter by filter",
    ):
        assert head in heads
    assert "paper" not in heads
    assert "typed" not in heads
    visible = page.visible
    for told in (
        "Sound view: base 82.5 → SFT 90.0.", "73.8 1.2 less, no loss shown", "Each setting minus direct",
        "+15.0 better",
        "The checker ear<b> before it judged, on known chains: precision 90.0 %",
        "Held against the truth, on the 5 traces that it judged: precision 66.7 %", "Format: 5 kept; dropped: no 1.",
        "Agreed, verified and complete", "72 chains are about sounds of which no truth is known",
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


def test_a_run_without_sounds_has_none_of_these_parts() -> None:
    empty = parse_summary('{"recipe": "x", "models": {}}')
    assert (sound_section(empty), gains_grid(empty), faithfulness_grid(empty), trace_section(empty)) == (None,) * 4
