"""The losses of `recipes/peers/` against their published formulas, by hand."""

from pathlib import Path

import pytest
import torch

from earwise.distil.terms import Side, make_term
from earwise.models.states import States
from earwise.recipe.read import load_recipe

PEERS = Path(__file__).parents[1] / "recipes/peers"
TARGETS = torch.tensor([1, 0, 2])
"""Three response tokens; 2 ends the answer."""
STUDENT = torch.tensor([[0.2, -1.0, 0.5], [1.5, 0.0, -0.5], [0.3, 0.1, 2.0]])
TEACHER = torch.tensor([[1.0, 0.4, -0.7], [0.1, 0.9, 0.0], [-1.0, 0.5, 1.5]])
"""Logits: the head is the unit matrix."""


def side(logits, stop_ids=()):
    return Side(States(logits, None, TARGETS), torch.eye(3), stop_ids=stop_ids)


def terms_of(name):
    (train,) = load_recipe(PEERS / f"{name}.toml", []).train.values()
    return train.terms


def values(settings):
    return make_term(settings)(side(STUDENT, (2,)), side(TEACHER))


def kl(p, q):
    return (p * (p.log() - q.log())).sum(-1)


def at(logits, temperature):
    powers = torch.exp(logits / temperature)
    return powers / powers.sum(-1, keepdim=True)


def test_blsp_kd_is_the_mean_kl_at_temperature_2_without_its_square():
    (settings,) = terms_of("blsp_kd")
    torch.testing.assert_close(values(settings), kl(at(TEACHER, 2), at(STUDENT, 2)))


def test_ultravox_adds_the_kl_at_the_end_of_the_answer():
    (settings,) = terms_of("ultravox")
    plain = kl(at(TEACHER, 2), at(STUDENT, 2))
    torch.testing.assert_close(values(settings), plain * torch.tensor([1.0, 1.0, 1 + settings.end_weight]))
    # The mean over the tokens and the mean over the ends: of answers as long as this one, a weight of 3.
    published = plain.mean() + plain[2]
    mine = values(settings.model_copy(update={"end_weight": 3.0})).mean()
    torch.testing.assert_close(mine, published)


def test_desta_is_the_cross_entropy_of_the_models_own_answer():
    (settings,) = terms_of("desta")
    term = make_term(settings)
    torch.testing.assert_close(term(side(STUDENT), None), -at(STUDENT, 1).log()[range(3), TARGETS])


def test_x_opd_expects_the_published_advantage():
    """The advantage log T - log S of a token that S draws has the expectation -KL(S || T)."""
    recipe = load_recipe(PEERS / "x_opd.toml", [])
    assert recipe.train["x_opd"].on_policy.share == 1.0
    (settings,) = terms_of("x_opd")
    student, teacher = at(STUDENT, 1), at(TEACHER, 1)
    advantage = (student * (teacher.log() - student.log())).sum(-1)
    torch.testing.assert_close(values(settings), -advantage)


def test_diva_has_the_two_published_distances():
    first, inputs = terms_of("diva")
    assert (first.type, first.distance) == ("first_token", "norm")
    assert (inputs.type, inputs.distance, inputs.pool) == ("input_alignment", "norm", "last")
    states = [States(hidden, None, TARGETS, turns=torch.zeros(3, dtype=torch.long)) for hidden in (STUDENT, TEACHER)]
    found = make_term(first)(*(Side(state, torch.eye(3)) for state in states))
    assert float(found.mean()) == pytest.approx(float((STUDENT[0] - TEACHER[0]).norm()), abs=1e-6)
