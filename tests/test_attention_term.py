"""The attention term: its value and gradient beside an independent one from whole maps of plain attention."""

from dataclasses import replace

import pytest
import torch
from text_models import largest_gradient, losses
from tiny import FAMILIES, tiny_model, tiny_samples

from earwise.distil.fit import fit
from earwise.distil.objective import Objective
from earwise.distil.schedule import Schedule, draw
from earwise.distil.terms import Side, make_term
from earwise.errors import EarwiseError, InputError
from earwise.models.batch import collate
from earwise.models.image_attention import ImageAttention
from earwise.models.states import States
from earwise.recipe.terms import AttentionTerm
from earwise.recipe.train import Training
from earwise.work.metrics import Metrics

VIEWS = ("image_speech", "image_text")
CASES = [("mean", True), ("mean", False), ("each", True), ("each", False)]


def term_of(**settings):
    return make_term(AttentionTerm(type="attention", weight=1.0, **settings))


def trainable(folder, seed=0):
    model = tiny_model(folder, seed=seed)
    model.ears.requires_grad_(True)
    return model


def side(samples, layers=(1,)):
    attention = ImageAttention(layers, samples)
    return Side(States(torch.zeros(1, 1), None, torch.zeros(1), attention=attention), None)


def plain_maps(model, samples, view):
    """Layouts of a view, and (layers, B, heads, L, L) maps that plain attention itself returns, with gradient."""
    model.base.set_attn_implementation("eager")
    layouts = [model.layouts.build(sample, view, answers=True) for sample in samples]
    batch = collate({view: layouts}, model.family, share_prefix=False).views[view]
    out = model.family.backbone(
        inputs_embeds=model.embed(batch, model.ears),
        attention_mask=batch.mask.long(),
        position_ids=batch.positions if len(batch.positions) > 1 else batch.positions[0],
        output_attentions=True,
    )
    return layouts, torch.stack(out.attentions)


def naive(model, samples, heads, mass, every=1):
    """The formula of the docstring, in probabilities and one response token at a time."""
    (shown, maps), (typed, taught) = (plain_maps(model, samples, view) for view in VIEWS)
    values = []
    for n, (layout, other) in enumerate(zip(shown, typed, strict=True)):
        (image,), (same,) = layout.media[:1], other.media
        for i, j in zip(layout.response, other.response, strict=True):
            mine = maps[every - 1 :: every, n, :, i - 1, image.start : image.stop]
            theirs = taught[every - 1 :: every, n, :, j - 1, same.start : same.stop].detach()
            if heads == "mean":
                mine, theirs = mine.mean(1, keepdim=True), theirs.mean(1, keepdim=True)
            if mass:
                mine, theirs = (torch.cat([x, 1 - x.sum(-1, keepdim=True)], -1) for x in (mine, theirs))
            else:
                mine, theirs = (x / x.sum(-1, keepdim=True) for x in (mine, theirs))
            values.append((theirs * (theirs / mine).log()).sum(-1).mean())
    return torch.stack(values)


def test_by_hand():
    """Two heads, one row, one image key: heads (1/2, 1/4) against (1/4, 1/8) of the teacher, and their means."""
    mine = torch.tensor([[0.5, 0.5], [0.25, 0.75]]).log()[None, :, None]
    theirs = torch.tensor([[0.25, 0.75], [0.125, 0.875]]).log()[None, :, None]

    def kl(t, s):
        return torch.tensor([t, 1 - t]).mul((torch.tensor([t, 1 - t]) / torch.tensor([s, 1 - s])).log()).sum()

    each = term_of(heads="each")(side([mine]), side([theirs]))
    torch.testing.assert_close(each, ((kl(0.25, 0.5) + kl(0.125, 0.25)) / 2)[None])
    torch.testing.assert_close(term_of()(side([mine]), side([theirs])), kl(0.1875, 0.375)[None])
    assert term_of(mass=False)(side([mine]), side([theirs])).tolist() == [0.0]


def test_a_sample_without_images_has_0():
    scores = torch.randn(1, 1, 3, 1, requires_grad=True)
    for mass in (True, False):
        rest = scores.log_softmax(-1)
        value = term_of(mass=mass)(side([rest]), side([rest]))
        assert value.tolist() == [0.0] * 3
        value.sum().backward()
        assert not scores.grad.any()


@pytest.mark.parametrize(("heads", "mass"), CASES)
def test_gradients_in_float64(heads, mass):
    generator = torch.Generator().manual_seed(0)
    mine, theirs = (torch.randn(2, 3, 2, 4, dtype=torch.float64, generator=generator) for _ in range(2))
    taught = side([theirs.log_softmax(-1)], (1, 2))

    def value(scores):
        return term_of(heads=heads, mass=mass)(side([scores.log_softmax(-1)], (1, 2)), taught)

    assert torch.autograd.gradcheck(value, mine.requires_grad_(True))


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize(("heads", "mass"), CASES)
def test_value_and_gradient_equal_those_of_whole_maps(family, heads, mass, tiny_checkpoints, tmp_path, monkeypatch):
    """In float64, on a shared prefix, cut into runs of 2 rows, beside full passes of plain attention."""
    monkeypatch.setattr("earwise.models.image_attention.ROWS_AT_ONCE", 2)
    model, samples = trainable(tiny_checkpoints[family]), tiny_samples(tmp_path, 3)
    model.family.backbone.double()
    objective = Objective(VIEWS[0], [term_of(heads=heads, mass=mass)], model)
    batch = objective.collate(samples)["batch"]
    assert batch.own.prefix is not None
    value = objective.losses(model, batch)["attention"]
    weights = torch.arange(1.0, len(value) + 1, dtype=torch.float64)
    mine = torch.autograd.grad((value * weights).sum(), list(model.ears.parameters()), allow_unused=True)
    expected = naive(model, samples, heads, mass)
    theirs = torch.autograd.grad((expected * weights).sum(), list(model.ears.parameters()), allow_unused=True)
    assert value.dtype == torch.float64
    assert value.min() > 1e-6
    torch.testing.assert_close(value, expected, rtol=1e-5, atol=1e-9)
    largest = max(float(g.abs().max()) for g in theirs if g is not None)
    assert largest > 1e-6
    for a, b in zip(mine, theirs, strict=True):
        if b is not None:
            torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-5 * largest)


def test_every_second_layer_and_heads_that_another_term_asks_for(tiny_checkpoints, tmp_path):
    model, samples = trainable(tiny_checkpoints["qwen2_vl"]), tiny_samples(tmp_path, 2)
    terms = [term_of(every=2), term_of(heads="each", mass=False)]
    found = losses(Objective(VIEWS[0], terms, model), model, samples)
    torch.testing.assert_close(found["attention"], naive(model, samples, "mean", True, every=2), rtol=1e-3, atol=1e-6)
    torch.testing.assert_close(found["attention_2"], naive(model, samples, "each", False), rtol=1e-3, atol=1e-6)


@pytest.mark.parametrize(("family", "teacher"), [("internvl", "self"), ("qwen2_vl", "self"), ("qwen2_vl", "snapshot")])
def test_a_view_beside_itself_has_neither_value_nor_gradient(family, teacher, tiny_checkpoints, tmp_path):
    model = trainable(tiny_checkpoints[family])
    objective = Objective(VIEWS[0], [term_of(view=VIEWS[0], teacher=teacher)], model)
    value = losses(objective, model, tiny_samples(tmp_path, 2))["attention"]
    assert value.abs().max() < 1e-6
    value.sum().backward()
    assert largest_gradient(model) < 1e-5


@pytest.mark.parametrize("family", FAMILIES)
def test_neighbours_order_and_prefix_change_nothing_and_the_output_stays(family, tiny_checkpoints, tmp_path):
    model, samples = trainable(tiny_checkpoints[family]), tiny_samples(tmp_path, 3)
    objective = Objective(VIEWS[0], [term_of()], model)
    full = Objective(VIEWS[0], [term_of()], model, share_prefix=False)
    alone = [losses(objective, model, [sample])["attention"] for sample in samples]
    close = {"rtol": 1e-4, "atol": 1e-6}
    for other in (objective, full):
        torch.testing.assert_close(losses(other, model, samples)["attention"], torch.cat(alone), **close)
        torch.testing.assert_close(losses(other, model, samples[::-1])["attention"], torch.cat(alone[::-1]), **close)
    batch = objective.collate(samples)["batch"]
    asked = objective.states(model, batch)
    objective.attention = {}
    for name, states in objective.states(model, batch).items():
        assert torch.equal(states.hidden, asked[name].hidden)


def test_where_the_base_is_trained_a_gradient_reaches_its_keys_too(tiny_checkpoints, tmp_path):
    model, samples = trainable(tiny_checkpoints["internvl"]), tiny_samples(tmp_path, 2)
    model.family.backbone.double().requires_grad_(True)
    weight = model.family.backbone.layers[0].self_attn.k_proj.weight
    objective = Objective(VIEWS[0], [term_of()], model)
    assert objective.collate(samples)["batch"].own.prefix is None
    (mine,) = torch.autograd.grad(losses(objective, model, samples)["attention"].sum(), weight)
    (expected,) = torch.autograd.grad(naive(model, samples, "mean", True).sum(), weight)
    assert expected.abs().max() > 1e-4
    torch.testing.assert_close(mine, expected, rtol=1e-4, atol=1e-7)


@pytest.mark.parametrize("implementation", ["sdpa", "eager"])
def test_independent_turns_look_as_if_asked_alone(implementation, tiny_checkpoints, tmp_path):
    model, samples = trainable(tiny_checkpoints["qwen2_vl"]), tiny_samples(tmp_path, 3)
    model.base.set_attn_implementation(implementation)
    alone = [replace(one, image=samples[0].image) for one in samples]
    together = replace(alone[0], turns=tuple(turn for one in alone for turn in one.turns), independent=True)
    objective = Objective(VIEWS[0], [term_of()], model)
    expected = torch.cat([losses(objective, model, [one])["attention"] for one in alone])
    torch.testing.assert_close(losses(objective, model, [together])["attention"], expected, rtol=1e-3, atol=1e-6)


def test_nothing_with_a_column_per_key_is_kept_for_the_backward_pass(tiny_checkpoints, tmp_path):
    model, samples = trainable(tiny_checkpoints["internvl"]), tiny_samples(tmp_path, 1)
    objective = Objective(VIEWS[0], [term_of()], model)
    batch = objective.collate(samples)["batch"]
    keys = batch.own.prefix.mask.shape[1] + batch.own.views[objective.student_pass].mask.shape[1]
    kept = []

    def keep(tensor):
        kept.append(tuple(tensor.shape))
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        value = objective.losses(model, batch)["attention"]
    assert kept
    assert [shape for shape in kept if shape[-2:] == (len(value), keys)] == []


def test_training_through_fit_reduces_the_term(tiny_checkpoints, tmp_path):
    model, samples = trainable(tiny_checkpoints["internvl"]), tiny_samples(tmp_path, 2)
    objective = Objective(VIEWS[0], [term_of()], model)
    settings = Training(steps=8, batch_size=2, lr=3e-3, schedule="constant", log_every=1)
    metrics, before = Metrics(tmp_path / "metrics.jsonl"), losses(objective, model, samples)["attention"].sum()
    fit(model, objective, Schedule(samples, draw(2, 16, seed=0).tolist()), settings, tmp_path / "fit", seed=0,
        metrics=metrics, what="attention")  # fmt: skip
    after = losses(objective, model, samples)["attention"].sum()
    assert after < 0.9 * before


def test_views_that_show_other_images_are_refused(tiny_checkpoints, tmp_path):
    model, samples = trainable(tiny_checkpoints["internvl"]), tiny_samples(tmp_path, 2)
    with pytest.raises(InputError, match="do not see the same images"):
        losses(Objective(VIEWS[0], [term_of(view="text_only")], model), model, samples)
    objective = Objective(VIEWS[0], [term_of(view="video_text")], model)
    swapped = [replace(one, frames=(other.image,)) for one, other in zip(samples, samples[::-1], strict=True)]
    with pytest.raises(InputError, match="do not see the same images"):
        losses(objective, model, swapped)


def test_what_cannot_be_compared_is_said_before_training(tiny_checkpoints):
    model = trainable(tiny_checkpoints["internvl"])
    with pytest.raises(InputError, match="every 9 layers of a student that has"):
        Objective(VIEWS[0], [term_of(every=9)], model)
    with pytest.raises(ValueError, match="set teacher = 'self'"):
        AttentionTerm(type="attention", weight=1.0, teacher="Qwen/Qwen3-8B")
    model.base.requires_grad_(True)  # the frozen copy is then a model of its own
    with pytest.raises(InputError, match="this teacher is another one"):
        Objective(VIEWS[0], [term_of(teacher="snapshot")], model)


def test_gradient_checkpointing_is_refused(tiny_checkpoints, tmp_path):
    model = trainable(tiny_checkpoints["internvl"])
    objective = Objective(VIEWS[0], [term_of()], model, share_prefix=False)
    model.family.backbone.gradient_checkpointing = True
    model.base.train()
    with pytest.raises(EarwiseError, match="gradient checkpointing runs layers twice"):
        losses(objective, model, tiny_samples(tmp_path, 1))
