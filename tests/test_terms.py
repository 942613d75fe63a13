import math

import pytest
import torch
from tiny import FAMILIES, tiny_model, tiny_samples

from earwise.distil.cross_entropy import CHUNK, linear_cross_entropy
from earwise.distil.objective import Objective
from earwise.distil.terms import Side, make_term
from earwise.errors import InputError
from earwise.models.states import States
from earwise.recipe.train import LayersTerm, LogitsTerm, SftTerm


def side(layers, head=None):
    layers = torch.tensor(layers)
    return Side(States(layers[-1], layers, torch.zeros(layers.shape[1], dtype=torch.long)), head)


def test_cross_entropy_by_hand():
    """Logits (0, ln 3): the probabilities are 1/4 and 3/4."""
    hidden, weight = torch.tensor([[1.0], [1.0]]), torch.tensor([[0.0], [math.log(3)]])
    values = linear_cross_entropy(hidden, weight, torch.tensor([0, 1]))
    torch.testing.assert_close(values, torch.tensor([math.log(4), math.log(4 / 3)]))


def test_cross_entropy_in_chunks_equals_the_dense_one_with_its_gradient():
    torch.manual_seed(0)
    hidden, weight = torch.randn(CHUNK + 7, 8, requires_grad=True), torch.randn(30, 8)
    targets = torch.randint(0, 30, (CHUNK + 7,))
    values = linear_cross_entropy(hidden, weight, targets)
    expected = torch.nn.functional.cross_entropy(hidden @ weight.T, targets, reduction="none")
    torch.testing.assert_close(values, expected)
    (mine,) = torch.autograd.grad(values.sum(), hidden)
    (theirs,) = torch.autograd.grad(expected.sum(), hidden)
    torch.testing.assert_close(mine, theirs)


def test_cross_entropy_of_no_tokens_keeps_the_graph():
    hidden = torch.zeros(0, 4, requires_grad=True)
    linear_cross_entropy(hidden, torch.randn(5, 4), torch.zeros(0, dtype=torch.long)).sum().backward()
    assert hidden.grad.shape == (0, 4)


def test_layers_by_hand():
    """Two layers, one token. Distances 1 of norm 4, and 9 + 16 of norm 25; the embeddings (row 0) do not count."""
    teacher = side([[[7.0, 7.0]], [[2.0, 0.0]], [[3.0, 4.0]]])
    student = side([[[0.0, 0.0]], [[1.0, 0.0]], [[0.0, 0.0]]])
    term = make_term(LayersTerm(type="layers", weight=1.0))
    torch.testing.assert_close(term(student, teacher), torch.tensor([(1 / 4 + 25 / 25) / 2]))


def test_layers_of_models_of_another_shape_are_refused():
    with pytest.raises(InputError, match="two views of one architecture"):
        make_term(LayersTerm(type="layers", weight=1.0))(side([[[1.0]], [[1.0]]]), side([[[1.0]]] * 3))


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("teacher", ["self", "snapshot"])
@pytest.mark.parametrize(
    "settings", [LogitsTerm(type="logits", weight=1.0), LayersTerm(type="layers", weight=1.0)], ids=["logits", "layers"]
)
def test_the_same_view_by_the_same_weights_has_no_loss_and_no_gradient(
    family, teacher, settings, tiny_checkpoints, tmp_path
):
    """Catches most errors of alignment: shifted positions, wrong masks, a prefix that is not exact."""
    model, samples = tiny_model(tiny_checkpoints[family]), tiny_samples(tmp_path)
    model.ears.requires_grad_(True)
    term = make_term(settings.model_copy(update={"teacher": teacher, "view": "image_speech"}))
    objective = Objective("image_speech", [term], model)
    batch = objective.collate(samples)["batch"]
    values = objective.values(objective.states(model, batch))[term.name]
    assert len(values) == sum(len(s.split()) + 1 for s in ("red", "yes it is", "two", "no"))
    assert values.abs().max() < 1e-6
    values.sum().backward()
    gradients = [p.grad.abs().max() for p in model.ears.parameters() if p.grad is not None]
    assert gradients
    assert max(gradients) < 1e-5


@pytest.mark.parametrize("family", FAMILIES)
def test_the_typed_teacher_of_a_spoken_view_has_a_loss_and_a_gradient(family, tiny_checkpoints, tmp_path):
    model, samples = tiny_model(tiny_checkpoints[family]), tiny_samples(tmp_path)
    model.ears.requires_grad_(True)
    terms = [make_term(LogitsTerm(type="logits", weight=1.0)), make_term(SftTerm(type="sft", weight=1.0))]
    objective = Objective("image_speech", terms, model)
    values = objective.values(objective.states(model, objective.collate(samples)["batch"]))
    assert values["logits"].min() > 0
    values["logits"].sum().backward()
    assert model.ears.markers.grad.abs().max() > 0


def test_a_term_of_weight_zero_costs_no_pass(tiny_checkpoints):
    model = tiny_model(tiny_checkpoints["internvl"])
    terms = [make_term(LogitsTerm(type="logits", weight=0.0)), make_term(SftTerm(type="sft", weight=1.0))]
    assert Objective("image_speech", terms, model).passes == [("student", "image_speech")]


def test_another_model_teaches_from_its_own_layouts(tiny_checkpoints, tmp_path):
    """A model of another architecture, with the same words but its own image tokens, scores the same response."""
    model, samples = tiny_model(tiny_checkpoints["internvl"]), tiny_samples(tmp_path)
    other = tiny_model(tiny_checkpoints["internvl"], ears=False)
    term = make_term(LogitsTerm(type="logits", weight=1.0, teacher="other"))
    mine = make_term(LogitsTerm(type="logits", weight=1.0))
    found = []
    for t, teachers in ((term, {"other": other}), (mine, {})):
        objective = Objective("image_speech", [t], model, teachers=teachers)
        found.append(objective.values(objective.states(model, objective.collate(samples)["batch"]))["logits"])
    torch.testing.assert_close(found[0], found[1], atol=1e-5, rtol=1e-4)


def test_a_teacher_that_splits_the_response_otherwise_is_refused(tiny_checkpoints, tmp_path):
    model, samples = tiny_model(tiny_checkpoints["internvl"]), tiny_samples(tmp_path)
    other = tiny_model(tiny_checkpoints["qwen2_vl"], ears=False)
    other.family.tokenizer.add_tokens(["yes it"])
    objective = Objective(
        "image_speech",
        [make_term(LogitsTerm(type="logits", weight=1.0, teacher="other"))],
        model,
        teachers={"other": other},
    )
    with pytest.raises(InputError, match="splits the responses into other tokens"):
        objective.values(objective.states(model, objective.collate(samples)["batch"]))
