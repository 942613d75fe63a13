"""Other clips of the test for the same models, what is left of the typed score, and a choice by held-out questions."""

import json
import shutil

import pytest
from data_folder import COLORS, RECIPE, item, write_data_folder, write_lines

from earwise.cli import execute
from earwise.errors import InputError
from earwise.evaluate.conditions import condition_results
from earwise.evaluate.kappa import kappa
from earwise.evaluate.recovery import recovery
from earwise.evaluate.summary import ScoreTable
from earwise.planning.compile import Compiler
from earwise.recipe.read import load_recipe
from earwise.records import Clip, Score
from earwise.report.conditions import cascade_note
from earwise.report.summary import parse_summary
from earwise.speech.voices import variant
from earwise.stages.choice import held_out
from earwise.stages.speech import voices_of
from earwise.work.store import read_store

BEYOND = (
    RECIPE.replace("[train.sft]", "[training.select]\nevery = 1\nmax_new_tokens = 2\n[train.sft]")
    .replace("[evaluate]", '[choose.best]\nof = ["sft", "kd"]\nsteps = 2\n[evaluate]')
    .replace(
        "[model]",
        """\
[conditions.noise]
perturb = { noise_snr_db = [10, 10], probability = 1.0 }
models = ["sft", "best"]
[conditions.others]
voices = ["en-gb+m1"]
benchmarks = ["colors"]
[train.kd]
terms = [{ type = "logits", weight = 1.0 }]
[model]
""",
    )
)


def scores(view, values, model="best"):
    """Four items about two pictures."""
    return [
        Score(
            item=f"i{n}", source="own", model=model, view=view, cluster=f"c{n // 2}", prediction="", value=value,
            invalid=False,
        )
        for n, value in values.items()
    ]  # fmt: skip


def test_what_is_left_of_the_typed_score_and_of_the_lead_over_the_cascade_by_hand():
    typed = scores("image_text", dict(enumerate((1, 1, 1, 0))), "base")
    spoken = scores("image_speech", dict(enumerate((1, 1, 0, 0))))
    heard = scores("image_transcript", dict(enumerate((1, 0, 0, 0))), "aligned")
    found = recovery(ScoreTable.of({0: [*typed, *spoken, *heard]}, "base"), "image_text", "image_speech")
    best = found["best"]["views"]["image_speech"]
    assert best["value"] == pytest.approx(100 * 2 / 3)
    # Picture 0 alone keeps 2 of 2, picture 1 alone 0 of 1.
    assert best["ci95"] == pytest.approx([0, 100])
    beside = found["best"]["minus_cascade"]["aligned"]
    assert beside["value"] == pytest.approx(25)
    assert (beside["only_first"], beside["only_second"]) == (1, 0)
    # Right about the same in 3 of 4, where shares of 1/2 and 1/4 agree in 1/8 + 3/8 by chance.
    assert beside["kappa"] == pytest.approx(0.5)
    low, high = beside["kappa_ci95"]
    assert -1 <= low <= 0.5 <= high <= 1
    assert found["aligned"] == {
        "views": {"image_transcript": found["aligned"]["views"]["image_transcript"]},
        "minus_cascade": {},
    }
    assert found["aligned"]["views"]["image_transcript"]["value"] == pytest.approx(100 / 3)


def test_agreement_beyond_chance_by_hand():
    def cells(*values):
        return [scores("image_speech", dict(enumerate(values)))]

    alike = kappa(cells(1, 0, 1, 0), cells(1, 0, 1, 0))
    assert alike["kappa"] == 1
    assert kappa(cells(1, 0, 1, 0), cells(0, 1, 0, 1))["kappa"] == -1
    assert kappa(cells(1, 1, 0, 0), cells(1, 0, 1, 0))["kappa"] == pytest.approx(0)
    assert kappa(cells(0.6, 0.4, 1, 0), cells(1, 0, 1, 0))["kappa"] == 1, "half a score and more is right"
    assert kappa(cells(1, 1, 1, 1), cells(1, 1, 1, 1)) == {"kappa": None, "kappa_ci95": None}
    two = [*cells(1, 1, 0, 0), *cells(1, 0, 1, 0)], [*cells(1, 1, 0, 0), *cells(1, 1, 0, 0)]
    assert kappa(*two)["kappa"] == pytest.approx(0.5), "seeds are averaged"


def test_a_model_that_hears_as_well_as_it_reads_keeps_everything():
    typed, spoken = (scores(view, {0: 1, 1: 0, 2: 1, 3: 1}) for view in ("image_text", "image_speech"))
    found = recovery(ScoreTable.of({0: [*typed, *spoken]}, "base"), "image_text", "image_speech")
    # Two clusters agree, which leaves 65.76 % of others open: 25.68 of 25.68 + 65.76, and the other way round.
    assert found["best"]["views"]["image_speech"]["ci95"] == pytest.approx([28.08, 356.1], abs=0.1)


def test_a_condition_is_compared_on_the_items_that_it_has():
    typed = scores("image_text", dict(enumerate((1, 1, 1, 0))), "base")
    spoken = scores("image_speech", dict(enumerate((1, 1, 1, 0))))
    noisy = scores("image_speech", {0: 1, 1: 0, 2: 0})  # item 3 could not be spoken
    found = condition_results({0: [*typed, *spoken]}, {0: noisy}, "image_text", "image_speech")
    result = found["models"]["best"]["all"]
    assert list(found["models"]) == ["best"], "the base did not answer under the condition"
    assert result["n"] == 3
    assert result["views"]["image_text"]["score"] == 100
    assert result["views"]["image_speech"]["score"] == pytest.approx(100 / 3)
    assert result["changes"]["image_speech"]["value"] == pytest.approx(-200 / 3)
    assert found["recovery"]["best"]["views"]["image_speech"]["value"] == pytest.approx(100 / 3)


@pytest.fixture(scope="module")
def run(tmp_path_factory, tiny_checkpoints):
    folder = tmp_path_factory.mktemp("conditions")
    write_data_folder(folder / "own")
    write_lines(folder / "own/validation.jsonl", [item(f"v{n}", color) for n, color in enumerate(COLORS)])
    shutil.copytree(tiny_checkpoints["internvl"], folder / "vlm")
    text = BEYOND.replace('"vlm"', f'"{folder / "vlm"}"').replace('path = "own"', f'path = "{folder / "own"}"')
    (folder / "recipe.toml").write_text(text)
    assert execute(folder / "recipe.toml", [], folder / "run") == 0
    return folder / "run"


def clips(folder):
    return {clip.item: clip for clip in read_store(folder / "clips.jsonl", Clip)}


def test_noise_is_laid_over_the_clips_of_the_test_and_other_voices_are_new_speakers(run):
    test = clips(run / "stages/speech/benchmarks/mme")
    noisy = clips(run / "stages/speech.noise/benchmarks/mme")
    assert test.keys() == noisy.keys()
    for name, clip in noisy.items():
        same = ("spoken", "voice", "rate", "pitch", "seed", "num_samples")
        assert [getattr(clip, key) for key in same] == [getattr(test[name], key) for key in same]
        assert clip.sha256 != test[name].sha256
    others = run / "stages/speech.others/benchmarks"
    assert [path.name for path in others.iterdir()] == ["colors"]
    assert {clip.voice for clip in clips(others / "colors").values()} == {"en-gb+m1"}
    assert variant("en-gb+m1") not in {variant(clip.voice) for clip in clips(run / "stages/speech/train").values()}


def test_no_training_knows_of_a_condition(run):
    trainings = [path for path in (run / "stages/seed0").iterdir() if path.name.startswith(("align", "train"))]
    assert len(trainings) == 4
    for path in trainings:
        assert not any("noise" in name for name in json.loads((path / "done.json").read_text())["depends"]["needs"])


def test_the_summary_has_each_condition_and_the_page_its_table(run):
    summary = json.loads((run / "summary.json").read_text())
    conditions = summary["conditions"]
    assert {name: list(of["models"]) for name, of in conditions.items()} == {
        "noise": ["sft", "best"],
        "others": ["aligned", "kd", "sft", "best"],
    }
    assert list(conditions["noise"]["models"]["best"]) == ["colors", "mme", "all"]
    assert conditions["others"]["models"]["best"]["all"]["n"] == 3
    assert conditions["others"]["voices"] == ["en-gb+m1"]
    page = (run / "report.html").read_text()
    assert "<h2>Under other conditions</h2>" in page
    assert "others: en-gb+m1; espeak-ng" in page


def test_what_held_out_questions_favour_goes_on_from_its_weights(run):
    summary = json.loads((run / "summary.json").read_text())
    choice = summary["choices"]["best"]["0"]
    told = {name: held_out(run / f"stages/seed0/train.{name}") for name in ("sft", "kd")}
    assert choice == {"chosen": max(told, key=told.get), "held_out": told}
    stage = run / "stages/seed0/train.best"
    steps = [json.loads(line)["step"] for line in (stage / "metrics.jsonl").read_text().splitlines()]
    assert max(steps) == 2
    assert "best" in summary["models"]


class Stub:
    """An engine with three voices."""

    name, waits = "stub 1", False

    def voices(self):
        return ["ann", "bob", "eve"]


def test_a_condition_in_an_engine_of_training_has_voices_that_were_not_trained_on(tmp_path, monkeypatch):
    monkeypatch.setattr("earwise.stages.speech.open_engine", lambda settings: Stub())
    write_data_folder(tmp_path / "data")
    other = """
[[speech.others]]
engine = { type = "flite" }
voices = ["ann"]
share = 0.3
[conditions.flite]
engine = { type = "flite" }
voices = NAMED
[model]
"""
    (tmp_path / "all.toml").write_text(RECIPE.replace("[model]", other.replace("NAMED", "2")))
    for clips in Compiler(load_recipe(tmp_path / "all.toml")).condition_clips["flite"].values():
        assert sorted(voices_of(clips)) == ["bob", "eve"]
    (tmp_path / "ann.toml").write_text(RECIPE.replace("[model]", other.replace("NAMED", '["ann"]')))
    for clips in Compiler(load_recipe(tmp_path / "ann.toml")).condition_clips["flite"].values():
        with pytest.raises(InputError, match="'ann' is both in the training voices and in the test voices"):
            voices_of(clips)


@pytest.mark.parametrize(
    ("override", "said"),
    [
        ('conditions.noise.engine={type="flite"}', "conditions.noise.voices: missing"),
        ("conditions.noise.models=['other']", "'other' is not among evaluate.models"),
        ("conditions.noise.benchmarks=['textvqa']", "'textvqa' is not among evaluate.benchmarks"),
        ("conditions.same={}", "its clips are those of"),
        ("choose.best.of=['sft', 'other']", "no training is named 'other'"),
        ("choose.sft={of=['sft', 'kd'], steps=1}", "'sft' is the name of another model"),
        ("train.kd.view='image_spoken_form'", "trainings of several views"),
    ],
)
def test_tables_that_contradict_each_other_are_refused(override, said, tmp_path):
    (tmp_path / "recipe.toml").write_text(BEYOND)
    with pytest.raises(InputError, match=said):
        load_recipe(tmp_path / "recipe.toml", [override])


def test_a_choice_needs_held_out_questions(tmp_path):
    text = BEYOND.replace("[training.select]\nevery = 1\nmax_new_tokens = 2\n", "")
    (tmp_path / "recipe.toml").write_text(text)
    with pytest.raises(InputError, match=r"training\.select: missing table, which choose\.best needs"):
        load_recipe(tmp_path / "recipe.toml", [])


@pytest.mark.parametrize(
    ("value", "ci95", "said"),
    [
        (-1.6, (-3.0, -0.2), "By ear, best (93.5) is below cascade through its own transcript (95.1): −1.6 points"),
        (1.5, (0.4, 2.6), "By ear, best (93.5) is above cascade through"),
        (-0.5, (-1.5, 0.4), "By ear, best (93.5) is not shown to differ from cascade through"),
    ],
)
def test_the_page_sets_the_best_by_ear_beside_the_best_transcript(value, ci95, said, tmp_path):
    spoken, heard = ({view: {"score": s}} for view, s in (("image_speech", 93.5), ("image_transcript", 95.1)))
    gap = {"value": value, "ci95": ci95, "p": 0.1, "only_first": 7, "only_second": 9, "kappa": 0.5}
    gap["kappa_ci95"] = [0.25, 0.75]
    recovered = {"views": {}, "minus_cascade": {"cascade": gap, "listens": {**gap, "value": 50.0}}}
    models = {
        "listens": {"all": {"n": 4, "views": {"image_transcript": {"score": 91.0}}}},
        "cascade": {"all": {"n": 4, "views": {**heard, "image_speech": {"score": 18.0}}}},
        "best": {"all": {"n": 4, "views": {**spoken, "image_transcript": {"score": 92.6}}}},
    }
    text = json.dumps({"recipe": "r", "seed": 0, "models": models, "recovery": {"best": recovered}})
    (tmp_path / "summary.json").write_text(text)
    note = cascade_note(parse_summary(text))
    assert note is not None
    assert note.replace("\xa0", " ").startswith(said)
    assert note.endswith(
        " Cohen's kappa of right and wrong is 0.50 [0.25, 0.75]; 7 items are right only by ear, 9 only through the "
        "transcript."
    )
    alone = json.dumps({"recipe": "r", "seed": 0, "models": {"best": {"all": {"n": 4, "views": spoken}}}})
    (tmp_path / "summary.json").write_text(alone)
    assert cascade_note(parse_summary(alone)) is None
