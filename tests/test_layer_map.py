"""Layers of two depths: which go together, and what they cost, by hand."""

import itertools
import math

import pytest
import torch
from text_models import in_float64
from torch import nn

from earwise.distil.divergence import dense_divergence
from earwise.distil.layer_map import layer_map
from earwise.distil.teachers import Shape
from earwise.distil.terms import Side, make_term
from earwise.distil.terms.layer_map import cka_distance, cosine_distance
from earwise.errors import InputError
from earwise.models.states import States
from earwise.recipe.terms import LayerMapTerm


def term_of(**settings):
    return make_term(LayerMapTerm(type="layer_map", weight=1.0, **settings))


def side(layers, head=None, norm=None, aided=None, vocabulary=None):
    targets = torch.zeros(layers.shape[1], dtype=torch.long)
    return Side(States(layers[-1], layers, targets, aided=aided or {}), head, vocabulary, norm)


def test_every_seventh_of_28_layers_against_36():
    assert layer_map(28, 36, 7) == ((7, 9), (14, 18), (21, 27), (28, 36))


def test_all_of_28_layers_against_36_by_hand():
    """i * 9 / 7: 1.29, 2.57, 3.86, 5.14, 6.43, 7.71, 9, and so on with 9 more every 7."""
    first = (1, 3, 4, 5, 6, 8, 9)
    expected = [block * 9 + layer for block in range(4) for layer in first]
    assert [teacher for _, teacher in layer_map(28, 36)] == expected
    assert [student for student, _ in layer_map(28, 36)] == list(range(1, 29))


def test_halves_are_rounded_up_and_no_layer_goes_to_the_embeddings():
    assert layer_map(4, 6) == ((1, 2), (2, 3), (3, 5), (4, 6))
    assert layer_map(36, 12)[:3] == ((1, 1), (2, 1), (3, 1))


@pytest.mark.parametrize("depths", [(28, 36), (36, 28), (3, 3), (5, 2), (2, 24)])
def test_the_last_goes_to_the_last_and_the_map_never_falls(depths):
    pairs = layer_map(*depths)
    assert pairs[-1] == depths
    assert all(a[1] <= b[1] for a, b in itertools.pairwise(pairs))
    if depths[0] == depths[1]:
        assert all(i == j for i, j in pairs)


def test_more_layers_to_skip_than_there_are_is_an_error():
    with pytest.raises(InputError, match="every 7 layers of a student that has 3"):
        layer_map(3, 36, 7)
    with pytest.raises(InputError, match="every 7 layers"):
        term_of(every=7).wants(Shape(3, 8), Shape(36, 8))


def test_logit_lens_by_hand():
    """Two student layers against three of the teacher: 1 -> 2 and 2 -> 3; norms double; the last are normed already.

    Student layer 1 gives logits (0, 2 ln 3): S = (1/10, 9/10) against T = (1/2, 1/2). Layer 2 agrees.
    """
    mine = torch.tensor([[[9.0]], [[1.0]], [[0.0]]])
    theirs = torch.tensor([[[9.0, 9.0]], [[7.0, 7.0]], [[0.0, 0.0]], [[0.0, 0.0]]])
    head_s, head_t = torch.tensor([[0.0], [math.log(3)]]), torch.tensor([[0.0, 0.0], [0.0, 1.0]])
    double = nn.Linear(1, 1, bias=False)
    nn.init.constant_(double.weight, 2.0)
    student, teacher = side(mine, head_s, double), side(theirs, head_t, nn.Identity())
    t, s = (0.5, 0.5), (0.1, 0.9)
    m = [(a + b) / 2 for a, b in zip(t, s, strict=True)]
    jsd = sum(a * math.log(a / c) + b * math.log(b / c) for a, b, c in zip(t, s, m, strict=True)) / 2
    torch.testing.assert_close(term_of()(student, teacher).detach(), torch.tensor([jsd]))
    torch.testing.assert_close(term_of(reduce="mean")(student, teacher).detach(), torch.tensor([jsd / 2]))
    assert term_of(every=2)(student, teacher).tolist() == [0.0]


def test_logit_lens_has_a_value_and_a_gradient_of_zero_between_equal_layers():
    torch.manual_seed(0)
    layers, head, norm = torch.randn(4, 5, 6), torch.randn(11, 6), nn.RMSNorm(6)
    mine = layers.clone().requires_grad_(True)
    value = term_of()(side(mine, head, norm), side(layers, head, norm))
    assert value.tolist() == [0.0] * 5
    value.sum().backward()
    assert not mine.grad.any()


@pytest.mark.parametrize("space", ["cosine", "cka"])
def test_other_spaces_have_a_value_and_a_gradient_of_zero_between_equal_layers(space):
    torch.manual_seed(0)
    layers, term = torch.randn(4, 5, 6), term_of(space=space)
    aid = term.aid(Shape(3, 6), Shape(3, 6))
    mine = layers.clone().requires_grad_(True)
    value = term(side(mine, aided={"layer_map": aid(mine)} if aid else {}), side(layers))
    assert value.abs().max() < 1e-6
    value.sum().backward()
    assert mine.grad.abs().max() < 1e-6


def test_no_gradient_reaches_the_teacher():
    torch.manual_seed(0)
    theirs = torch.randn(4, 5, 6, requires_grad=True)
    for space in ("logit_lens", "cosine", "cka"):
        term = term_of(space=space)
        mine, head = torch.randn(3, 5, 8, requires_grad=True), torch.randn(11, 8)
        aid = term.aid(Shape(2, 8), Shape(3, 6))
        student = side(mine, head, nn.RMSNorm(8), {"layer_map": aid(mine)} if aid else {})
        term(student, side(theirs, torch.randn(11, 6), nn.RMSNorm(6))).sum().backward()
        assert mine.grad is not None
        assert theirs.grad is None


def test_cosine_by_hand():
    """Angles of 60 and 90 degrees, and one to a vector of another length."""
    mine = torch.tensor([[1.0, 0.0], [0.0, 3.0], [2.0, 2.0]])
    theirs = torch.tensor([[0.5, math.sqrt(0.75)], [1.0, 0.0], [5.0, 5.0]])
    torch.testing.assert_close(cosine_distance(mine, theirs), torch.tensor([0.5, 1.0, 0.0]), atol=1e-6, rtol=0)


def test_cka_is_its_definition_and_ignores_rotation_scale_and_shift():
    torch.manual_seed(0)
    x, y = in_float64((9, 4), 0), in_float64((9, 6), 1)
    a, b = x - x.mean(0), y - y.mean(0)
    expected = 1 - (a.T @ b).norm() ** 2 / ((a.T @ a).norm() * (b.T @ b).norm())
    torch.testing.assert_close(cka_distance(x, y), expected)
    turned = 3 * x @ torch.linalg.qr(in_float64((4, 4), 2))[0] + 5
    torch.testing.assert_close(cka_distance(turned, y), expected)
    assert cka_distance(turned, x).abs() < 1e-12


@pytest.mark.parametrize("tokens", [0, 1, 2])
def test_cka_says_nothing_of_fewer_than_three_tokens_and_keeps_the_graph(tokens):
    mine = torch.randn(tokens, 4, requires_grad=True)
    value = cka_distance(mine, torch.randn(tokens, 4))
    value.backward()
    assert value.item() == 0
    assert not mine.grad.any()


@pytest.mark.parametrize("space", ["logit_lens", "cosine", "cka"])
def test_gradients_in_float64(space):
    """By finite differences, for every space, with two widths and two depths."""
    term, theirs = term_of(space=space), in_float64((4, 5, 6), 1)
    head_s, head_t = in_float64((11, 8), 2), in_float64((11, 6), 3)
    aid = term.aid(Shape(2, 8), Shape(3, 6))
    aid = aid.double() if aid else None
    teacher = side(theirs, head_t, nn.RMSNorm(6, dtype=torch.float64))
    norm = nn.RMSNorm(8, dtype=torch.float64)

    def value(mine, *weights):
        aided = {}
        if aid is not None:
            aided["layer_map"] = torch.func.functional_call(aid, {"linear.weight": weights[0]}, (mine,))
        return term(side(mine, head_s, norm, aided), teacher)

    inputs = [in_float64((3, 5, 8), 0).requires_grad_(True)]
    inputs += [aid.linear.weight.detach().clone().requires_grad_(True)] if aid else []
    assert torch.autograd.gradcheck(value, inputs)


def test_logit_lens_is_the_dense_divergence_of_each_pair():
    torch.manual_seed(0)
    mine, theirs, head_s, head_t = torch.randn(3, 5, 8), torch.randn(4, 5, 6), torch.randn(13, 8), torch.randn(15, 6)
    norm_s, norm_t = nn.RMSNorm(8), nn.LayerNorm(6)
    value = term_of()(side(mine, head_s, norm_s, vocabulary=12), side(theirs, head_t, norm_t, vocabulary=11))
    expected = dense_divergence(norm_s(mine[1]), norm_t(theirs[2]), head_s[:11], head_t[:11], kind="jsd")
    expected = expected + dense_divergence(mine[2], theirs[3], head_s[:11], head_t[:11], kind="jsd")
    torch.testing.assert_close(value, expected)


def test_the_projection_begins_the_same_every_time_and_keeps_lengths():
    first, second = (term_of(space="cosine").aid(Shape(2, 8), Shape(3, 6)) for _ in range(2))
    assert torch.equal(first.linear.weight, second.linear.weight)
    torch.testing.assert_close(first.linear.weight @ first.linear.weight.T, torch.eye(6))
