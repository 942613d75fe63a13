"""A training that does not reach what it trains stops at its first step, and no other one does."""

from dataclasses import replace

import pytest
from grpo_case import learner, term_of, trainer_of
from grpo_case import objective_of as reward_of
from tiny import tiny_model, tiny_samples
from torch import nn

from earwise.distil.fit import fit
from earwise.distil.objective import Objective
from earwise.distil.parts import PartsObjective
from earwise.distil.reach import trained_parts
from earwise.distil.schedule import Schedule
from earwise.distil.terms import make_term
from earwise.errors import EarwiseError
from earwise.models.lora import Lora
from earwise.recipe.train import LogitsTerm, SftTerm, Training
from earwise.work.metrics import Metrics

SFT = SftTerm(type="sft", weight=1.0)
SPEECH = "image_speech"


def trained(folder, *, lora=False):
    model = tiny_model(folder)
    model.ears.requires_grad_(True)
    if lora:
        model.lora = Lora.fresh(model.family.backbone, rank=2, alpha=2, dropout=0.0, targets=["q_proj"], seed=0)
        model.lora.requires_grad_(True)
    return model


def train(model, objective, samples, folder, steps=2):
    settings = Training(steps=steps, batch_size=len(samples), lr=1e-3, log_every=1)
    fit(
        model, objective, Schedule(samples, [*range(len(samples))] * steps), settings, folder / "fit", seed=0,
        metrics=Metrics(folder / "metrics.jsonl"), what="tiny",
    )  # fmt: skip


def objective_of(model, view=SPEECH, term=SFT):
    return Objective(view, [make_term(term)], model)


def deaf(model, monkeypatch):
    """The decoder is given nothing of what the ears make."""
    embed = model.embed

    def without(view, ears, seen=None):
        return embed(replace(view, waveforms=[]), ears, seen)

    monkeypatch.setattr(model, "embed", without)


def test_ears_that_are_not_heard_stop_the_first_step(tiny_checkpoints, tmp_path, monkeypatch):
    model = trained(tiny_checkpoints["internvl"], lora=True)
    deaf(model, monkeypatch)
    with pytest.raises(EarwiseError, match=r"step 1 does not reach ears\.encoder: its gradient is zero"):
        train(model, objective_of(model), tiny_samples(tmp_path, 2), tmp_path)


def test_a_graph_that_is_cut_stops_the_first_step(tiny_checkpoints, tmp_path, monkeypatch):
    """Of two parts of the ears the one that no gradient comes to is named."""
    model = trained(tiny_checkpoints["qwen2_vl"])
    forward = model.ears.projector.forward
    monkeypatch.setattr(model.ears.projector, "forward", lambda states: forward(states.detach()))
    with pytest.raises(EarwiseError, match=r"step 1 does not reach ears\.encoder"):
        train(model, objective_of(model), tiny_samples(tmp_path, 2), tmp_path)


def test_a_lora_that_the_decoder_does_not_run_stops_the_first_step(tiny_checkpoints, tmp_path):
    model = trained(tiny_checkpoints["internvl"], lora=True)
    for layer in model.lora.layers:
        layer.scaling["default"] = 0.0
    with pytest.raises(EarwiseError, match="step 1 does not reach LoRA"):
        train(model, objective_of(model), tiny_samples(tmp_path, 2), tmp_path)


def test_clips_without_a_place_in_the_input_stop_the_first_step(tiny_checkpoints, tmp_path, monkeypatch):
    model = trained(tiny_checkpoints["internvl"])
    objective = objective_of(model)
    build = objective.layouts.build
    monkeypatch.setattr(
        objective.layouts, "build", lambda one, view, answers: build(one, "image_text", answers=answers)
    )
    with pytest.raises(EarwiseError, match="the samples of sft have 2 clips, but no token of the model's input stands"):
        train(model, objective, tiny_samples(tmp_path, 2), tmp_path)


def test_a_fresh_lora_and_ears_are_reached_at_once(tiny_checkpoints, tmp_path):
    model = trained(tiny_checkpoints["internvl"], lora=True)
    assert [part.name for part in trained_parts(model)] == ["ears.encoder", "ears.projector", "LoRA"]
    train(model, objective_of(model), tiny_samples(tmp_path, 2), tmp_path)


def test_where_there_is_nothing_to_learn_nothing_is_missed(tiny_checkpoints, tmp_path):
    """A student that is its own teacher under the same view has a loss and a gradient of zero."""
    model = trained(tiny_checkpoints["internvl"], lora=True)
    same = objective_of(model, term=LogitsTerm(type="logits", weight=1.0, view=SPEECH))
    train(model, same, tiny_samples(tmp_path, 2), tmp_path)


def test_ears_wait_for_the_first_step_with_a_clip(tiny_checkpoints, tmp_path):
    """One part is typed only; in a training of typed items the ears have nothing to hear."""
    model = trained(tiny_checkpoints["internvl"], lora=True)
    train(model, objective_of(model, "image_text"), tiny_samples(tmp_path, 2), tmp_path)
    parts = {"typed": objective_of(model, "image_text"), "spoken": objective_of(model)}
    for name, objective in parts.items():
        for term in objective.terms:
            term.name = f"{name}/{term.name}"
    samples = [replace(one, part=name) for one, name in zip(tiny_samples(tmp_path, 2), parts, strict=True)]
    train(model, PartsObjective(parts), samples, tmp_path)


def test_a_module_that_no_loss_reads_is_named(tmp_path):
    class Pair(nn.Module):
        def __init__(self):
            super().__init__()
            self.read, self.unread = nn.Linear(2, 1), nn.Linear(2, 1)

    model = Pair()
    assert [part.name for part in trained_parts(model)] == ["read", "unread"]
    model.unread.requires_grad_(False)
    assert [part.name for part in trained_parts(model)] == ["read"]


def test_learning_from_reward_reaches_the_ears(tiny_checkpoints, tmp_path):
    model = learner(tiny_checkpoints["internvl"], train="ears")
    objective = reward_of(model, term_of(temperature=1.0), view=SPEECH)
    trainer, _ = trainer_of(model, tiny_samples(tmp_path, 2), tmp_path / "out", objective, steps=1)
    trainer.train()
    assert trainer._reach.settled
