"""Worked cases of the benchmarks that are heard: MMAU, MMAR, AVQA, MUSIC-AVQA, MELD, IEMOCAP."""

import pytest
from test_scoring_benchmarks import scored

from earwise.errors import InputError
from earwise.evaluate.benchmarks import aggregate, by_kind, invalid_rate
from earwise.evaluate.labels import VOCABULARY, normalise
from earwise.evaluate.scoring import SCORERS, score

MAN = ("Woman", "Man", "Child", "Robot")
ORDER = ("From far to near", "From near to far")
STEREO = ("Mono first, stereo later", "Stereo first, mono later", "Always mono")
GRASS = ("Dense Forest", "Open Grassland", "City Street")


@pytest.mark.parametrize(
    ("gold", "choices", "answer", "strict", "lmms_eval", "official"),
    [
        ("Man", MAN, "(A) Man", 0, 0, 1),
        ("Man", MAN, "(B) Man", 1, 1, 1),
        ("Man", MAN, "B", 1, 1, 0),
        ("Man", MAN, "A", 0, 0, 0),
        ("Man", MAN, "b", 1, None, 0),
        ("Man", MAN, "Man", 1, None, 1),
        ("Man", MAN, " man. ", 1, None, 1),
        ("Man", MAN, "B. Man", 1, 1, 1),
        ("Man", MAN, "The speaker is a man.", 1, None, 1),
        ("Man", MAN, "A man, not a woman", 1, 0, 0),
        ("Man", MAN, "", None, None, 0),
        ("Man", MAN, "?", None, None, 0),
        ("Man", MAN, "(C) dog", 0, 0, 0),
        ("Man", MAN[:2], "(C) dog", None, None, 0),
        # Of several letters in parentheses lmms-eval takes the first, unless one of them also stands free.
        ("Man", MAN, "(B) or (A)", None, 0, 0),
        ("From far to near", ORDER, "From near to far", 0, None, 1),
        ("From far to near", ORDER, "From far to near", 1, None, 1),
        # A word that a wrong option has and the gold one has not: "The" of a sentence around the answer.
        ("cat", ("The dog", "cat"), "The answer is cat", 1, None, 0),
    ],
)
def test_mmau(gold, choices, answer, strict, lmms_eval, official):
    found = [score("mmau", gold, answer, choices, profile) for profile in ("strict", "lmms_eval", "official")]
    assert found == [strict, lmms_eval, official]


@pytest.mark.parametrize(
    ("gold", "choices", "answer", "strict", "lmms_eval", "official"),
    [
        ("Mono first, stereo later", STEREO, "Stereo first, mono later", 0, None, 1),
        ("Open Grassland", GRASS, "Open Grassland", 1, None, 1),
        ("Open Grassland", GRASS, "C", 0, 0, 0),
        ("Open Grassland", GRASS, "B", 1, 1, 0),
        ("Open Grassland", GRASS, "(C) no, (B)", 1, 1, 0),
        ("Open Grassland", GRASS, "What I hear sounds like open grassland", 1, 1, 1),
        ("Open Grassland", GRASS, "sounds like open grassland", 1, None, 1),
        ("Open Grassland", GRASS, "It is City Street or else it is Open Grassland", None, 1, 0),
        ("Open Grassland", GRASS, "I cannot say what this is at all", None, None, 0),
        # `B ` at the end of a word counts for lmms-eval.
        ("Open Grassland", GRASS, "CLUB scene", None, 1, 0),
    ],
)
def test_mmar(gold, choices, answer, strict, lmms_eval, official):
    found = [score("mmar", gold, answer, choices, profile) for profile in ("strict", "lmms_eval", "official")]
    assert found == [strict, lmms_eval, official]


def test_gold_answers_by_letter_and_texts_that_are_letters():
    for profile in SCORERS["mmau"]:
        assert score("mmau", "B", "(B) Man", MAN, profile) == 1.0
    chords = ("G", "D", "C", "A")
    assert score("mmau", "C", "C", chords) == 1.0
    assert score("mmau", "G", "C", chords) == 0.0
    assert score("mmau", "C", "c", chords) == 1.0
    with pytest.raises(InputError, match="'Dog' is not among the choices"):
        score("mmau", "Dog", "Dog", MAN)
    with pytest.raises(InputError, match="mmau has no profile 'vlmevalkit'"):
        score("mmau", "Man", "Man", MAN, "vlmevalkit")


def test_rows_without_an_answer_stay_in_the_denominator():
    """Three rows, two right, one without an answer: 66.67 % with one invalid, not 100 % of two."""
    scores = [scored(1.0, "a"), scored(1.0, "b"), scored(0.0, "c", invalid=True)]
    assert aggregate("mmau", scores) == pytest.approx(66.67, abs=0.01)
    assert invalid_rate(scores) == pytest.approx(100 / 3)


def test_avqa_counts_options_from_0():
    choices = ("a", "b", "c", "d")
    assert [score("avqa", "2", answer, choices) for answer in ("c", "C", "b", "(C)", "e")] == [1.0, 1.0, 0.0, 1.0, None]
    assert score("avqa", "0", "a dog", ("a dog", "a cat")) == 1.0
    assert score("avqa", "B", "a cat", ("a dog", "a cat")) == 1.0
    with pytest.raises(InputError, match="option 4 of 4"):
        score("avqa", "4", "a", choices)


def test_avqa_total_is_over_items_not_over_types():
    scores = [scored(1.0, "a", kind="Which"), scored(0.0, "b", kind="Which"), scored(1.0, "c", kind="Where")]
    assert aggregate("avqa", scores) == pytest.approx(66.67, abs=0.01)
    assert by_kind("avqa", scores) == {"Where": 100.0, "Which": 50.0}


@pytest.mark.parametrize(
    ("gold", "answer", "expected"),
    [
        ("two", "2", 1.0),
        ("two", "Two.", 1.0),
        ("2", "two", 1.0),
        ("two", "three", 0.0),
        ("acoustic_guitar", "Acoustic guitar", 1.0),
        ("acoustic_guitar", "the acoustic guitar", 1.0),
        ("acoustic_guitar", "electric_bass", 0.0),
        ("yes", "Yes", 1.0),
        ("yes", "yes？", 1.0),
        ("yes", "no", 0.0),
        ("more than ten", "more than ten", 1.0),
        ("left", "on the left", None),
        ("left", "", None),
        ("cello", "kazoo", None),
    ],
)
def test_music_avqa(gold, answer, expected):
    assert score("music_avqa", gold, answer) == expected


def test_the_vocabulary_is_in_its_normal_form():
    assert {normalise(answer) for answer in VOCABULARY} == VOCABULARY
    assert len(VOCABULARY) == 43


def test_music_avqa_cells_and_total():
    """Audio counting 1 of 2, audio comparative 1 of 1, visual location 0 of 1: total 50."""
    kinds = [("a", 1.0, "Audio Counting"), ("b", 0.0, "Audio Counting"), ("c", 1.0, "Audio Comparative")]
    scores = [scored(value, item, kind=kind) for item, value, kind in [*kinds, ("d", 0.0, "Visual Location")]]
    assert aggregate("music_avqa", scores) == 50.0
    assert by_kind("music_avqa", scores) == {"Audio Comparative": 100.0, "Audio Counting": 50.0, "Visual Location": 0.0}
    audio = [one for one in scores if one.kind.startswith("Audio")]
    assert aggregate("music_avqa", audio) == pytest.approx(66.67, abs=0.01)


@pytest.mark.parametrize(
    ("benchmark", "gold", "answer", "expected"),
    [
        ("meld", "joy", "joy", 1.0),
        ("meld", "joy", "Joyful", 1.0),
        ("meld", "joy", "The emotion is joy", 1.0),
        ("meld", "joy", "anger", 0.0),
        ("meld", "joy", "joy or anger", None),
        ("meld", "joy", "joy, happiness", 1.0),
        ("meld", "joy", "", None),
        ("meld", "sadness", "She sounds sad.", 1.0),
        ("iemocap", "exc", "happy", 1.0),
        ("iemocap", "hap", "excited", 1.0),
        ("iemocap", "neu", "Neutral.", 1.0),
        ("iemocap", "ang", "sad", 0.0),
        ("iemocap", "ang", "fear", None),
    ],
)
def test_emotions(benchmark, gold, answer, expected):
    assert score(benchmark, gold, answer) == expected


def test_an_emotion_that_is_none_of_the_labels_is_refused():
    with pytest.raises(InputError, match=r"unknown emotion 'boredom' .*neu, hap, ang, sad"):
        score("iemocap", "boredom", "neutral")


def test_emotions_are_averaged_over_labels():
    """8 neutral all right, 2 angry one right: 90 % of the items, 75 % unweighted; all-neutral gets 50."""
    scores = [scored(1.0, f"n{k}", kind="neu") for k in range(8)]
    scores += [scored(1.0, "a0", kind="ang"), scored(0.0, "a1", kind="ang")]
    assert aggregate("iemocap", scores) == pytest.approx(75.0)
    assert aggregate("mmau", scores) == pytest.approx(90.0)
    assert aggregate("meld", [*scores[:8], scored(0.0, "a0", kind="anger")]) == 50.0
