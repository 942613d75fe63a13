"""The joint objective of source- and layer-wise distillation (arXiv 2509.18579), with several teachers on one batch."""

from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from text_models import described_sounds, largest_gradient, losses, write_text_model
from tiny import tiny_model

from earwise.distil.objective import Objective
from earwise.distil.schedule import Schedule
from earwise.distil.terms import make_term
from earwise.distil.trainer import DistilTrainer, training_arguments
from earwise.models import OmniModel
from earwise.recipe.terms import AcousticTerm, LayerMapTerm
from earwise.recipe.train import LogitsTerm, SftTerm, Training

TEXT = {"teacher": "text", "view": "description_text"}
PUBLISHED = (
    LogitsTerm(type="logits", weight=1.0, divergence="jsd", **TEXT),
    LayerMapTerm(type="layer_map", weight=0.05, **TEXT),
    AcousticTerm(type="acoustic", weight=0.05, teacher="snapshot", view="sound_text"),
    SftTerm(type="sft", weight=0.5),
)


@pytest.fixture(scope="module")
def teacher(tmp_path_factory):
    """Wider and deeper than the student, with a tokenizer of its own."""
    folder = write_text_model(tmp_path_factory.mktemp("text") / "qwen3", layers=3, width=48)
    return OmniModel.from_pretrained(str(folder))


@pytest.fixture
def student(tiny_checkpoints):
    model = tiny_model(tiny_checkpoints["internvl"])
    model.ears.requires_grad_(True)
    return model


def objective_of(student, teacher, terms=PUBLISHED):
    return Objective("sound_text", [make_term(term) for term in terms], student, teachers={"text": teacher})


def train(student, objective, samples, out: Path, steps=10, **options):
    settings = Training(steps=steps, batch_size=4, lr=3e-3, log_every=1, save_every=options.pop("save_every", 100))
    logs = []
    order = [n % len(samples) for n in range(4 * steps)]
    arguments = training_arguments(settings, out, seed=0)
    trainer = DistilTrainer(student, objective, Schedule(samples, order), arguments, lambda _, n: logs.append(n))
    trainer.train(**options)
    return [numbers for numbers in logs if "loss" in numbers]


def test_all_teachers_at_once_on_one_batch(student, teacher, tmp_path):
    objective = objective_of(student, teacher)
    assert objective.passes == [
        ("student", "sound_text"), ("text", "description_text"), ("snapshot", "sound_text"),
    ]  # fmt: skip
    values = losses(objective, student, described_sounds(tmp_path))
    assert list(values) == ["logits", "layer_map", "acoustic", "sft"]
    assert all(value.shape == (10,) for value in values.values())
    assert values["logits"].min() > 0
    assert values["layer_map"].min() > 0
    values["layer_map"].sum().backward()
    assert largest_gradient(student) > 0


def test_ten_steps_with_a_teacher_of_another_tokenizer_and_width(student, teacher, tmp_path):
    logs = train(student, objective_of(student, teacher), described_sounds(tmp_path), tmp_path / "out")
    assert len(logs) == 10
    for name in ("loss", "terms/logits", "terms/layer_map", "terms/sft"):
        assert logs[-1][name] < logs[0][name], name
    assert logs[0]["terms/acoustic"] < 1e-6 < logs[-1]["terms/acoustic"]
    for numbers in logs:
        parts = [numbers[f"terms/{name}"] for name in ("logits", "layer_map", "acoustic", "sft")]
        expected = parts[0] + 0.05 * parts[1] + 0.05 * parts[2] + 0.5 * parts[3]
        assert numbers["loss"] == pytest.approx(expected, rel=1e-4)


def test_values_do_not_depend_on_padding_or_order(student, teacher, tmp_path):
    """Each sample alone gives what it gives among longer ones, in either order."""
    objective, samples = objective_of(student, teacher), described_sounds(tmp_path)
    with torch.no_grad():
        student.ears.projector[-1].weight += 0.1  # so that the acoustic teacher has something to say
        together, turned = losses(objective, student, samples), losses(objective, student, samples[::-1])
        alone = [losses(objective, student, [sample]) for sample in samples]
    for name in together:
        by_sample = [one[name] for one in alone]
        torch.testing.assert_close(together[name], torch.cat(by_sample), rtol=1e-4, atol=1e-6)
        torch.testing.assert_close(turned[name], torch.cat(by_sample[::-1]), rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("space", ["logit_lens", "cosine", "cka"])
def test_the_same_view_by_the_same_weights_has_no_loss_and_no_gradient(space, student, tmp_path):
    term = LayerMapTerm(type="layer_map", weight=1.0, teacher="snapshot", view="sound_text", space=space)
    objective = Objective("sound_text", [make_term(term)], student)
    value = losses(objective, student, described_sounds(tmp_path))["layer_map"]
    assert value.abs().max() < 1e-6
    value.sum().backward()
    assert largest_gradient(student) < 1e-5


def test_two_terms_of_one_kind_keep_their_values_apart(student, teacher, tmp_path):
    terms = (PUBLISHED[0], LogitsTerm(type="logits", weight=1.0, view="text_only"))
    values = losses(objective_of(student, teacher, terms), student, described_sounds(tmp_path))
    assert list(values) == ["logits", "logits_2"]
    assert not torch.allclose(values["logits"], values["logits_2"])


def test_the_projection_is_trained_and_saved_with_the_training_and_not_with_the_model(student, teacher, tmp_path):
    term = LayerMapTerm(type="layer_map", weight=1.0, space="cosine", **TEXT)
    objective = objective_of(student, teacher, (term,))
    begun = student.aids["layer_map"].linear.weight.detach().clone()
    assert begun.shape == (48, student.family.width)
    samples = described_sounds(tmp_path)
    logs = train(student, objective, samples, tmp_path / "out", save_every=5)
    assert logs[-1]["loss"] < logs[0]["loss"]
    trained = student.aids["layer_map"].linear.weight
    assert not torch.equal(trained, begun)
    saved = load_file(tmp_path / "out" / "checkpoint-10" / "trained.safetensors")
    torch.testing.assert_close(saved["aids.layer_map.linear.weight"], trained)
    objective.save_aids(tmp_path / "terms")
    torch.testing.assert_close(load_file(tmp_path / "terms" / "layer_map.safetensors")["linear.weight"], trained)
    student.save_ears(tmp_path / "ears")
    assert not any("aids" in name for name in load_file(tmp_path / "ears" / "ears.safetensors"))


def test_a_resumed_training_continues_with_its_projection(tiny_checkpoints, teacher, tmp_path):
    term = LayerMapTerm(type="layer_map", weight=1.0, space="cosine", **TEXT)
    samples, curves = described_sounds(tmp_path), []
    for resume in (None, str(tmp_path / "out" / "checkpoint-2")):
        model = tiny_model(tiny_checkpoints["internvl"])
        model.ears.requires_grad_(True)
        objective = objective_of(model, teacher, (term,))
        options = {"resume_from_checkpoint": resume} if resume else {}
        curves.append(train(model, objective, samples, tmp_path / "out", steps=4, save_every=2, **options))
    whole, rest = ([numbers["loss"] for numbers in curve] for curve in curves)
    assert rest == whole[2:]
