"""Typed, typed as it is spoken, spoken: what each view shows, where the suffix goes, and the two steps of the gap."""

import json

import pytest
import report_fixture as fixture
from test_speech_clips import HOW, Beeper
from tiny import tiny_model

from earwise.errors import InputError
from earwise.evaluate.summary import ScoreTable, compare, summarise_models
from earwise.models.layout import AUDIO_ID
from earwise.models.sample import Sample, Turn
from earwise.records import Item, Score
from earwise.report.summary import Pair, parse_summary
from earwise.report.tables import kind_breakdown, result_table
from earwise.report.words import seed_difference, verdict
from earwise.speech.clips import make_clips
from earwise.stages.samples import sample_items
from earwise.views import VIEWS, is_heard

QUESTION = "How many of the 20 stars cost $3?"
SUFFIX = "\nAnswer with one word."
SAID = "How many of the twenty stars cost three dollars?"
ITEM = Item(id="q1", source="mme", question=QUESTION, answers=("two",), cluster="c", suffix=SUFFIX)


def asked(model, folder, view, suffix):
    """What stands in the query of `ITEM`: its text, with `<clip>` for a clip, and what the clip says."""
    made = make_clips([ITEM], folder / suffix, Beeper, **HOW, speak_suffix=suffix == "spoken")
    (sample,) = sample_items([ITEM], folder, folder / suffix, print, suffix=suffix)
    turn = sample.turns[0]
    layout = model.layouts.build(Sample((Turn(**{**vars(turn), "heard": turn.spoken}),)), view, answers=False)
    ids = [i for span in layout.spans if span.role == "query" for i in layout.ids[span.start : span.stop]]
    typed = [i for i in ids if i != AUDIO_ID]
    said = [made.clips[0].spoken] if len(typed) < len(ids) else []
    return typed, said


@pytest.fixture(scope="module")
def model(tiny_checkpoints):
    return tiny_model(tiny_checkpoints["internvl"])


@pytest.mark.parametrize("suffix", ["none", "text", "spoken"])
@pytest.mark.parametrize("query", ["text", "spoken_form", "speech", "transcript"])
def test_the_suffix_goes_where_it_is_asked_to_under_every_view(model, tmp_path, query, suffix):
    views = [view for view, spec in VIEWS.items() if spec.query == query and spec.context == "none"]
    # Views of a picture lay out their query as those without do; there is no picture here.
    view = views[0] if views else next(view for view, spec in VIEWS.items() if spec.query == query)
    typed, said = asked(model, tmp_path, view, suffix)
    request = "Answer with one word."
    written = {"none": QUESTION, "text": f"{QUESTION} {request}", "spoken": QUESTION + SUFFIX}[suffix]
    spoken = {"none": SAID, "text": SAID, "spoken": f"{SAID} {request}"}[suffix]
    expected = {
        "text": written,
        "spoken_form": f"{spoken} {request}" if suffix == "text" else spoken,
        "transcript": f"{spoken} {request}" if suffix == "text" else spoken,
        "speech": request if suffix == "text" else "",
    }[query]
    encode = model.family.tokenizer.encode
    assert typed == (encode(expected, add_special_tokens=False) if expected else [])
    assert said == ([spoken] if query == "speech" else [])


def test_the_spoken_form_is_typed_and_needs_no_ears(model, tmp_path):
    sounds = ["sound_text", "sound_off", "sound_swapped"]
    assert [view for view in VIEWS if is_heard(view)] == [
        "image_speech", "image_transcript", "video_speech", *sounds, "speech_only", "transcript_only"
    ]  # fmt: skip
    turn = Turn(ITEM, QUESTION)
    with pytest.raises(InputError, match="q1: the item has no spoken form"):
        model.layouts.build(Sample((turn,)), "image_spoken_form", answers=False)


RIGHT = {
    "image_text": (1, 1, 1, 1, 1, 0, 1, 1),
    "image_spoken_form": (1, 1, 1, 0, 1, 0, 1, 1),
    "image_speech": (1, 0, 1, 0, 0, 1, 1, 0),
}


def scores(right=RIGHT, model="sft"):
    return [
        Score(
            item=str(n), source="textvqa", model="base" if view != "image_speech" else model, view=view,
            cluster=str(n), prediction="x", value=float(value), invalid=False,
        )
        for view, values in right.items() for n, value in enumerate(values)
    ]  # fmt: skip


def test_normalisation_and_hearing_are_the_two_steps_of_the_gap():
    table = ScoreTable.of({0: scores()}, "base")
    models = summarise_models(table, "image_text", "image_speech")
    cell = models["sft"]["textvqa"]
    # 7 of 8 typed, 6 in the spoken form, 4 spoken.
    assert cell["gap"]["value"] == pytest.approx(37.5)
    assert cell["gaps"]["normalisation"]["value"] == pytest.approx(12.5)
    assert cell["gaps"]["hearing"]["value"] == pytest.approx(25.0)
    # Paired: one item is lost on the way to the spoken form; three are lost on the way to the ear and one is won.
    assert [cell["gaps"][step]["only_first"] for step in ("normalisation", "hearing")] == [1, 3]
    assert cell["gaps"]["hearing"]["only_second"] == 1
    assert models["base"]["textvqa"]["gaps"].keys() == {"normalisation"}
    assert models["base"]["textvqa"]["gap"] is None


def test_without_the_spoken_form_there_are_no_steps():
    right = {view: values for view, values in RIGHT.items() if view != "image_spoken_form"}
    cell = summarise_models(ScoreTable.of({0: scores(right)}, "base"), "image_text", "image_speech")["sft"]["all"]
    assert (cell["gap"]["value"], cell["gaps"]) == (pytest.approx(37.5), {})


def summary(text="image_text", speech="image_speech", seeds=(0,)):
    spoken = {"image_speech": RIGHT["image_speech"]}
    table = ScoreTable.of({seed: [*scores(), *scores(spoken, "self_kd")] for seed in seeds}, "base")
    models = summarise_models(table, text, speech)
    comparisons = compare(table, [("self_kd", "sft")], "all", speech)
    views = {"text_view": text, "speech_view": speech}
    return {"recipe": "tiny", "seeds": list(seeds), **views, "models": models, "comparisons": comparisons}


def test_the_page_shows_the_steps_beside_the_gap(tmp_path):
    parsed = parse_summary(json.dumps(summary()))
    table = result_table(parsed, "all")
    assert table.views == ("image_text", "image_spoken_form", "image_speech")
    assert table.steps == ("normalisation", "hearing")
    page = written_page(tmp_path, summary())
    assert page.index(">Gap<") < page.index(">Normalisation<") < page.index(">Hearing<") < page.index(">Recovered<")
    assert "<b>12.5</b>" in page
    assert "<b>25.0</b>" in page


def test_the_page_takes_the_views_of_the_gap_from_the_summary(tmp_path):
    """The spoken form as what is compared with: 75 of 100 typed, 50 spoken, and no word of the original text."""
    parsed = parse_summary(json.dumps(summary(text="image_spoken_form")))
    assert parsed.pair == Pair("image_spoken_form", "image_speech")
    said = "spoken form 75.0. No other model has a smaller gap than SFT (25.0 points)."
    assert verdict(parsed).headline.endswith(said)
    assert result_table(parsed, "all").rows[1].recovered == pytest.approx(100 * 50 / 75)
    assert kind_breakdown(parsed, "textvqa").rows[0][2] == (75.0, None, 50.0, 50.0)


def test_comparisons_show_each_seed_where_there_are_several(tmp_path):
    several = parse_summary(json.dumps(summary(seeds=(0, 3))))
    first, second = several.comparisons[0].each_seed
    assert (first.seed, second.seed) == (0, 3)
    assert seed_difference(second) == "seed 3: 0.0 (−32.4 to 32.4)"
    assert "seed 3: 0.0 (−32.4 to 32.4)" in written_page(tmp_path / "two", summary(seeds=(0, 3)))
    assert "seed 0: " not in written_page(tmp_path / "one", summary())


def written_page(folder, data):
    from earwise.report import build_report

    return build_report(fixture.write_run(folder / "run", data), [], folder / "report.html").read_text()
