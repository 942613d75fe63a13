"""The acoustic teacher: what is compared, and what each response token carries, by hand."""

import pytest
import torch
from text_models import described_sounds, in_float64, largest_gradient, losses
from tiny import FAMILIES, tiny_model

from earwise.distil.objective import Objective
from earwise.distil.terms import Side, make_term
from earwise.errors import InputError
from earwise.models.states import AudioStates, States
from earwise.recipe.terms import AcousticTerm


def term_of(distance="squared", view="sound_text"):
    return make_term(AcousticTerm(type="acoustic", weight=1.0, teacher="snapshot", view=view, distance=distance))


def side(layers, rows, responses):
    heard = AudioStates(layers, torch.tensor(rows), torch.tensor(responses))
    return Side(States(layers.new_zeros(len(responses), 2), None, heard.responses, heard), None)


def test_squared_by_hand():
    """Sample 0 hears two tokens, at 1/4 and 0 of the teacher's norm; sample 2 one, at 1; sample 1 nothing.

    Responses of 1, 2 and 1 tokens. The embeddings (layer 0) do not count.
    """
    theirs = torch.tensor([[[5.0, 5.0], [5.0, 5.0], [5.0, 5.0]], [[2.0, 0.0], [1.0, 1.0], [0.0, 3.0]]])
    mine = torch.tensor([[[0.0, 0.0], [0.0, 0.0], [0.0, 0.0]], [[1.0, 0.0], [1.0, 1.0], [0.0, 0.0]]])
    rows, responses = [0, 0, 2], [0, 1, 1, 2]
    value = term_of()(side(mine, rows, responses), side(theirs, rows, responses))
    torch.testing.assert_close(value, torch.tensor([(1 / 4 + 0) / 2, 0.0, 0.0, 1.0]))


def test_layers_are_averaged():
    theirs = torch.tensor([[[9.0]], [[1.0]], [[2.0]]])
    mine = torch.tensor([[[0.0]], [[3.0]], [[2.0]]])
    assert term_of()(side(mine, [0], [0]), side(theirs, [0], [0])).tolist() == [2.0]
    mine = torch.tensor([[[0.0]], [[-3.0]], [[9.0]]])
    assert term_of("cosine")(side(mine, [0], [0]), side(theirs, [0], [0])).tolist() == [1.0]


@pytest.mark.parametrize("distance", ["squared", "cosine"])
def test_gradients_in_float64(distance):
    theirs, rows, responses = in_float64((3, 5, 4), 1), [0, 0, 1, 1, 1], [0, 1, 1]

    def value(mine):
        return term_of(distance)(side(mine, rows, responses), side(theirs, rows, responses))

    assert torch.autograd.gradcheck(value, in_float64((3, 5, 4), 0).requires_grad_(True))


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("distance", ["squared", "cosine"])
def test_the_untrained_student_is_its_own_snapshot(family, distance, tiny_checkpoints, tmp_path):
    model = tiny_model(tiny_checkpoints[family])
    model.ears.requires_grad_(True)
    objective = Objective("sound_text", [term_of(distance)], model)
    value = losses(objective, model, described_sounds(tmp_path))["acoustic"]
    assert len(value) == 10
    assert value.abs().max() < 1e-6
    value.sum().backward()
    assert largest_gradient(model) < 1e-5


def test_a_changed_student_is_pulled_back_by_each_samples_own_distance(tiny_checkpoints, tmp_path):
    """Alone, in another order and beside longer sounds: a sample's value is the same."""
    model, samples = tiny_model(tiny_checkpoints["internvl"]), described_sounds(tmp_path)
    objective = Objective("sound_text", [term_of()], model)
    with torch.no_grad():
        model.ears.projector[-1].weight += 0.1
    model.ears.requires_grad_(True)
    together = losses(objective, model, samples)["acoustic"]
    alone = torch.cat([losses(objective, model, [sample])["acoustic"] for sample in samples])
    assert together.min() > 1e-4
    torch.testing.assert_close(together, alone, rtol=1e-4, atol=1e-6)
    turned = losses(objective, model, samples[::-1])["acoustic"]
    tokens = [len(losses(objective, model, [sample])["acoustic"]) for sample in samples]
    torch.testing.assert_close(torch.cat(turned.split(tokens[::-1])[::-1]), alone, rtol=1e-4, atol=1e-6)
    together.sum().backward()
    assert largest_gradient(model) > 1e-5


def test_where_nothing_is_heard_there_is_nothing_to_hold(tiny_checkpoints, tmp_path):
    model = tiny_model(tiny_checkpoints["internvl"])
    objective = Objective("text_only", [term_of(view="text_only")], model)
    assert not losses(objective, model, described_sounds(tmp_path))["acoustic"].any()


def test_a_teacher_that_hears_something_else_is_refused(tiny_checkpoints, tmp_path):
    model = tiny_model(tiny_checkpoints["internvl"])
    objective = Objective("sound_text", [term_of(view="text_only")], model)
    with pytest.raises(InputError, match="teacher and student do not hear the same"):
        losses(objective, model, described_sounds(tmp_path))


def test_the_student_itself_cannot_be_the_teacher():
    with pytest.raises(ValueError, match="set teacher = 'snapshot'"):
        AcousticTerm(type="acoustic", weight=1.0)
