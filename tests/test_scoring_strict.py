"""How strict reads the choice of an answer in words: what it declares, denies, lists or writes in other scripts."""

import time

import pytest

from earwise.evaluate.labels import IEMOCAP, named_emotion
from earwise.evaluate.multiple_choice import parse_strict
from earwise.evaluate.scoring import score
from earwise.evaluate.yes_no import parse_strict as parse_yes_no

ANIMALS = ("a cat", "the dog", "a cow")

LISTED = [
    "A, B", "A/B", "A & B", "A. B. C.", "A or B", "(A) or (B)", "both A and B", "a) a cat b) the dog",
    "A. a cat\nB. the dog\nC. a cow", "(A) a cat (B) the dog (C) a cow", "Option A: a cat. Option B: the dog.",
    "A\nB\nC", "The answer is A or B", "Answer: B or C", "Answer: A, B", "A is correct, B is correct", "All of A, B, C",
]  # fmt: skip


@pytest.mark.parametrize("answer", LISTED)
def test_several_options_without_one_that_is_declared_are_no_answer(answer):
    assert parse_strict(answer, ANIMALS, "ABC") is None


def test_a_model_that_repeats_the_options_gets_nothing_on_two_way_choices():
    captions = ("the cup is on the box", "the box is on the cup")
    echo = f"A. {captions[0]}\nB. {captions[1]}"
    assert [score("mmalign", gold, echo, captions) for gold in "AB"] == [None, None]


DENIED = [
    "Not A", "The answer is not A.", "It isn't A.", "A cannot be the answer.", "I don't think it is A.", "not the dog",
    "Neither A nor B.", "neither a cat nor the dog", "A is wrong", "A and B are wrong.", "A: no", "不选A", "选项A错误",
    "The dog is not what barks.", "A ✗", "None of A, B, C",
]  # fmt: skip


@pytest.mark.parametrize("answer", DENIED)
def test_what_is_denied_is_no_answer(answer):
    assert parse_strict(answer, ANIMALS, "ABC") is None


ANSWERED = [
    # declared after the options were gone through
    "A) a cat is wrong. The answer is B.", "(A) is incorrect, there is no cat. The correct answer is (B).",
    "A. a cat\nB. the dog\nC. a cow\n\nAnswer: B", "A: no\nB: yes\nC: no", "A. Wrong, the fur is brown.\nB. Correct.",
    "Options: A. a cat, B. the dog. I pick the dog.", "A) a cat or B) the dog? It is the dog.",
    "B is the answer, not A",
    "The correct answer to the question is B", r"So we get $\boxed{B}$.", "Option (b) is correct, A is no dog.",
    "At first the answer is A. Final answer: B", "The answer is B. A shows a cat.", "A ✗ B ✓ C ✗",
    # denied, and something else said
    "Not A but B", "neither A nor C, so B", "It is the dog rather than a cat.", "(C) no, (B)", "B, not A",
    "No cat, no cow: the dog.", "B, A is wrong", "The correct answer is (B) the dog, (A) is not possible",
    # a letter alone on a line
    "B\nExplanation: A is wrong, it is no cat.", "B\n\nThe dog is visible, so A and C are out.", "A or C?\n\nB",
    "**B**\n\nReasoning: option A is small.", "(B)\nA is further away",
    # other scripts
    "选B", "我选择B。", "正确答案是B", "答案为B：女人", "答案：B", "应该选B，不是A", "Ｂ", "（Ｂ）", "Ｂ．the dog",
    "정답은 B입니다",
    "答えはBです", "B、因为有狗",
    # as before
    "b", "B. Right", "[B]", "the dog", "The dog!", "B because A is small", "not only loud but B",
]  # fmt: skip


@pytest.mark.parametrize("answer", ANSWERED)
def test_what_an_answer_says_is_read(answer):
    assert parse_strict(answer, ANIMALS, "ABC") == "B"


CHORDS = ("A:maj(#11)/1", "A:maj/5", "A#:maj/5", "A:7/1")


@pytest.mark.parametrize(
    ("answer", "letter"),
    [
        ("A:7/1, since that is what is heard.", "D"),
        ("The answer is A:maj/5.", "B"),
        ("It is A#:maj/5", "C"),
        ("(A) A:maj(#11)/1", "A"),
        ("The answer is A.", "A"),
    ],
)
def test_a_letter_inside_a_chord_is_no_option(answer, letter):
    assert parse_strict(answer, CHORDS, "ABCD") == letter


@pytest.mark.parametrize(
    ("answer", "emotion"),
    [
        ("The speaker is not happy.", None),
        ("no anger here", None),
        ("He doesn't sound angry", None),
        ("neither happy, sad nor angry", None),
        ("without anger", None),
        ("anger is absent", None),
        ("not B", None),
        ("not happy but sad", "sad"),
        ("sad rather than angry", "sad"),
        ("She sounds sad, not angry", "sad"),
        ("not only happy but excited", "hap"),
        ("She is angry, isn't she?", "ang"),
        ("I don't hear any sadness, only anger", "ang"),
    ],
)
def test_an_emotion_that_is_denied_is_not_named(answer, emotion):
    assert named_emotion(IEMOCAP, answer, ("angry", "happy", "neutral", "sad")) == emotion


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        ("Yes and no.", None),
        ("no & yes", None),
        ("yes / no", None),
        ("I would not say yes", None),
        ("neither yes nor no", None),
        ("No, not yes", "no"),
        ("I do not know, no", "no"),
        ("Yes, no dog is there", "yes"),
    ],
)
def test_yes_and_no_together_and_a_denied_yes_are_no_answer(answer, said):
    assert parse_yes_no(answer) == said


PIECES = ("not ", "A. ", "A or ", "A, ", "(", "\n", "answer is ", "the dog ", "is not A ", "A the an ")


@pytest.mark.parametrize("piece", PIECES)
def test_an_answer_that_repeats_itself_is_read_in_reasonable_time(piece):
    start = time.process_time()
    parse_strict("x " + piece * (3_000 // len(piece)) + "b", ANIMALS, "ABC")
    assert time.process_time() - start < 1.0
