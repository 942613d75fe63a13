"""Worked cases of each benchmark's rule. Where the kits differ, their outputs on the same answer stand side by side."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from earwise.errors import InputError
from earwise.evaluate.scoring import PROFILES, SCORERS, find_scorer, score
from earwise.evaluate.yes_no import parse_lmms_eval, parse_official, parse_strict, parse_vlmevalkit


@pytest.mark.parametrize(
    ("answer", "strict", "vlmevalkit", "lmms_eval", "official"),
    [
        ("The answer is no.", "no", "no", None, None),
        ("Not sure", None, None, "no", "no"),
        ("y", "yes", None, "yes", None),
        ("n", "no", None, "no", None),
        ("Nope", None, None, "no", "no"),
        ("Yes", "yes", "yes", "yes", "yes"),
        (" yes.\n", "yes", "yes", "yes", "yes"),
        ("NO!", "no", "no", "no", "no"),
        ("**Yes**", "yes", None, None, None),
        ("Yes, there is no dog.", "yes", None, "yes", "yes"),
        ("There is no dog", "no", "no", None, None),
        ("It could be yes or no", None, None, None, None),
        ("Yes or no", None, None, "yes", "yes"),
        ("Yes/No", None, None, "yes", "yes"),
        ("Yesterday", None, None, "yes", "yes"),
        ("y.", "yes", None, "yes", None),
        ("", None, None, None, None),
        ("?", None, None, None, None),
    ],
)
def test_yes_no_parsing_by_profile(answer, strict, vlmevalkit, lmms_eval, official):
    found = [parse(answer) for parse in (parse_strict, parse_vlmevalkit, parse_lmms_eval, parse_official)]
    assert found == [strict, vlmevalkit, lmms_eval, official]


@pytest.mark.parametrize("benchmark", ["mme", "hallusionbench"])
def test_yes_no_scores(benchmark):
    assert score(benchmark, "Yes", "yes") == 1.0
    assert score(benchmark, "No", "yes") == 0.0
    assert score(benchmark, "1", "Yes.") == 1.0
    assert score(benchmark, ("0",), "no") == 1.0
    assert score(benchmark, "Yes", "maybe") is None
    with pytest.raises(InputError, match="'maybe'"):
        score(benchmark, "maybe", "yes")


LEFT_RIGHT = ("Left", "Right", "Straight")


@pytest.mark.parametrize(
    ("answer", "strict", "vlmevalkit", "lmms_eval"),
    [
        ("Right", "B", "B", None),
        ("b", "B", None, None),
        ("The correct answer is **C**. Here is why: A is wrong", "C", "C", "A"),
        ("B. Right", "B", "B", "B"),
        ("B", "B", "B", "B"),
        ("A.", "A", "A", "A"),
        ("(A)", "A", "A", "A"),
        ("option a", "A", None, None),
        ("Option A: Left", "A", "A", "A"),
        ("(C) Straight", "C", "C", "C"),
        ("a) Left", "A", "A", None),
        ("The answer is B", "B", "B", "B"),
        ("the correct option is (b)", "B", None, None),
        ("I choose B because it is so", "B", None, "B"),
        ("right.", "B", "B", None),
        ("Turn right", "B", "B", None),
        ("bright", None, "B", None),
        ("A or B", None, None, "A"),
        ("A dog", None, "A", "A"),
        ("A is right, not B", "A", "B", "A"),
        ("Left, then right", None, None, None),
        ("D", None, None, "D"),
        ("Cannot determine the answer", None, None, "C"),
        ("", None, None, None),
        ("?!", None, None, None),
    ],
)
def test_option_letters_by_profile(answer, strict, vlmevalkit, lmms_eval):
    for profile, expected in (("strict", strict), ("vlmevalkit", vlmevalkit), ("lmms_eval", lmms_eval)):
        for gold in "ABC":
            value = score("realworldqa", gold, answer, LEFT_RIGHT, profile)
            assert value == (None if expected is None else float(expected == gold)), profile


CAPTIONS = ("the dog chases the cat", "the cat chases the dog")


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        ("a", "A"),
        ("A.", "A"),
        ("option a", "A"),
        ("Option B.", "B"),
        ("(A) the dog chases the cat", "A"),
        ("The dog chases the cat.", "A"),
        ('"the cat chases the dog"', "B"),
        ("I think the cat chases the dog here", "B"),
        ("Sentence: the dog chases the cat, the cat chases the dog", None),
        ("the dog sleeps", None),
        ("C", None),
        ("I cannot see", None),
        ("The answer is A. No, the answer is B.", None),
        ("Answer: B", "B"),
        ("option b: the cat chases the dog", "B"),
        ("A, because the dog is behind", "A"),
        ("A - the dog chases the cat", "A"),
    ],
)
def test_mmalign_answers_in_any_usual_form(answer, expected):
    for place, gold in enumerate("AB"):
        value = None if expected is None else float(expected == gold)
        assert score("mmalign_relation", gold, answer, CAPTIONS) == value
        assert score("mmalign", CAPTIONS[place], answer, CAPTIONS) == value


def test_the_longer_option_text_wins_over_the_one_inside_it():
    choices = ("red", "dark red", "blue")
    assert score("realworldqa", "B", "It is dark red", choices) == 1.0
    assert score("realworldqa", "A", "It is red.", choices) == 1.0
    assert score("realworldqa", "A", "red or blue", choices) is None


KEYS = ("G major", "C major", "D minor", "A minor")


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        ("The key is C major.", "B"),
        ("The answer is C major.", "B"),
        ("It is c MAJOR", "B"),
        ("The answer is C", "C"),
        ("C", "C"),
        ("(C) D minor", "C"),
        ("The answer is B. C major", "B"),
        ("Option D, A minor, and not C major", "D"),
        ("It is in C major, not A minor", "B"),
    ],
)
def test_a_letter_inside_the_text_of_an_option_is_no_option_letter(answer, expected):
    for place, gold in enumerate("ABCD"):
        value = None if expected is None else float(expected == gold)
        assert score("realworldqa", gold, answer, KEYS) == value
        assert score("mmau", KEYS[place], answer, KEYS) == value


def test_options_that_name_letters_and_options_with_marks_of_their_own():
    both = ("red", "blue", "Both A and B")
    assert score("realworldqa", "C", "The answer is both A and B", both) == 1.0
    assert score("realworldqa", "A", "A or B", both) is None
    marked = ("A. Left", "B. Right")
    assert score("realworldqa", "B", "B. Right, because A. Left is wrong", marked) == 1.0


def test_the_pronoun_is_no_letter_where_there_are_nine_options():
    choices = ("dog", "cat", "cow", "hen", "pig", "fox", "owl", "bee", "ant")
    assert score("mmau", "cat", "I think it is B", choices) == 1.0
    assert score("mmau", "ant", "I", choices) == 1.0


@pytest.mark.parametrize("gold", ["AB", "CD", "ABC", "ABCD"])
def test_an_open_answer_of_letters_is_no_option_letter(gold):
    for profile in ("strict", "lmms_eval"):
        assert score("realworldqa", gold, gold.lower(), profile=profile) == 1.0
        assert score("realworldqa", gold, "A", profile=profile) == 0.0


def test_no_answer_is_never_a_sign_that_is_a_gold_answer():
    signs = ("+", "-", "*", "/")
    for benchmark in ("exact", "realworldqa", "mmau"):
        assert score(benchmark, "C", "*", signs) == 1.0
        assert score(benchmark, "C", "", signs) is None
        assert score(benchmark, "C", "...", signs) is None
    assert score("exact", "?", "?") == 1.0
    assert score("exact", "?", "") == 0.0


def test_numbers_as_options():
    choices = ("1", "2", "3.5")
    assert score("realworldqa", "B", "2", choices) == 1.0
    assert score("realworldqa", "B", "There are 2.", choices) == 1.0
    assert score("realworldqa", "C", "about 3.5 metres", choices) == 1.0
    assert score("realworldqa", "B", "12", choices) is None


def test_realworldqa_without_choices():
    for profile in ("strict", "lmms_eval"):
        assert score("realworldqa", "12", " 12. ", profile=profile) == 1.0
        assert score("realworldqa", "Yes", "yes", profile=profile) == 1.0
        assert score("realworldqa", "Yes", "no", profile=profile) == 0.0
        assert score("realworldqa", "C", "C. Straight", profile=profile) == 1.0
    # VLMEvalKit finds nothing in a row without options.
    assert score("realworldqa", "12", "12", profile="vlmevalkit") is None
    assert score("realworldqa", "C", "C. Straight", profile="vlmevalkit") is None
    with pytest.raises(InputError, match="'D' is not among"):
        score("realworldqa", "D", "A", LEFT_RIGHT)


def golds(**counts):
    return [text.replace("_", " ") for text, count in counts.items() for _ in range(count)]


@pytest.mark.parametrize("profile", PROFILES)
@pytest.mark.parametrize(
    ("answers", "prediction", "expected"),
    [
        (golds(coca_cola=4, coke=6), "Coca Cola.", 1.0),
        (golds(nokia=2, samsung=8), "Nokia", 0.6),
        (["10,000"] * 10, "10000", 1.0),
        (["5"] * 10, "$5", 0.0),
        (golds(x=1, y=9), "x", 0.3),
        (golds(x=3, y=7), "x", 0.9),
        (golds(x=4, y=6), "x", 1.0),
        (golds(x=10), "z", 0.0),
        (["two dogs"] * 10, "2 dogs", 1.0),
        (["the stop sign"] * 10, "Stop-sign!", 1.0),
        (["don't walk"] * 10, "dont walk", 1.0),
        (["3.5"] * 10, "35", 0.0),
        (["none"] * 10, "0", 1.0),
        (["a b"] * 10, "a\nb", 1.0),
    ],
)
def test_vqa_accuracy(profile, answers, prediction, expected):
    assert score("textvqa", answers, prediction, profile=profile) == pytest.approx(expected)


def test_where_the_normalisations_of_textvqa_differ():
    assert score("textvqa", ["joe's bar"] * 10, "joe 's bar") == 1.0
    assert score("textvqa", ["joe's bar"] * 10, "joe 's bar", profile="vlmevalkit") == 0.0
    assert score("textvqa", ["5"] * 10, "5.") == 1.0
    assert score("textvqa", ["5"] * 10, "5.", profile="vlmevalkit") == 0.0


@pytest.mark.parametrize(("count", "expected"), [(1, 1.0), (2, 1.0), (3, 1.0), (4, 1.0)])
def test_few_annotators_can_still_agree_in_strict(count, expected):
    assert score("textvqa", ["stop"] * count, "stop") == expected
    assert score("textvqa", ["stop"] * count, "go") == 0.0
    assert score("textvqa", ["stop"] * count, "stop", profile="official") == pytest.approx((count - 1) / 3)


@pytest.mark.parametrize(
    ("gold", "prediction", "strict", "vlmevalkit", "lmms_eval"),
    [
        ("10", "10.5", 1, 1, 1),
        ("10", "10.51", 0, 0, 0),
        ("10", "9.5", 1, 1, 1),
        ("14%", "0.14", 1, 1, 1),
        ("14%", "14", 0, 0, 0),
        ("0", "0.0", 1, 0, 0),
        ("0", "0.01", 0, 0, 0),
        ("Yes", "Yes.", 0, 0, 0),
        ("Blue", "Blue.", 0, 0, 0),
        ("0.12", "12 %", 1, 1, 1),
        ("14.5%", "14.5 %", 1, 1, 1),
        ("-4", "-4.1", 1, 1, 1),
        ("-4", "4", 0, 0, 0),
        ("2014", "2010", 1, 1, 1),
        ("1,000", "1000", 0, 0, 0),
        ("nan", "nan", 1, 0, 0),
        ("inf", "1e999", 0, 0, 0),
        ("['a', 'b']", "b", 0, 1, 0),
        ("[3, 4]", "4.1", 0, 1, 0),
        ("[Blue, Green]", "[blue, green]", 1, 1, 1),
    ],
)
def test_relaxed_accuracy(gold, prediction, strict, vlmevalkit, lmms_eval):
    found = [score("chartqa", gold, prediction, profile=profile) for profile in ("strict", "vlmevalkit", "lmms_eval")]
    assert found == [strict, vlmevalkit, lmms_eval]
    assert score("chartqa_human", gold, prediction, profile="official") == lmms_eval


@pytest.mark.parametrize(
    ("gold", "prediction", "strict", "kits"),
    [
        ("ITC Limited", "ITC Ltd", 1 - 4 / 11, 1 - 4 / 11),
        ("a", "ab", 0.0, 0.5),
        ("27%", "27 percent", 0.0, 0.0),
        ("", "", 1.0, 1.0),
        ("ITC Limited", "itc  limited", 1.0, 1.0),
        ("abc", "abd", 1 - 1 / 3, 1 - 1 / 3),
        ("abc", "", 0.0, 0.0),
    ],
)
@pytest.mark.parametrize("benchmark", ["docvqa", "infovqa"])
def test_anls(benchmark, gold, prediction, strict, kits):
    assert score(benchmark, gold, prediction) == pytest.approx(strict)
    for profile in ("vlmevalkit", "lmms_eval", "official"):
        assert score(benchmark, gold, prediction, profile=profile) == pytest.approx(kits)


def test_anls_takes_the_nearest_gold():
    assert score("docvqa", ["zzz", "ITC Ltd"], "ITC Ltd") == 1.0


def test_exact_match_of_own_item_sets():
    assert score("exact", ("dark red", "red"), " Red. ") == 1.0
    assert score("exact", "red", "dark red") == 0.0
    assert score("exact", "B", "option b", ("cat", "dog")) == 1.0
    assert score("exact", "B", "cow", ("cat", "dog")) is None
    assert score("exact", "red", "") == 0.0


def test_word_accuracy_of_transcripts():
    assert score("transcript", "Is the circle red?", "is the circle red") == 1.0
    assert score("transcript", "a b c d", "a x c d") == 0.75
    assert score("transcript", "a b", "q w e r t y") == 0.0


def test_unknown_names_are_refused_with_the_nearest():
    with pytest.raises(InputError, match=r"unknown benchmark 'textvq' .*did you mean 'textvqa'"):
        score("textvq", "a", "a")
    with pytest.raises(InputError, match=r"unknown profile 'strcit' .*did you mean 'strict'"):
        score("mme", "yes", "yes", profile="strcit")
    with pytest.raises(InputError, match=r"hallusionbench has no profile 'lmms_eval'.*strict, vlmevalkit"):
        score("hallusionbench", "yes", "yes", profile="lmms_eval")
    with pytest.raises(InputError, match="no gold answer"):
        score("textvqa", [], "a")


GOLD = {
    "mme": "yes",
    "hallusionbench": "no",
    "realworldqa": "B",
    "mmalign": "B",
    "chartqa": "14%",
    "mmau": CAPTIONS[1],
    "mmar": CAPTIONS[1],
    "avqa": "1",
    "music_avqa": "two",
    "meld": "joy",
    "iemocap": "neu",
}
CHOICES = dict.fromkeys(("realworldqa", "mmalign", "mmau", "mmar", "avqa"), CAPTIONS)
ALL = [(benchmark, profile) for benchmark, profiles in SCORERS.items() for profile in profiles]


@given(prediction=st.text(alphabet="AaBbyesno .,()*:0123456789%-'\n\té", max_size=30))
def test_any_answer_scores_between_0_and_1(prediction):
    for benchmark, profile in ALL:
        value = score(benchmark, GOLD.get(benchmark, ["a b", "c"]), prediction, CHOICES.get(benchmark), profile)
        assert value is None or 0 <= value <= 1


@pytest.mark.parametrize(("benchmark", "profile"), ALL)
def test_scorers_are_fast_enough_for_bootstraps_of_whole_runs(benchmark, profile):
    """Well above 20,000 answers a second on an idle core; the bound leaves room for a busy one."""
    answers = [f"{start} {number}" for number in range(200) for start in ("Yes, the", "B. The dog", "No")]
    gold = GOLD.get(benchmark, ["the dog 7"] * 10)
    scorer, golds_ = find_scorer(benchmark, profile), (gold,) if isinstance(gold, str) else gold
    choices = CHOICES.get(benchmark, ())
    start = time.process_time()
    for answer in answers:
        scorer(golds_, answer, choices)
    assert len(answers) / (time.process_time() - start) > 5_000
