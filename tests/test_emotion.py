"""WA, UA and weighted F1 of MELD and IEMOCAP by hand, the controls beside them, and what the audit says of both."""

import json

import pytest
from emotion_corpora import tone, utterance, write_dialogue, write_meld
from test_scoring_benchmarks import scored
from tiny import tiny_model
from tiny_recipe import MODEL

from earwise.data.emotions import IEMOCAP, MELD, OPTIONS
from earwise.errors import InputError
from earwise.evaluate.audit import audit
from earwise.evaluate.benchmarks import aggregate, load_benchmark, score_predictions
from earwise.evaluate.benchmarks.answers import scored as scored_prediction
from earwise.evaluate.benchmarks.emotions import named
from earwise.evaluate.estimates import other_totals
from earwise.evaluate.runner import Asker, run_benchmark
from earwise.evaluate.scoring import score
from earwise.evaluate.sound import summarise_sound
from earwise.evaluate.summary import ScoreTable, compare, summarise_models
from earwise.planning.compile import Compiler, compile_recipe
from earwise.recipe.read import load_recipe
from earwise.records import Prediction
from earwise.report.grids import score_cell
from earwise.report.summary import ViewScore
from earwise.stages.data import benchmark_items
from earwise.stages.samples import sample_items
from earwise.traces.format import said
from earwise.work.store import Store


def answers(benchmark, pairs, clusters=2, **changes):
    """Scores of gold emotions with what is answered, scored by the benchmark's own rule; dialogues take turns."""
    scores = []
    for n, (gold, answer) in enumerate(pairs):
        value = score(benchmark, gold, said(answer), OPTIONS[benchmark])
        known = {"prediction": answer, "invalid": value is None, "source": benchmark, "view": "sound_text"} | changes
        scores.append(scored(value or 0.0, f"{benchmark}-{n}", f"dia{n % clusters}", gold, **known))
    return scores


def numbers(totals):
    return {name: total["value"] for name, total in totals.items()}


def test_wa_ua_and_weighted_f1_by_hand():
    """8 neutral, all right; 2 anger, one taken for neutral. F1 of neutral 16/17, of anger 2/3."""
    scores = answers("meld", [("neutral", "neutral")] * 8 + [("anger", "Angry."), ("anger", "E")])
    by_hand = {"wa": 90.0, "ua": 75.0, "weighted_f1": 100 * (8 * 16 / 17 + 2 * 2 / 3) / 10}
    assert numbers(other_totals("meld", [scores])) == pytest.approx(by_hand)
    assert aggregate("meld", scores) == pytest.approx(75.0)


def test_an_answer_that_names_no_emotion_is_wrong_and_names_none():
    """4 joy: 2 right, 1 unparsed, 1 fear; 1 fear, right. F1 of joy 2*2/(4+2), of fear 2*1/(1+2)."""
    told = [("joy", "joy"), ("joy", "(D)"), ("joy", "no idea"), ("joy", "fear"), ("fear", "afraid")]
    scores = answers("meld", told)
    assert [one.invalid for one in scores] == [False, False, True, False, False]
    by_hand = {"wa": 60.0, "ua": 75.0, "weighted_f1": 100 * (4 * 2 / 3 + 1 * 2 / 3) / 5}
    assert numbers(other_totals("meld", [scores])) == pytest.approx(by_hand)


def test_always_neutral_on_the_counts_of_melds_test():
    counts = {"neutral": 1256, "joy": 402, "anger": 345, "surprise": 281, "sadness": 208, "disgust": 68, "fear": 50}
    scores = answers("meld", [(emotion, "neutral") for emotion, count in counts.items() for _ in range(count)], 280)
    totals = other_totals("meld", [scores])
    assert numbers(totals) == pytest.approx({"wa": 48.12, "ua": 100 / 7, "weighted_f1": 31.27}, abs=0.01)
    # No resample differs, and 280 dialogues leave a share of 3.8415 / 283.8415 open.
    assert totals["ua"]["ci95"] == pytest.approx([14.0924, 15.4458], abs=1e-4)
    assert totals["wa"]["ci95"][0] < 48.12 < totals["wa"]["ci95"][1]


def test_iemocap_has_no_weighted_f1_and_its_classes_have_several_words():
    told = [
        ("hap", "excited"),
        ("ang", "A"),
        ("sad", "angry"),
        ("neu", "<think>not angry</think> <answer>sad</answer>"),
    ]
    scores = answers("iemocap", told)
    assert numbers(other_totals("iemocap", [scores])) == {"wa": 50.0, "ua": 50.0}
    assert [named("iemocap", one) for one in scores] == ["hap", "ang", "ang", "sad"]


def test_totals_are_resampled_by_dialogue_and_seeds_are_averaged():
    """One dialogue all right, the other all wrong: a resample has 0, 50 or 100. The second seed is all wrong."""
    seeds = [answers("iemocap", [("sad", "sad"), ("sad", right)] * 4) for right in ("angry", "angry")]
    seeds[1] = answers("iemocap", [("sad", "angry")] * 8)
    one = other_totals("iemocap", seeds[:1])
    assert one["wa"] == {"value": 50.0, "ci95": [0.0, 100.0], "by_seed": [50.0]}
    assert one["ua"] == one["wa"]
    assert other_totals("iemocap", seeds)["wa"] == {"value": 25.0, "ci95": [0.0, 50.0], "by_seed": [50.0, 0.0]}


def test_an_answer_that_is_scored_otherwise_than_it_reads_is_named():
    (right,) = answers("meld", [("joy", "joy")])
    wrong = right.model_copy(update={"value": 0.0})
    with pytest.raises(InputError, match=r"meld-0: 'joy' is scored as another emotion than 'joy', and names joy"):
        named("meld", wrong)
    with pytest.raises(InputError, match=r"'well' is scored as another emotion than 'joy', and names none"):
        named("meld", wrong.model_copy(update={"prediction": "well"}))


@pytest.mark.parametrize(
    ("answer", "value"),
    [("B", 1.0), ("(B)", 1.0), ("The answer is B.", 1.0), ("Option B: happy.", 1.0), ("A", 0.0), ("A happy voice", 1.0),
     ("E", None), ("", None), ("happy or sad", None)],
)  # fmt: skip
def test_an_emotion_may_be_named_by_its_option(answer, value):
    for gold in ("happy", "B", "hap"):
        assert score("iemocap", gold, answer, OPTIONS["iemocap"]) == value


def test_options_are_words_that_the_scorer_knows():
    for name in OPTIONS:
        for option in OPTIONS[name]:
            assert [score(name, option, other, OPTIONS[name]) for other in OPTIONS[name]].count(1.0) == 1
    assert OPTIONS["meld"] == MELD
    assert OPTIONS["iemocap"] == tuple(IEMOCAP.values())


def test_the_summary_and_the_page_have_the_totals_beside_the_score():
    scores = {"sound_text": "neutral", "sound_off": "anger", "text_only": "anger", "sound_swapped": "anger"}
    many = [
        one
        for view, second in scores.items()
        for one in answers("meld", [("neutral", second), ("anger", "anger")] * 3, clusters=3, view=view)
    ]
    base = [one.model_copy(update={"model": "base"}) for one in many if one.view == "sound_off"]
    base = [one.model_copy(update={"view": "sound_text"}) for one in base]
    table = ScoreTable.of({0: [*many, *base]}, "none")
    views = summarise_models(table, "image_text", "image_speech")["m"]["meld"]["views"]
    assert views["sound_text"]["score"] == views["sound_text"]["totals"]["ua"]["value"] == 100
    assert views["sound_off"]["totals"]["wa"]["value"] == 50
    assert views["sound_off"]["totals"]["weighted_f1"]["value"] == pytest.approx(100 / 3)
    assert score_cell(ViewScore.model_validate_json(json.dumps(views["sound_off"]))).small[-2:] == (
        "WA 50.0 (21.9 to 78.1)",
        "weighted F1 33.3 (14.6 to 70.8)",
    )
    (gain,) = compare(table, [("m", "base")], "meld", "sound_text")
    assert (gain["value"], gain["p"]) == (50.0, pytest.approx(0.081, abs=0.001))


def dialogues(folder, count=2):
    release = folder / "IEMOCAP_full_release"
    for number in range(count):
        write_dialogue(release, f"Ses05F_impro{number + 1:02}", ("F000", "neu"), ("M000", "ang" if number else "exc"))
    return release


def test_answers_made_elsewhere_are_scored(tmp_path):
    dialogues(tmp_path)
    items = load_benchmark("iemocap", tmp_path)
    assert [item.kind for item in items] == ["neu", "hap", "neu", "ang"]
    told = dict(zip((item.id for item in items), ("neutral", "B", "sad", "angry"), strict=True))
    done = score_predictions("iemocap", items, told, model="m", view="sound_text")
    assert numbers(other_totals("iemocap", [list(done.scores)])) == pytest.approx({"wa": 75.0, "ua": 250 / 3})


def test_the_controls_run_by_themselves_and_swap_sounds_between_dialogues(tiny_checkpoints, tmp_path):
    dialogues(tmp_path)
    model = tiny_model(tiny_checkpoints["internvl"])
    items = {item.id: item for item in load_benchmark("iemocap", tmp_path)}
    samples = sample_items([*items.values()], tmp_path, None, print, views=("sound_text",))
    with Store(tmp_path / "predictions.jsonl", Prediction) as store:
        run_benchmark(model, "m", "iemocap", samples, Asker(("sound_text",), 4, 1, "", {}), store)
        scores = [scored_prediction(found, items[found.item], "strict") for found in store]
    assert len(scores) == 16
    gaps = summarise_sound(ScoreTable.of({0: scores}, "none"))
    assert set(gaps["m"]["iemocap"]) == {"text_only", "sound_off", "sound_swapped"}


RECIPE = (
    """\
name = "feelings"
[data]
source = "corpora"
benchmarks = "BENCHMARKS"
[data.train]
[[data.train.parts]]
format = "iemocap"
path = "BENCHMARKS/IEMOCAP_full_release"
"""
    + MODEL
    + """\
[training]
steps = 1
batch_size = 2
lr = 1e-3
[train.sft]
view = "sound_text"
start = "base"
terms = [{ type = "sft", weight = 1.0 }]
[evaluate]
benchmarks = ["iemocap"]
views = ["sound_text"]
batch_size = 2
max_new_tokens = 1
"""
)


def test_a_session_is_learned_from_or_tested_and_never_both(tmp_path):
    release = tmp_path / "benchmarks" / "IEMOCAP_full_release"
    for session in (1, 2, 3, 4, 5):
        for number in (1, 2):
            write_dialogue(release, f"Ses{session:02}F_impro{number:02}", ("F000", "neu"))
    path = tmp_path / "recipe.toml"
    path.write_text(RECIPE.replace("BENCHMARKS", str(release.parent)))
    recipe = load_recipe(path, [])
    made = Compiler(recipe)
    assert made.data.name == "data"
    assert {item.meta["session"] for item in benchmark_items(made.benchmarks["iemocap"], tmp_path)} == {5}
    other = load_recipe(path, ["evaluate.iemocap.sessions=[2]"])
    what = r"data\.train\.parts: session 2 of IEMOCAP is learned from, and tested by \[evaluate\]"
    with pytest.raises(InputError, match=what):
        compile_recipe(other)
    assert "iemocap" not in recipe.evaluate.for_stage()
    assert other.evaluate.for_stage()["iemocap"] == {"sessions": [2]}
    with pytest.raises(InputError, match=r"evaluate\.iemocap\.sessions"):
        load_recipe(path, ["evaluate.iemocap.sessions=[6]"])
    with pytest.raises(InputError, match="'iemocap' is not among benchmarks"):
        load_recipe(path, ["evaluate.iemocap.sessions=[5]", "evaluate.benchmarks=['meld']"])


WINDOWS = "are Windows-1252, not UTF-8: read as what they stand for"
LABELS = "ang, hap, neu, sad, exc, xxx, fru, sur, fea, dis, oth"


def found(result):
    return [(finding.level, finding.check, finding.record, finding.what) for finding in result.findings]


def test_the_audit_of_meld_counts_rows_and_names_what_is_wrong(tmp_path):
    rows = [
        utterance(0, 0, "joy", "It\x92s"),
        utterance(0, 1, "neutral"),
        utterance(110, 7, "neutral"),
        utterance(2, 0, "bored"),
        utterance(0, 0, "fear"),
        utterance(3, 0, "fear"),
    ]
    path = write_meld(tmp_path / "dev_sent_emo.csv", *rows, clips="dev_splits_complete")
    for name in ("dia110_utt7", "dia3_utt0"):
        (tmp_path / f"dev_splits_complete/{name}.wav").unlink()
    tone(tmp_path / "dev_splits_complete/dia66_utt9.wav")
    tone(tmp_path / "dev_splits_complete/dia0_utt1.wav", seconds=31)
    result = audit("meld", path, own=True)
    assert found(result) == [
        ("warning", "known defect", "line 4", "file 'dev_splits_complete/dia110_utt7.mp4' not found beside it"),
        ("error", "row", "line 5", f"unknown emotion 'bored' (known: {', '.join(MELD)})"),
        ("error", "row", "line 6", "its id stands twice: meld-dev-dia0_utt0"),
        ("error", "row", "line 7", "file 'dev_splits_complete/dia3_utt0.mp4' not found beside it"),
        ("warning", "encoding", "dev_sent_emo.csv", f"1 of its characters {WINDOWS}"),
        ("warning", "long", "meld-dev-dia0_utt1", "31 s of sound, of which 30 are heard"),
    ]  # fmt: skip
    assert result.file.counts == {
        "rows": 6, "joy": 1, "neutral": 2, "fear": 2, "anger": 0, "disgust": 0, "sadness": 0, "surprise": 0,
        "dialogues": 4, "clips that no row names": 1,
    }  # fmt: skip
    assert result.ceiling == {"strict": 100.0}
    counted = [what for _, check, _, what in found(audit("meld", path)) if check == "count"]
    assert "6 rows, the public file has 1,109" in counted
    assert "4 dialogues, the public file has 114" in counted


def test_the_audit_of_iemocap_reads_all_sessions_that_are_there(tmp_path):
    release = dialogues(tmp_path)
    write_dialogue(release, "Ses01F_impro01", ("F000", "neu"), ("F001", "fru"), ("F002", "bor"), words=False)
    result = audit("iemocap", release, own=True)
    assert found(result) == [
        ("error", "row", "Ses01F_impro01.txt: line 9", f"unknown emotion 'bor' (known: {LABELS})"),
        ("warning", "transcript", "Ses01F_impro01", "no transcript of this dialogue"),
    ]  # fmt: skip
    counts = result.file.counts
    assert {key: counts[key] for key in ("rows", "neu", "hap", "ang", "session 1", "session 5", "dialogues")} == {
        "rows": 6, "neu": 3, "hap": 1, "ang": 1, "session 1": 1, "session 5": 4, "dialogues": 3,
    }  # fmt: skip
    assert counts["labelled fru (frustration), none of the four classes"] == 1
    assert counts["lines of transcripts that belong to no turn"] == 4
    sound = release / "Session5/sentences/wav/Ses05F_impro01/Ses05F_impro01_F000.wav"
    sound.write_bytes(sound.read_bytes()[:100])
    assert [(check, record) for _, check, record, _ in found(audit("iemocap", release, own=True))][1] == (
        "media",
        "iemocap-Ses05F_impro01_F000",
    )
    whats = [what for _, check, _, what in found(audit("iemocap", release)) if check == "count"]
    assert "0 session 2, the public file has 1,023" in whats
    empty = tmp_path / "empty"
    empty.mkdir()
    (only,) = audit("iemocap", empty).findings
    assert (only.check, only.what) == (
        "file",
        "no session in this folder (name the folder that holds Session1 to Session5)",
    )
