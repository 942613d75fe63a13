import math

import pytest
from grpo_case import term_of
from pydantic import ValidationError

from earwise.distil.rewards import Known, make_rewards, reasoning_of, value
from earwise.errors import InputError
from earwise.records import Item
from earwise.traces.describe import plain
from earwise.traces.format import render

ITEM = Item(id="a", source="s", question="Which?", answers=("the dog",), choices=("the dog", "the cat"), cluster="a")
OPEN = Item(id="b", source="s", question="How many?", answers=("two",), cluster="b")
KNOWN = Known({"a": frozenset({"a dog barks", "It is loud.", "A bell rings first"}), "b": frozenset()})
CHAIN = "A dog barks. A cat meows. A dog  barks!"


def reward_of(known=None, **settings):
    (made,) = make_rewards(term_of(rewards=[{"weight": 2.0, **settings}]).rewards, known)
    return made


def test_accuracy_respects_choices_and_canonical_forms():
    accuracy = reward_of(type="accuracy")
    for text in ("A", "(a)", "The dog.", render("I hear it.", "A"), render("It barks.", "Option A. the dog")):
        assert accuracy(text, ITEM) == 1.0, text
    for text in ("B", "the cat", "a dog or a cat", "<think> A </think>", "<answer> A", ""):
        assert accuracy(text, ITEM) == 0.0, text
    assert accuracy("2", OPEN) == 1.0
    assert accuracy("three", OPEN) == 0.0


def test_the_label_of_a_taught_chain_is_its_answer():
    taught = ITEM.model_copy(update={"answers": (render("I hear a cat.", "B"),)})
    assert reward_of(type="accuracy")("the cat", taught) == 1.0


def test_a_label_that_names_no_choice_is_an_error_not_a_zero():
    wrong = ITEM.model_copy(update={"answers": ("the cow",)})
    with pytest.raises(InputError, match="a: the answer 'the cow' names none of the choices"):
        reward_of(type="accuracy").check(wrong)
    with pytest.raises(InputError):
        reward_of(type="accuracy")("the dog", wrong)


def test_format_is_the_strict_parser_and_may_mind_stray_text():
    loose, strict = reward_of(type="format"), reward_of(type="format", stray=False)
    good, stray = render("I hear it.", "A"), "Well. " + render("I hear it.", "A")
    assert [loose(text, ITEM) for text in (good, stray, "A", "<think> x </think>")] == [1, 1, 0, 0]
    assert [strict(text, ITEM) for text in (good, stray)] == [1, 0]


def test_reasoning_counts_its_words_whatever_follows():
    assert reasoning_of("<think> one two </think> nothing") == "one two"
    assert reasoning_of("<think> never closed") is None
    reasoning = reward_of(type="reasoning", min_words=2)
    texts = ("<think> one two </think>", "<think> one </think> A", "one two", "<think>  </think>")
    assert [reasoning(text, ITEM) for text in texts] == [1, 0, 0, 0]


def test_length_is_a_gaussian_of_the_words_of_the_reasoning():
    length = reward_of(type="length", mean=3.0, std=2.0)
    assert length("<think> one two three </think> A and more", ITEM) == 1.0
    assert length("<think> one two three four five </think>", ITEM) == pytest.approx(math.exp(-0.5))
    assert length("no reasoning at all", ITEM) == pytest.approx(math.exp(-9 / 8))


def test_claims_and_completeness_by_hand():
    """Two distinct claims are stated, one of them known; one of the three known ones is stated."""
    text = render(CHAIN, "A")
    assert plain(" A dog  barks!") == "a dog barks"
    assert reward_of(KNOWN, type="claims")(text, ITEM) == 1 / 2
    assert reward_of(KNOWN, type="completeness")(text, ITEM) == 1 / 3
    assert reward_of(KNOWN, type="claims")("<think>It is loud; a bell rings first</think>", ITEM) == 1.0
    assert reward_of(KNOWN, type="claims")("A", ITEM) == 0.0


def test_claims_that_nobody_knows_are_an_error_not_a_zero():
    stranger = ITEM.model_copy(update={"id": "c"})
    for kind in ("claims", "completeness"):
        with pytest.raises(InputError, match="c: the checker knows no claims"):
            reward_of(KNOWN, type=kind).check(stranger)
        with pytest.raises(InputError, match=f"the reward '{kind}' needs the claims"):
            reward_of(type=kind)
    reward_of(KNOWN, type="claims").check(OPEN)  # nothing is known to be heard: any claim is false
    with pytest.raises(InputError, match="b: the checker confirms no claim"):
        reward_of(KNOWN, type="completeness").check(OPEN)


def test_rewards_are_summed_with_their_weights_and_validity_follows_the_format():
    settings = term_of(
        rewards=[{"type": "accuracy", "weight": 1.0}, {"type": "format", "weight": 0.5},
                 {"type": "length", "weight": 2.0, "mean": 3.0, "std": 1.0}]
    ).rewards  # fmt: skip
    rewards = make_rewards(settings)
    good = value(render("I hear it", "B"), ITEM, rewards)
    assert good.parts == {"accuracy": 0.0, "format": 1.0, "length": 1.0}
    assert (good.total, good.valid) == (2.5, True)
    assert not value("A", ITEM, rewards).valid
    assert value("A", ITEM, rewards[:1]).valid
    assert not value("a cow", ITEM, rewards[:1]).valid


def test_settings_that_have_no_effect_or_contradict_are_refused():
    for wrong, match in (
        ({"clip": 0.3}, "clip has no effect"),
        ({"beta": 0.0, "guard": {"max_kl": 0.2}}, "max_kl needs beta"),
        ({"guard": {"window": 3}}, "a guard needs"),
        ({"rewards": [{"type": "accuracy", "weight": 1.0}] * 2}, "listed twice"),
        ({"group": 1}, "greater than or equal to 2"),
    ):
        with pytest.raises(ValidationError, match=match):
            term_of(**wrong)
