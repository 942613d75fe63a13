import time

import pytest

from earwise.data.suffixes import split_suffix

REQUESTS = [
    " Please answer yes or no.",
    "\nAnswer the question using a single word or phrase.",
    "\nAnswer the question with a **single word**.",
    " Please answer directly with only the letter of the correct option and nothing else.",
    " Please answer directly with a single word or number.",
    "\nAnswer with the option's letter from the given choices directly.",
    "\nPlease select the correct answer from the options above. \n",
    "\nAnswer the question using a single word only. ",
    "  Select one option from the provided choices.\n",
    "\nAnswer with a single word",
    " Answer yes or no.",
    " Answer the question using a single word or phrase. Answer yes or no.",
]


@pytest.mark.parametrize("request_text", REQUESTS)
def test_a_request_is_split_off_and_nothing_is_lost(request_text):
    assert split_suffix("Is there a dog in the image?" + request_text) == ("Is there a dog in the image?", request_text)


@pytest.mark.parametrize(
    "question",
    [
        "Is there a dog?",
        "Can you answer yes or no.",
        "Please answer yes or no.",
        "Please answer yes or no. Is there a dog?",
        "What does the sign say, and where?\n",
        "",
    ],
)
def test_a_text_without_a_trailing_request_stays_whole(question):
    assert split_suffix(question) == (question, "")


def test_a_question_without_punctuation_is_split_at_the_capital():
    assert split_suffix("how many bars Answer the question using a single word or phrase.")[0] == "how many bars"


def test_long_blank_runs_do_not_blow_up():
    start = time.perf_counter()
    split_suffix("a" + " " * 20_000 + "b")
    assert time.perf_counter() - start < 1.0
