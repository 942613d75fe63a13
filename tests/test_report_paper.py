"""The tables and figures of the Self-KD paper on a study's page: what they hold, what they say, and that it is safe."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import study_fixture as fixture
from test_report import HOSTILE, Page

from earwise.errors import InputError
from earwise.report import build_report
from earwise.report.cases import case_tables
from earwise.report.findings import claims, limits
from earwise.report.grids import Grid
from earwise.report.paper_figures import Line, Point, alpha_figure, alpha_panel, yes_figures
from earwise.report.paper_tables import alpha_table, gap_tables, mmalign_table, relation_tables, training_table
from earwise.report.printed import best_alphas, printed_alphas, printed_gaps, printed_trainings, wins
from earwise.report.study import Study, read_study
from earwise.report.summary import Summary, parse_summary


def read(tmp_path: Path, settings: dict[str, Any] | None = None, **change: Any) -> tuple[Summary, Study]:
    summary = parse_summary(json.dumps({**fixture.summary(), **change}))
    study = read_study(fixture.write_study(tmp_path / "run", settings=settings), summary)
    assert study
    return summary, study


def page(tmp_path: Path, data: dict[str, Any] | None = None, settings: dict[str, Any] | None = None) -> Page:
    folder = fixture.write_study(tmp_path / "run", data, settings)
    return Page(build_report(folder, fixture.shown_items(tmp_path / "media", 6), tmp_path / "report.html").read_text())


def line(grid: Grid, label: str, group: str = "") -> list[str]:
    """The numbers of the first row with that label, in a group whose title ends so."""
    rows = (row for part in grid.groups if part.title.endswith(group) for row in part.rows)
    return [cell.text if cell else "" for cell in next(row for row in rows if row.label == label).cells]


# What was trained


def test_alpha_is_read_from_the_weights_and_only_where_the_objective_is_the_papers(tmp_path: Path) -> None:
    _, study = read(tmp_path)
    assert [regime.label for regime in study.regimes] == ["gold answers", "other annotator"]
    gold = study.regimes[0]
    assert [training.alpha for training in gold.alphas] == [0, 0.25, 0.5, 0.75, 1]
    assert [training.label for training in gold.named] == ["SFT", "Self-KD, alpha 1", "Self-KD + layers"]
    assert study.label("other_alpha_75") == "Self-KD, alpha 0.75 (other annotator)"
    assert study.label("aligned") == "aligned"


@pytest.mark.parametrize(
    "term",
    [
        {"type": "logits", "weight": 0.5},
        {"type": "logits", "weight": 1.0, "temperature": 2.0},
        {"type": "logits", "weight": 1.0, "divergence": "reverse_kl"},
        {"type": "logits", "weight": 1.0, "teacher": "snapshot"},
        {"type": "logits", "weight": 1.0, "view": "text_only"},
    ],
)
def test_another_objective_has_no_alpha(tmp_path: Path, term: dict[str, Any]) -> None:
    settings = fixture.recipe()
    settings["train"]["gold_alpha_100"]["terms"] = [term]
    _, study = read(tmp_path, settings)
    assert [training.alpha for training in study.regimes[0].alphas] == [0, 0.25, 0.5, 0.75]
    assert [training.name for training in study.regimes[0].others] == ["gold_alpha_100", "gold_layers"]


def test_a_run_is_a_study_only_if_its_recipe_asks_for_one(tmp_path: Path) -> None:
    summary = parse_summary(json.dumps(fixture.summary()))
    settings = {**fixture.recipe(), "report": {"items": 8}}
    assert read_study(fixture.write_study(tmp_path / "plain", settings=settings), summary) is None
    assert read_study(tmp_path / "nowhere", summary) is None
    assert "As in the paper" not in page(tmp_path, settings=settings).visible


def test_a_broken_recipe_is_one_line_with_file_and_key(tmp_path: Path) -> None:
    settings = fixture.recipe()
    settings["train"]["gold_alpha_0"]["terms"][0]["weight"] = "1"
    with pytest.raises(
        InputError, match=r"recipe\.json: train\.gold_alpha_0\.terms\.0\.weight: not a recipe: .*number"
    ):
        read(tmp_path, settings)


# Tables


def test_table_1_has_text_audio_gap_p_and_n_of_every_benchmark(tmp_path: Path) -> None:
    grids = gap_tables(*read(tmp_path))
    assert [grid.caption for grid in grids[:3]] == [
        "aligned",
        "SFT (gold answers)",
        "Self-KD, alpha 0.25 (gold answers)",
    ]
    assert len(grids) == 13
    assert line(grids[0], "MME") == ["96.0", "30.0", "66.0", "<\xa00.001", "600"]
    assert grids[0].groups[0].rows[0].note == "of 5 benchmarks"
    audio = grids[1].groups[0].rows[1].cells[1]
    assert audio
    assert audio.small == ("56.1 to 63.9", "59.0, 60.0, 61.0")


def test_table_3_sets_paired_differences_below_the_scores(tmp_path: Path) -> None:
    grid = training_table(*read(tmp_path))
    assert grid.columns[:2] == (("Mean", "5 benchmarks, n 1,050"), ("MME", "n 600"))
    assert line(grid, "Base, typed")[0] == "96.0"
    assert line(grid, "SFT", "other annotator")[0] == "40.0"
    assert line(grid, "Self-KD, alpha 1 − SFT", "other annotator")[0] == "+15.0"
    row = next(row for row in grid.groups[1].rows if row.label == "Self-KD + layers − SFT")
    assert row.cells[0]
    assert row.cells[0].small == ("17.0 to 23.0", "+19.0, +20.0, +21.0", "p\xa0=\xa00.012")


def test_table_5_has_every_alpha_and_marks_what_is_ours(tmp_path: Path) -> None:
    grid = alpha_table(*read(tmp_path))
    assert [row.label for row in grid.groups[0].rows] == [
        "alpha 0", "alpha 0.25", "alpha 0.5", "alpha 0.75", "alpha 1", "Self-KD + layers",
    ]  # fmt: skip
    assert grid.groups[0].rows[-1].note == "not in the paper"
    assert line(grid, "alpha 0.75", "other annotator") == ["58.0"] * 6


def test_mmalign_is_told_by_relation_only_where_there_are_enough_items(tmp_path: Path) -> None:
    summary, study = read(tmp_path)
    grid = mmalign_table(summary, study)
    assert line(grid, "aligned") == ["96.0", "30.0", "66.0", "96.0", "30.0", "66.0"]
    assert line(grid, "Self-KD, alpha 1 − SFT") == ["", "+4.0", "", "", "+4.0", ""]
    relations = relation_tables(summary, study)
    assert [row.label for row in relations[0].groups[0].rows] == ["left of"]
    assert line(relations[0], "left of")[:3] == ["98.0", "30.0", "60.0"]
    assert line(relations[0], "left of")[-1] == "30"
    assert relations[0].notes == ("Relations with too few items for an interval: 1.",)


def test_relations_without_enough_items_are_counted(tmp_path: Path) -> None:
    data = fixture.summary()
    for results in data["models"].values():
        results["mmalign_attribute"]["kind_ci95"] = {}
    assert (
        "MMAlign attribute: Pairs of attributes with too few items for an interval: 2." in page(tmp_path, data).visible
    )


def test_what_was_not_measured_is_left_out(tmp_path: Path) -> None:
    data = fixture.summary()
    for results in data["models"].values():
        for name in (*fixture.MMALIGN, "mme", "mean"):
            results.pop(name)
    data["comparisons"] = []
    summary, study = read(tmp_path, models=data["models"], comparisons=[])
    assert mmalign_table(summary, study).empty
    assert relation_tables(summary, study) == ()
    assert yes_figures(summary, study) == ()
    assert training_table(summary, study).columns[0][0] == "RealWorldQA"
    assert "Figure 2" not in page(tmp_path, data).visible


# Figures


def test_figure_2_shows_the_share_of_yes_beside_the_true_one(tmp_path: Path) -> None:
    (figure,) = yes_figures(*read(tmp_path))
    assert figure.truth.replace("\xa0", " ") == "50.0 % of the gold answers are yes (n 600)"
    assert figure.chart.count('class="dot spoken"') == len(figure.chart.split('class="dot typed"')) - 1 == 7
    assert 'x1="50.00%" x2="50.00%" y1="0" y2="34" class="zero"' in figure.chart
    assert ">+12.0<" in figure.chart
    assert line(figure.grid, "SFT (gold answers)") == ["51.0", "62.0", "600"]
    assert line(figure.grid, "base") == ["51.0", "", "600"]


def test_figure_8_draws_each_regime_and_the_printed_curves_only_when_asked(tmp_path: Path) -> None:
    summary, study = read(tmp_path)
    figure = alpha_figure(summary, study)
    assert figure
    assert [label for _, label in figure.legend] == ["gold answers", "other annotator"]
    assert len(figure.panels) == 6
    assert figure.panels[0].count("<circle") == 10
    assert figure.printed
    assert figure.printed.count("<circle") == 10
    assert "35.5 at 0.75" in figure.printed
    _, quiet = read(tmp_path, fixture.recipe(published=None))
    bare = alpha_figure(summary, quiet)
    assert bare
    assert bare.printed is None


def test_points_stand_at_their_alpha_and_score() -> None:
    panel = alpha_panel("Mean", [Line("gold", 1, (Point(0.0, 20.0, (10.0, 30.0)), Point(1.0, 40.0, None)))])
    assert '<circle cx="9.20%" cy="66.67%"' in panel
    assert '<circle cx="93.20%" cy="0.00%"' in panel
    assert panel.count("whisker") == 1
    assert "20.0 (10.0 to 30.0) at 0; 40.0" not in panel
    assert "gold: 20.0 (10.0 to 30.0) at 0, 40.0 at 1" in panel


def test_case_studies_are_the_first_of_each_kind_and_are_counted(tmp_path: Path) -> None:
    summary, study = read(tmp_path)
    shown = fixture.shown_items(tmp_path / "media", 12)
    gold, _ = case_tables(summary, study, shown)
    asked = (("aligned", "image_text"), ("gold_alpha_0", "image_speech"), ("gold_alpha_100", "image_speech"))
    right = [tuple(one.answers[model][view].value == 1 for model, view in asked) for one in shown]
    assert [group.count for group in gold.groups[:3]] == [
        right.count(kind) for kind in ((True, False, True), (True, True, False), (True, False, False))
    ]
    assert sum(group.count for group in gold.groups) > 0
    case = next(group.cases[0] for group in gold.groups if group.cases)
    assert case.question == shown[case.place - 1].item.question
    assert gold.flips.startswith("Of 1,300 items, Self-KD scores higher and lower than SFT on: 102 and 80 (seed")


# Words


def told(found: tuple[Any, ...], start: str) -> str:
    return " ".join(next(c.here for c in found if c.paper.startswith(start))).replace("\xa0", " ")


def test_claims_stand_beside_this_runs_numbers(tmp_path: Path) -> None:
    found = claims(*read(tmp_path), ["SFT: closer"])
    assert told(found, "Spoken questions are").startswith("aligned: gap 66.0 points (63.0 to 69.0), shown here.")
    assert "62.0 % yes on spoken questions, 50.0 % true: more (58.0 % to 66.0 %)" in told(found, "Spoken questions get")
    assert told(found, "Self-KD (alpha 1)").startswith(
        "gold answers: Self-KD, alpha 1 is above SFT by 4.0 points (95 % interval 1.0 to 7.0, p = 0.012, n = 1,050, by "
        "seed +3.0, +4.0, +5.0)."
    )
    assert (
        "alpha 0.75 has the highest score, 66.0; its interval and those of alpha 0.25, 0.5, 1 overlap, so the best "
        "one is not shown. Above SFT in the paired comparison: alpha 0.75, 1."
    ) in told(found, "Among five")
    assert told(found, "Attention") == "SFT: closer"
    assert [claim.paper for claim in found][4].endswith("on relations for 6 of 6 bases, and on attributes for 5.")


def test_answers_without_yes_or_no_and_intervals_without_width_are_named(tmp_path: Path) -> None:
    data = fixture.summary()
    spoken = data["models"]["aligned"]["mme"]["views"]["image_speech"]
    spoken.update(score=0.0, ci95=[0.0, 0.0], yes_rate=0.0, yes_ci95=[0.0, 0.0], invalid_rate=1.0)
    summary, study = read(tmp_path, models=data["models"])
    assert "100.0 % of the answers say neither yes nor no: less (0.0 % to 0.0 %)" in told(
        claims(summary, study, []), "Spoken questions get"
    )
    assert any("no width" in line for line in limits(summary, study))


def test_no_claim_is_made_where_the_interval_includes_zero(tmp_path: Path) -> None:
    data = fixture.summary()
    comparisons = [{**c, "value": 0.4, "ci95": [-2.6, 3.4]} for c in data["comparisons"]]
    found = claims(*read(tmp_path, comparisons=comparisons), [])
    text = told(found, "Self-KD (alpha 1)")
    assert text.startswith("gold answers: no difference between Self-KD, alpha 1 and SFT is shown: +0.4 points (95 %")
    assert "above" not in text
    assert "None is above SFT" in told(found, "Among five")
    assert told(found, "Attention").startswith("Not measured in this run")


def test_the_page_says_what_the_run_does_not_show(tmp_path: Path) -> None:
    laboratory = " ".join(limits(*read(tmp_path)))
    assert "Scores cannot be compared with printed scores" in laboratory
    assert "3 seeds are too few" in laboratory
    assert "90 paired comparisons" in laboratory
    assert "Every model has the typed score of base" in laboratory
    assert "no width" not in laboratory
    summary, study = read(tmp_path, {**fixture.recipe(), "data": {"source": "folder"}}, seeds=[0])
    real = " ".join(limits(summary, study))
    assert "laboratory" not in real
    assert real.startswith("With one seed")


# Printed numbers


def test_printed_numbers_are_those_of_the_paper() -> None:
    assert line(printed_gaps(), "VITA-8x7B") == ["70.04", "7.84", "62.20", "61.33", "1.33", "68.00", "2.33"]
    assert line(printed_trainings(), "InternVL2-1B")[:4] == ["49.68", "21.16", "33.84", "+12.68"]
    assert line(printed_alphas(), "InternVL2-2B") == ["22.52", "31.43", "35.76", "40.15", "36.58"]
    assert any("RealWorldQA is missing" in note for note in printed_alphas().notes)
    assert wins(3) == (6, 6)
    assert (wins(4, "mmalign_relation"), wins(4, "mmalign_attribute")) == ((6, 6), (5, 6))
    assert best_alphas() == [("InternVL2-1B", 0.75), ("InternVL2-2B", 0.75)]


def test_printed_numbers_stand_on_the_page_only_when_asked(tmp_path: Path) -> None:
    assert "As printed in arXiv 2503.00059v1, tables 3 and 4" in page(tmp_path).visible
    quiet = page(tmp_path, settings=fixture.recipe(published=None)).visible
    assert "Table 3: base, SFT and Self-KD" in quiet
    assert "As printed" not in quiet


# The page


def test_the_page_has_every_table_and_figure(tmp_path: Path) -> None:
    text = page(tmp_path)
    headings = text.text("h3")
    for part in (
        "Table 1",
        "Figure 2",
        "Tables 2 and 4",
        "Table 3",
        "Table 5 and figure 8",
        "Figures 4 and 7",
        "Figure 9",
    ):
        assert part in headings
    places = {attributes["id"] for attributes in text.all("article")}
    links = [a["href"].removeprefix("#") for a in text.all("a") if a.get("href", "").startswith("#item-")]
    assert links
    assert set(links) <= places


def test_hostile_names_are_text_in_the_papers_section_too(tmp_path: Path) -> None:
    data, settings = json.dumps(fixture.summary()), fixture.recipe()
    for name in ("gold_alpha_0", "gold_alpha_50", "gold_layers", "aligned", "left of"):
        data = data.replace(json.dumps(name), json.dumps(HOSTILE + name))
    trained = {name: {**train, "start": HOSTILE + "aligned"} for name, train in settings["train"].items()}
    for name in ("gold_alpha_0", "gold_alpha_50", "gold_layers"):
        trained[HOSTILE + name] = trained.pop(name)
    trained[HOSTILE + "gold_layers"]["terms"][1]["type"] = HOSTILE
    for train in trained.values():
        train["data"] = HOSTILE if train["data"] == "train" else train["data"]
    shown = page(tmp_path, json.loads(data), {**settings, "train": trained})
    assert len(shown.all("script")) == 1
    assert len(shown.all("style")) == 1
    assert not [name for _, attributes in shown.tags for name in attributes if name.startswith("on")]
    assert f"Trained on: {HOSTILE}" in shown.visible
    assert any(HOSTILE in svg.get("aria-label", "") for svg in shown.all("svg"))
