import random
import re
from collections import Counter
from typing import get_args

import pytest

from earwise.micro import questions
from earwise.micro.questions import KINDS, Turn, ask, ask_chart
from earwise.micro.scenes import Chart, Scene, Thing, sample_chart, sample_scene
from earwise.micro.words import VOCABULARY
from earwise.recipe.data import SceneQuestion

STAR, SQUARE = Thing(0, 2, "red", "star"), Thing(2, 0, "blue", "square")
SCENE = Scene((STAR, SQUARE), ("hotel",))


def many(seed=0, pictures=300):
    rng = random.Random(seed)
    for index in range(pictures):
        picture = sample_chart(rng) if index % 8 == 0 else sample_scene(rng)
        for turn in ask(picture, rng, 6):
            yield picture, turn


def all_of(asker, scene=SCENE, times=60, **options):
    rng = random.Random(0)
    return {turn.text: turn for turn in (asker(scene, rng, **options) for _ in range(times))}


def test_every_kind_is_asked_and_every_word_is_in_the_vocabulary():
    kinds = Counter()
    for _, turn in many():
        kinds[turn.kind] += 1
        for text in (turn.text, turn.answer, turn.other):
            assert set(re.findall("[a-z]+", text.lower())) <= set(VOCABULARY), text
    assert set(kinds) == set(KINDS)


def test_questions_about_one_picture_differ():
    rng = random.Random(2)
    turns = ask(sample_scene(rng), rng, 8)
    assert len({turn.text for turn in turns}) == 8


def test_what_is_emphasised_is_asked_so_many_times_as_often():
    def kinds(emphasis):
        rng = random.Random(0)
        asked = Counter(turn.kind for _ in range(400) for turn in ask(sample_scene(rng), rng, 6, emphasis))
        return asked, {kind: asked[kind] / asked["position"] for kind in asked}

    counts, plain = kinds({})
    _, shifted = kinds({"reading": 4.0, "existence": 0.25})
    # Questions about one picture differ, so what there is little to ask about grows by a little less.
    assert 2.8 < shifted["reading"] / plain["reading"] < 4.6
    assert 0.18 < shifted["existence"] / plain["existence"] < 0.36
    assert 0.8 < shifted["relation"] / plain["relation"] < 1.25
    assert min(counts.values()) > 50


def test_yes_and_no_and_option_letters_are_balanced():
    answers = Counter((turn.kind, turn.form, turn.answer) for _, turn in many(3, 1500))
    for kind in ("existence", "count", "attribute", "relation", "reading"):
        yes, no = answers[kind, "check", "yes"], answers[kind, "check", "no"]
        assert abs(yes - no) < 4 * (yes + no) ** 0.5, kind
    a, b = answers["choice", "of two", "A"], answers["choice", "of two", "B"]
    assert abs(a - b) < 4 * (a + b) ** 0.5


def test_relations_are_true_of_the_picture():
    answers = {text: turn.answer for text, turn in all_of(questions.relation_check, times=300).items()}
    assert answers["Is the star right of the square?"] == "yes"
    assert answers["Is the star left of the square?"] == "no"
    assert answers["Is the blue square below the red star?"] == "yes"
    open_answers = {text: turn.answer for text, turn in all_of(questions.relation_open, times=300).items()}
    assert open_answers["Is the star left or right of the square?"] == "right"
    assert open_answers["Is the square above or below the red star?"] == "below"


def test_other_forms_are_true_of_the_picture():
    assert all_of(questions.place_open)["Where is the star?"].answer == "top right"
    assert all_of(questions.thing_at, times=200)["What is at the bottom left?"].answer == "blue square"
    assert all_of(questions.thing_at, times=900)["What is at the middle center?"].answer == "nothing"
    assert all_of(questions.color_open)["What color is the square?"].answer == "blue"
    assert all_of(questions.shape_open)["Which shape is red?"].answer == "star"
    assert all_of(questions.count_open, times=200)["How many shapes are there?"].answer == "two"
    assert all_of(questions.count_check, times=300)["Is there one star in the picture?"].answer == "yes"
    assert all_of(questions.description)["Describe the picture."].answer == "red star and blue square"
    assert all_of(questions.reading_open)["Which word is on the sign?"].answer == "hotel"


def test_a_no_is_a_near_miss():
    for turn in all_of(questions.existence, truth=False).values():
        name = re.search(r"a (\w+ \w+)", turn.question).group(1)
        assert name not in ("red star", "blue square")
        assert set(name.split()) & {"red", "star", "blue", "square"}


def test_a_wrong_number_differs_in_one_digit():
    scene = Scene(SCENE.things, ("four", "seven", "nine"))
    for turn in all_of(questions.reading_check, scene, truth=False).values():
        digits = [word for word in re.findall("[a-z]+", turn.question) if word in questions.DIGITS]
        assert sum(one != two for one, two in zip(digits, scene.sign, strict=True)) == 1


def test_captions_use_the_same_words_and_only_one_is_right():
    rng = random.Random(0)
    true, false, relation = questions.caption_relation(SCENE, rng)
    assert sorted(true.split()) == sorted(false.split())
    assert true != false
    assert relation in true
    true, false, colors = questions.caption_attribution(SCENE, rng)
    assert {true, false} <= {
        "red star and blue square",
        "blue square and red star",
        "blue star and red square",
        "red square and blue star",
    }
    assert "red star" in true
    assert "red square" in false
    assert set(colors) == {"red", "blue"}


def test_a_choice_names_the_option_that_is_right():
    for turn in all_of(questions.choice_word, times=400).values():
        right = turn.choices["ABC".index(turn.answer)]
        assert turn.choices.count(right) == 1
        if turn.question == "What color is the star?":
            assert right == "red"
    turn = Turn("choice", "of two", "What color is the star?", "A", "A", ("red", "blue"))
    assert turn.text == "What color is the star? Option A: red. Option B: blue."


@pytest.mark.parametrize(
    ("form", "question", "answer"),
    [
        ("height", "How tall is the red column?", "four"),
        ("extreme", "Which column is the shortest?", "blue"),
        ("compare", "Is the blue column taller or shorter than the red column?", "shorter"),
        ("total", "How many columns are there?", "three"),
    ],
)
def test_chart_questions(form, question, answer):
    chart = Chart((("red", 4), ("blue", 1), ("green", 6)))
    rng = random.Random(0)
    asked = {turn.question: turn.answer for turn in (ask_chart(chart, rng, form) for _ in range(60))}
    assert asked[question] == answer


def test_a_scan_names_every_place_in_reading_order():
    answer = questions.scan(SCENE).answer
    assert answer == "nothing nothing red star nothing nothing nothing blue square nothing nothing hotel"
    assert questions.scan(Chart((("red", 4), ("blue", 1), ("green", 6)))).answer == "red four blue one green six"


def test_nothing_doubtful_is_asked():
    """Two red stars: neither can be meant by "the red star", and neither colour nor shape stands for one thing."""
    scene = Scene((Thing(0, 0, "red", "star"), Thing(1, 1, "red", "star"), Thing(2, 2, "blue", "circle")), ("taxi",))
    for turn in all_of(questions.place_open, scene).values():
        assert "star" not in turn.question
    assert questions.relation_check(scene, random.Random(0)) is None


def test_the_other_annotator_is_right_in_other_words():
    turn = all_of(questions.description)["Describe the picture."]
    assert turn.other == "the picture shows blue square and red star"
    assert (
        all_of(questions.relation_check, times=300)["Is the star left of the square?"].other == "no it is right of it"
    )
    differing = [turn.answer.lower() != turn.other.lower() for _, turn in many() if turn.kind != "choice"]
    assert all(differing)


def test_a_recipe_can_emphasise_every_kind_about_scenes():
    assert {*get_args(SceneQuestion)} == {*KINDS} - {"chart"}
