"""Results that look like a mistake of the file or its scoring are named, with answers beside gold ones."""

import pytest
from report_fixture import summary, write_run
from test_faithful import score

from earwise.evaluate.benchmarks.own import SCORED_BY, own_yes_no
from earwise.evaluate.doubts import chance_of, doubts, gold_in_words, is_doubtful, typed_view
from earwise.evaluate.summary import ScoreTable, summarise_models
from earwise.records import Item
from earwise.report import build_report
from earwise.report.doubts import doubt_lines, doubt_notes

VIEWS = ("image_text", "image_speech")


def item(n, choices=(), answer="red", **changes):
    return Item(
        id=f"i{n}", source="b", question="Which color?", answers=(answer,), choices=choices, cluster=f"c{n}", **changes
    )


def answers(values, model="base", source="b", view="image_text", said="blue"):
    return [
        score(n, value, model=model).model_copy(
            update={"item": f"i{n}", "source": source, "view": view, "cluster": f"c{n}", "prediction": said}
        )
        for n, value in enumerate(values)
    ]


def found(values, items, yes_no=frozenset(), **changes):
    scores = answers(values, **changes)
    return doubts(ScoreTable.of({0: scores}, "base"), {"b": items}, {"b": VIEWS}, yes_no)


def test_no_right_answer_is_doubtful_and_five_answers_stand_beside_their_gold_ones():
    items = [item(n) for n in range(20)]
    (one,) = found([0.0] * 20, items)
    assert (one["model"], one["benchmark"], one["view"], one["right"], one["chance"], one["n"]) == (
        "base", "b", "image_text", 0.0, None, 20
    )  # fmt: skip
    assert [(each["item"], each["answer"], each["gold"]) for each in one["examples"]] == [
        (f"i{n}", "blue", "red") for n in range(5)
    ]
    assert found([1.0] + [0.0] * 19, items) == []


def test_guessing_among_options_is_doubtful():
    """Of 2 and 4 options, 37.5 % by guessing."""
    items = [item(n, ("red", "blue", "green", "grey") if n % 2 else ("red", "blue"), "A") for n in range(40)]
    assert chance_of(items, yes_no=False) == 37.5
    (one,) = found([1.0] * 16 + [0.0] * 24, items)
    assert (one["right"], one["chance"], one["examples"][0]["gold"]) == (40.0, 37.5, "A. red")
    assert found([1.0] * 18 + [0.0] * 22, items) == []


def test_yes_or_no_for_ever_is_doubtful():
    items = [item(n, answer="yes" if n % 2 else "no", meta={SCORED_BY: "yes_no"}) for n in range(100)]
    named = own_yes_no({"b": items, "other": [item(1)]})
    assert named == {"b"}
    (one,) = found([1.0, 0.0] * 50, items, named, said="yes")
    assert (one["right"], one["chance"]) == (50.0, 50.0)
    assert found([1.0, 0.0] * 50, items) == []
    table = ScoreTable.of({0: answers([1.0, 0.0] * 50, said="Yes.")}, "base")
    cell = summarise_models(table, "image_text", "image_speech", yes_no=named)["base"]["b"]
    assert cell["views"]["image_text"]["yes_rate"] == 1.0
    assert cell["yes_truth"] == {"share": 0.5, "n": 100}


def test_answers_that_the_base_lends_are_doubted_once():
    scores = [*answers([0.0] * 3), *answers([1.0] * 3, model="sft", view="image_speech")]
    told = doubts(ScoreTable.of({0: scores}, "base"), {"b": [item(n) for n in range(3)]}, {"b": VIEWS})
    assert [one["model"] for one in told] == ["base"]


@pytest.mark.parametrize(
    ("right", "chance", "n", "doubtful"),
    [(1.0, None, 100, True), (1.5, None, 100, False), (54.9, 50.0, 100, True), (55.1, 50.0, 10, False),
     (51.5, 50.0, 10_000, False), (20.0, 25.0, 500, True), (0.5, 50.0, 9, True)],
)  # fmt: skip
def test_where_guessing_ends(right, chance, n, doubtful):
    assert is_doubtful(right, chance, n) is doubtful


@pytest.mark.parametrize(
    ("views", "typed"),
    [(("image_speech", "image_text"), "image_text"), (("sound_off", "sound_text"), "sound_text"),
     (("text_only", "image_text"), "image_text"), (("text_only", "speech_only"), "text_only"),
     (("video_speech",), None)],
)  # fmt: skip
def test_the_typed_view_shows_what_is_asked_about(views, typed):
    assert typed_view(views) == typed


def test_gold_answers_in_words():
    assert gold_in_words(item(1, ("red", "blue"), "B")) == "B. blue"
    assert gold_in_words(item(1, answer="7")) == "7"


DOUBT = {
    "model": "base", "benchmark": "mine", "view": "image_text", "right": 24.0, "chance": 25.0, "n": 1200,
    "examples": [{"item": "mine-1", "question": "?", "answer": "<b>well</b>\n" + "x" * 80, "gold": "A. red"}],
}  # fmt: skip


def test_console_and_page_say_it(tmp_path):
    said, answer = doubt_lines({"recipe": "r", "models": {}, "doubts": [DOUBT]})
    assert said == (
        "doubtful: base on mine (image_text): 24.0 % of 1,200 typed answers are right, guessing gets 25.0 %: "
        "check the file's columns, the scoring and the answers"
    )
    assert answer == f"  mine-1: answered '<b>well</b> {'x' * 47}…', gold 'A. red'"
    none = {**DOUBT, "right": 0.0, "chance": None, "examples": []}
    (note,) = doubt_notes({"recipe": "r", "models": {}, "doubts": [none]})
    assert "are right, about none: check" in note.text
    folder = write_run(tmp_path / "run", summary() | {"doubts": [DOUBT]})
    page = build_report(folder, [], tmp_path / "page.html").read_text(encoding="utf-8")
    assert "<strong>Doubtful:</strong> base on mine (image_text): 24.0 % of 1,200 typed answers are right" in page
    assert f"<td>&lt;b&gt;well&lt;/b&gt; {'x' * 47}…</td><td>A. red</td>" in page
