import time

import pytest

from earwise.errors import InputError
from earwise.traces.agreement import Disagreement, canonical, majority, unanimous
from earwise.traces.format import Outcome, parse, render, said

GOOD = "<think> a bell, then a horn </think> <answer> B </answer>"


def test_a_well_formed_text_is_taken_apart_and_put_together_again():
    parsed = parse(GOOD)
    assert (parsed.outcome, parsed.reasoning, parsed.answer, parsed.stray) == ("ok", "a bell, then a horn", "B", False)
    assert render("a bell, then a horn", "B") == GOOD


@pytest.mark.parametrize(
    ("text", "outcome"),
    [
        ("", "missing"),
        ("B", "missing"),
        ("<think>a</think> B", "missing"),
        ("<answer>B</answer>", "missing"),
        ("<answer>B</answer><think>a</think>", "missing"),
        ("<think>a <answer>B</answer> c</think>", "missing"),
        ("a</think><answer>B</answer>", "missing"),
        ("<THINK>a</THINK><ANSWER>B</ANSWER>", "missing"),
        (GOOD + GOOD, "doubled"),
        ("<think>a</think><answer>B</answer><answer>C</answer>", "doubled"),
        ("<think>a <think>b</think><answer>B</answer>", "doubled"),
        ("<think>a", "unclosed"),
        ("<think>a</think><answer>B", "unclosed"),
        ("<think>a <answer>B</answer>", "unclosed"),
        ("</think>a<think><answer>B</answer>", "unclosed"),
        ("<think> \n</think><answer>B</answer>", "empty"),
        ("<think>a</think><answer></answer>", "empty"),
    ],
)
def test_each_way_to_be_wrong_is_an_outcome_of_its_own(text, outcome):
    parsed = parse(text)
    assert (parsed.outcome, parsed.reasoning, parsed.answer) == (outcome, None, None)


def test_every_outcome_has_its_own_reason():
    assert len({outcome.reason for outcome in Outcome}) == len(Outcome) == 5


@pytest.mark.parametrize("text", ["Sure! " + GOOD, GOOD + "\nI hope this helps.", GOOD.replace("k> <", "k> so <")])
def test_text_outside_the_blocks_is_noted(text):
    assert (parse(text).outcome, parse(text).answer, parse(text).stray) == ("ok", "B", True)


@pytest.mark.parametrize(
    ("answer", "letter"),
    [
        ("b", "B"),
        ("(B)", "B"),
        ("Option B.", "B"),
        ("the Cat", "B"),
        ("cat.", "B"),
        ("B. the cat", "B"),
        ("B. the dog", None),
        ("C", None),
        ("it is the cat", None),
        ("", None),
    ],
)
def test_an_answer_becomes_the_letter_of_its_choice(answer, letter):
    assert canonical(answer, ("a dog", "a cat")) == letter


def test_choices_that_are_letters_are_read_as_texts():
    assert canonical("C", ("C", "A", "F")) == "A"


def test_open_answers_are_compared_without_case_marks_articles_and_spelled_numbers():
    assert canonical("Acoustic_guitar.") == "acoustic guitar"
    assert canonical(" Two ") == canonical("2") == "2"
    assert canonical("the Violin!") == "violin"
    assert canonical(" . ") is None


def test_unanimous_wants_every_sample_to_say_the_same():
    assert unanimous(["A", "A", "A"]).answer == "A"
    assert unanimous(["A", "A", "B"]).reason is Disagreement.DIFFERENT
    assert unanimous(["A", None, "A"]).reason is Disagreement.NO_ANSWER
    assert unanimous(["A", "A", "B"]).share == pytest.approx(2 / 3)


@pytest.mark.parametrize(
    ("answers", "threshold", "answer", "reason"),
    [
        ("AAAB", 0.75, "A", None),
        ("AAAB", 0.76, None, Disagreement.TOO_FEW),
        ("AABB", 0.5, None, Disagreement.TIED),
        ("AAB-", 0.5, "A", None),
        ("A---", 0.5, None, Disagreement.TOO_FEW),
        ("----", 0.5, None, Disagreement.NO_ANSWER),
    ],
)
def test_majority_counts_samples_without_answer(answers, threshold, answer, reason):
    found = majority([None if one == "-" else one for one in answers], threshold)
    assert (found.answer, found.reason) == (answer, reason)


def test_a_threshold_that_means_nothing_and_no_samples_are_refused():
    with pytest.raises(InputError, match=r"above 0 and at most 1, not 1.5"):
        majority(["A"], 1.5)
    with pytest.raises(InputError, match="no samples"):
        unanimous([])


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("<think> a bell </think> <answer> bell </answer>", "bell"),
        (" bell ", "bell"),
        ("  ", ""),
        ("<think> a bell </think> bell", "bell"),
        ("<think>\n(A) no\n</think>\n\n(B) bell\n", "(B) bell"),
        ("a bell\n</think>\nbell", "bell"),
        ("<answer> bell </answer>", "bell"),
        ("Here: <Answer>bell</Answer>. I hope this helps.", "bell"),
        ("<thinking>x</thinking> bell", "bell"),
        ("<analysis>x</analysis> <answer>bell</answer>", "bell"),
        ("<THINK>x</THINK> bell", "bell"),
        ("<think>a <think>b</think><answer>bell</answer>", "bell"),
        ("<think>write <answer>horn</answer>?</think><answer>bell</answer>", "bell"),
        ("What does <image> mean?", "What does <image> mean?"),
        ("<think> cut off after 16 tok", None),
        ("<think>a <answer>bell</answer>", None),
        ("<think> a bell </think> ", None),
        ("<answer> \n </answer>", None),
        ("<answer>bell</answer><answer>bell</answer>", None),
        ("<answer>bell", None),
        ("bell </answer>", None),
    ],
)
def test_what_is_said_is_what_stands_outside_the_reasoning_and_inside_the_answer_block(text, answer):
    assert said(text) == answer


@pytest.mark.parametrize("piece", ["<think>", "</think>", "<answer>", "<think></thinking>", "<think>a</think>", "a < "])
def test_an_output_that_repeats_a_tag_is_read_at_once(piece):
    start = time.perf_counter()
    said(piece * 20_000)
    assert time.perf_counter() - start < 1.0
