"""First token and input alignment: what is compared, and what each response token carries, by hand."""

from dataclasses import replace

import pytest
import torch
from text_models import in_float64, largest_gradient, losses
from tiny import FAMILIES, tiny_model, tiny_samples

from earwise.distil.fit import fit
from earwise.distil.objective import Objective
from earwise.distil.schedule import Schedule, draw
from earwise.distil.teachers import Shape
from earwise.distil.terms import Side, make_term
from earwise.errors import InputError
from earwise.models.clip_inputs import ClipInputs
from earwise.models.sample import Sample
from earwise.models.states import States
from earwise.recipe.terms import FirstTokenTerm, InputAlignmentTerm
from earwise.recipe.train import Training
from earwise.work.metrics import Metrics

VIEW = "image_speech"


def first_of(distance="squared", view="image_text"):
    return make_term(FirstTokenTerm(type="first_token", weight=1.0, distance=distance, view=view))


def input_of(pool="mean", distance="squared"):
    return make_term(InputAlignmentTerm(type="input_alignment", weight=1.0, pool=pool, distance=distance))


TERMS = {"first_token": first_of, "input_alignment": input_of}


def side(hidden, turns=None, inputs=None):
    turns = torch.tensor(turns) if turns else None
    return Side(States(hidden, None, torch.zeros(len(hidden)), turns=turns, inputs=inputs), None)


def trainable(folder):
    model = tiny_model(folder)
    model.ears.requires_grad_(True)
    return model


def test_first_token_by_hand():
    """Responses of 2 and 3 tokens: (3, 4) is 5 from the origin beside a teacher of norm 5; (1, 0) is 1 from (2, 0)."""
    mine = torch.tensor([[3.0, 8.0], [9.0, 9.0], [1.0, 0.0], [9.0, 9.0], [9.0, 9.0]])
    theirs = torch.tensor([[3.0, 4.0], [0.0, 7.0], [2.0, 0.0], [0.0, 7.0], [0.0, 7.0]])
    turns = [0, 0, 1, 1, 1]
    squared = first_of()(side(mine, turns), side(theirs))
    torch.testing.assert_close(squared, torch.tensor([16 / 25, 16 / 25, 1 / 4, 1 / 4, 1 / 4]))
    assert first_of("norm")(side(mine, turns), side(theirs)).tolist() == [4.0, 4.0, 1.0, 1.0, 1.0]


def test_a_teacher_of_another_width_has_no_first_token_to_compare():
    with pytest.raises(InputError, match="the teacher has 16, the student 8"):
        first_of().wants(Shape(2, 8), Shape(3, 16))


def test_input_alignment_by_hand():
    """Sample 0 hears two clips, sample 1 none, sample 2 one that is shorter than its text."""
    one, other = torch.tensor([[1.0, 1.0], [3.0, 1.0], [5.0, 1.0]]), torch.tensor([[4.0, 0.0], [2.0, 0.0]])
    speech, text = [one, other, one[:1]], [torch.tensor([[3.0, 0.0]]), other, other]
    inputs = ClipInputs(speech, text, [0, 0, 2], torch.tensor([0, 1, 1, 2]))
    student = side(torch.zeros(4, 2), inputs=inputs)
    torch.testing.assert_close(input_of()(student, None), torch.tensor([1 / 18, 0.0, 0.0, 5 / 9]))
    torch.testing.assert_close(input_of("mean", "norm")(student, None), torch.tensor([0.5, 0.0, 0.0, 5**0.5]))
    torch.testing.assert_close(input_of("last")(student, None), torch.tensor([5 / 18, 0.0, 0.0, 2 / 4]))


@pytest.mark.parametrize("distance", ["squared", "norm"])
def test_gradients_in_float64(distance):
    theirs = side(in_float64((5, 3), 1))
    assert torch.autograd.gradcheck(
        lambda mine: first_of(distance)(side(mine, [0, 0, 1, 1, 1]), theirs), in_float64((5, 3), 0).requires_grad_(True)
    )
    for pool in ("mean", "last"):
        text = [in_float64((2, 3), 2), in_float64((9, 3), 3)]

        def value(speech, text=text, pool=pool):
            inputs = ClipInputs([speech[:4], speech[4:]], text, [0, 1], torch.tensor([0, 1, 1]))
            return input_of(pool, distance)(side(speech[:3], inputs=inputs), None)

        assert torch.autograd.gradcheck(value, in_float64((7, 3), 4).requires_grad_(True))


@pytest.mark.parametrize("distance", ["squared", "norm"])
def test_equal_sides_have_neither_value_nor_gradient(distance):
    states = torch.randn(4, 3, requires_grad=True)
    value = first_of(distance)(side(states, [0, 0, 1, 1]), side(states))
    inputs = ClipInputs([states], [states.detach()], [0], torch.tensor([0]))
    both = [value, *(input_of(pool, distance)(side(states[:1], inputs=inputs), None) for pool in ("mean", "last"))]
    total = torch.cat(both)
    assert not total.any()
    total.sum().backward()
    assert not states.grad.any()


@pytest.mark.parametrize("family", FAMILIES)
def test_a_view_beside_itself_begins_alike(family, tiny_checkpoints, tmp_path):
    model = trainable(tiny_checkpoints[family])
    value = losses(Objective(VIEW, [first_of(view=VIEW)], model), model, tiny_samples(tmp_path, 2))["first_token"]
    assert value.abs().max() < 1e-6
    value.sum().backward()
    assert largest_gradient(model) < 1e-5


def test_each_turn_has_a_first_token_and_each_clip_its_own_words(tiny_checkpoints, tmp_path):
    """A conversation of two spoken turns, by passes and embeddings of its own."""
    model = trainable(tiny_checkpoints["qwen2_vl"])
    one, other = tiny_samples(tmp_path, 2)
    sample = Sample((*one.turns, *other.turns), one.image)
    objective = Objective(VIEW, [first_of("norm"), input_of(distance="norm")], model)
    found = losses(objective, model, [sample])
    ends, states = [], []
    for view in (VIEW, "image_text"):
        layout = model.layouts.build(sample, view, answers=True)
        spans = [span for span in layout.spans if span.role == "response"]
        ends = [span.stop - span.start for span in spans]
        batch = objective.collate([sample])["batch"].own
        assert batch.prefix is not None
        full = Objective(VIEW, [first_of()], model, share_prefix=False).collate([sample])["batch"].own.views
        part = full[f"{'student' if view == VIEW else 'self'}/{view}"]
        out = model.decode(model.embed(part, model.ears), part.mask, part.positions, None).last_hidden_state
        states.append(out[0, [span.start - 1 for span in spans]])
    apart = (states[0] - states[1]).norm(dim=-1)
    torch.testing.assert_close(found["first_token"], apart.repeat_interleave(torch.tensor(ends)), rtol=1e-4, atol=1e-4)
    values = []
    for turn in sample.turns:
        waveform = objective.collate([replace(sample, turns=(turn,))])["batch"].own.views[objective.student_pass]
        heard = model.ears(waveform.waveforms)[1:-1].mean(0)
        ids = model.family.tokenizer.encode(turn.text, add_special_tokens=False)
        values.append((heard - model.family.embed(torch.tensor(ids)).mean(0)).norm())
    expected = (sum(values) / 2).expand(sum(ends))
    torch.testing.assert_close(found["input_alignment"], expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("family", FAMILIES)
def test_neighbours_order_and_prefix_change_nothing(family, tiny_checkpoints, tmp_path):
    model, samples = trainable(tiny_checkpoints[family]), tiny_samples(tmp_path, 3)
    terms = [first_of(), input_of("last")]
    objective = Objective(VIEW, terms, model)
    alone = [losses(objective, model, [sample]) for sample in samples]
    for other in (objective, Objective(VIEW, terms, model, share_prefix=False)):
        for name in TERMS:
            for order in (slice(None), slice(None, None, -1)):
                expected = torch.cat([one[name] for one in alone[order]])
                assert expected.min() > 1e-3
                together = losses(other, model, samples[order])[name]
                torch.testing.assert_close(together, expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", TERMS)
def test_training_through_fit_reduces_the_term(name, tiny_checkpoints, tmp_path):
    model, samples = trainable(tiny_checkpoints["internvl"]), tiny_samples(tmp_path, 2)
    objective = Objective(VIEW, [TERMS[name]()], model)
    settings = Training(steps=8, batch_size=2, lr=3e-3, schedule="constant", log_every=1)
    before = losses(objective, model, samples)[name].sum()
    fit(model, objective, Schedule(samples, draw(2, 16, seed=0).tolist()), settings, tmp_path / "fit", seed=0,
        metrics=Metrics(tmp_path / "metrics.jsonl"), what=name)  # fmt: skip
    assert losses(objective, model, samples)[name].sum() < 0.95 * before


def test_where_no_question_is_heard_there_is_nothing_to_align(tiny_checkpoints, tmp_path):
    model = trainable(tiny_checkpoints["internvl"])
    assert not losses(Objective("image_text", [input_of()], model), model, tiny_samples(tmp_path, 2)).popitem()[1].any()
