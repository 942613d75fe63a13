"""Kit profiles give what the kits' own functions gave on these answers; `bench/kits.py` compares many more.

And the one reading of reasoning, answer tags and blanks, through every door.
"""

import pytest

from earwise.evaluate.benchmarks import score_predictions, yes_rate
from earwise.evaluate.scoring import score
from earwise.records import Item

DOTS = "I look. " * 33
SIGNS = ["stop"] * 10


@pytest.mark.parametrize(
    ("benchmark", "profile", "gold", "answer", "expected"),
    [
        # 32 full stops are taken out, no more: the last "no." is then no word
        ("mme", "vlmevalkit", "No", DOTS + "So no.", None),
        ("mme", "vlmevalkit", "No", "I look. " * 30 + "So no.", 1.0),
        ("hallusionbench", "vlmevalkit", "Yes", "Yes. " + DOTS + "There is no.", 1.0),
        ("mme", "strict", "No", DOTS + "So no.", 1.0),
        ("textvqa", "vlmevalkit", SIGNS, "stop" + "." * 33, 0.0),
        ("textvqa", "lmms_eval", SIGNS, "stop" + "." * 33, 0.0),
        ("textvqa", "official", SIGNS, "stop" + "." * 33, 0.0),
        ("textvqa", "official", SIGNS, "stop" + "." * 32, 1.0),
        ("textvqa", "strict", SIGNS, "stop" + "." * 33, 1.0),
        # lengths are those of the upper-cased texts: STRASSE has 7 letters
        ("docvqa", "official", ["Straße"], "Strase", 1 - 1 / 7),
        ("infovqa", "lmms_eval", ["Straße"], "Strase", 1 - 1 / 7),
        ("infovqa", "vlmevalkit", ["ﬁle"], "fle", 0.75),
        ("docvqa", "strict", ["Straße"], "Strase", 1 - 1 / 6),
        # MME's script looks at the first four characters, blanks among them
        ("mme", "official", "Yes", "    yes", None),
        ("mme", "official", "Yes", " yes", 1.0),
        # rows without options: VLMEvalKit finds nothing, lmms-eval takes the full stop off the answer only
        ("realworldqa", "vlmevalkit", "7", "7", None),
        ("realworldqa", "lmms_eval", "7.", "7.", 0.0),
        ("realworldqa", "lmms_eval", "7", "7.", 1.0),
        ("realworldqa", "lmms_eval", "a", "(A)", 1.0),
        # lmms-eval strips every output
        ("chartqa", "lmms_eval", "Red", " red\n", 1.0),
        ("chartqa", "official", "Red", " red", 0.0),
        ("docvqa", "lmms_eval", ["stop"], "  stoq  ", 0.75),
        ("docvqa", "vlmevalkit", ["stop"], "stoq    ", 1 - 1 / 8),
    ],
)
def test_kit_profiles_have_the_slips_of_the_kits(benchmark, profile, gold, answer, expected):
    found = score(benchmark, gold, answer, profile=profile)
    assert found == (expected if expected is None else pytest.approx(expected))


def test_lmms_eval_knows_four_letters_whatever_the_options():
    five = ("up", "down", "left", "right", "ahead")
    assert score("realworldqa", "D", "Option D or E", five, "lmms_eval") == 1.0
    assert score("realworldqa", "E", "(E)", five, "lmms_eval") == 0.0
    assert score("realworldqa", "E", "E.", five, "lmms_eval") == 1.0


REASONED = {
    "<think> It is not (A). </think> <answer> B </answer>": {"strict": 1.0, "lmms_eval": 1.0, "official": 0.0},
    "<think>(A) is a cat</think>(B) the dog": {"strict": 1.0, "lmms_eval": 1.0, "official": 0.0},
    "It barks, so no cat.</think>\n\n(B)": {"strict": 1.0, "lmms_eval": 1.0, "official": 0.0},
    "<answer>the dog</answer>": {"strict": 1.0, "lmms_eval": None, "official": 1.0},
    "<analysis>(A)?</analysis> (B)": {"strict": 1.0, "lmms_eval": 1.0, "official": 0.0},
    "<think>It barks, (B)": {"strict": None, "lmms_eval": 1.0, "official": 0.0},
}


@pytest.mark.parametrize("output", REASONED)
def test_every_door_reads_an_output_alike(output):
    choices = ("a cat", "the dog", "a cow")
    item = Item(id="q", source="mmau", question="What barks?", answers=("B",), choices=choices, cluster="q")
    for profile, expected in REASONED[output].items():
        scored = score_predictions("mmau", [item], {"q": output}, model="m", view="sound_text", profile=profile).scores
        assert score("mmau", "the dog", output, choices, profile) == expected
        assert (scored[0].value, scored[0].invalid) == (expected or 0.0, expected is None)


@pytest.mark.parametrize("output", ["<think>There is a dog.</think>\n\nYes", "There is no cat.</think>Yes"])
def test_vlmevalkit_splits_the_reasoning_off(output):
    assert score("mme", "Yes", output, profile="vlmevalkit") == 1.0
    assert score("docvqa", ["stop"], output.replace("Yes", "stop"), profile="vlmevalkit") == 1.0
    assert score("mme", "Yes", output, profile="official") is None


def test_own_item_files_are_read_alike_under_every_profile():
    for profile in ("strict", "vlmevalkit", "lmms_eval", "official"):
        assert score("exact", "red", "<think>blue?</think> <answer>red</answer>", profile=profile) == 1.0


def test_the_share_of_yes_does_not_count_the_reasoning():
    items = [Item(id=key, source="mme", question="?", answers=("yes",), cluster=key) for key in "ab"]
    said = {"a": "<think>no, wait</think> Yes", "b": "No"}
    assert yes_rate("mme", score_predictions("mme", items, said, model="m", view="image_text").scores) == 50.0
