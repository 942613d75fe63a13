"""`bench/flops.py`: a step without weights takes what one with weights does, and depth is followed exactly."""

import importlib
import sys
from pathlib import Path

import pytest
import torch
from tiny import ENCODER, tiny_samples
from torch.utils.flop_counter import FlopCounterMode

from earwise.distil.objective import Objective
from earwise.distil.terms import make_term
from earwise.micro.build import write_tiny
from earwise.models import Ears, EarsConfig, OmniModel
from earwise.models.families import load_family
from earwise.recipe.train import LayersTerm, LogitsTerm, SftTerm

BENCH = Path(__file__).parent.parent / "bench"
TERMS = [
    SftTerm(type="sft", weight=0.25),
    LogitsTerm(type="logits", weight=0.75),
    LayersTerm(type="layers", weight=1.0),
]


@pytest.fixture
def bench(monkeypatch):
    """Imports a module of `bench`."""
    monkeypatch.syspath_prepend(BENCH)
    return importlib.import_module


@pytest.fixture
def model(tmp_path):
    """Three decoder layers, two in each other tower."""
    folder = write_tiny(tmp_path / "base", family="qwen2_vl", num_layers=3, vision_layers=2)
    family = load_family(str(folder))
    ears = Ears.fresh(EarsConfig({**ENCODER, "encoder_layers": 2}, family.width, stack=2, hidden=24), seed=0)
    return OmniModel(family, ears.requires_grad_(True), base=str(folder)).eval()


def one_step(model, sample, share):
    objective = Objective("image_speech", [make_term(term) for term in TERMS], model, share_prefix=share)
    batch = objective.collate([sample])["batch"]
    values = objective.values(objective.states(model, batch))
    sum(value.sum() for value in values.values()).backward()


@pytest.mark.parametrize("share", [False, True])
def test_a_step_without_weights_takes_the_operations_of_one_with_weights(share, bench, model, tmp_path):
    (sample,) = tiny_samples(tmp_path, 1)
    with FlopCounterMode(display=False) as counter:
        one_step(model, sample, share)
    found = bench("uncomputed").counted(lambda: one_step(model.to("meta"), sample, share), model.parameters())
    assert found.flops == counter.get_total_flops() > 0
    assert found.saved_bytes > 0


def test_the_numbers_of_all_layers_follow_from_those_of_few(bench, model, tmp_path):
    (sample,) = tiny_samples(tmp_path, 1)
    depth, counted = bench("depth"), bench("uncomputed").counted
    model.to("meta")

    def count():
        return vars(counted(lambda: one_step(model, sample, True), model.parameters()))

    assert depth.depths(model) == {"decoder": 3, "vision": 2, "hearing": 2}
    assert depth.deep(model, count) == count()


def test_the_preset_of_a_gpu_is_refused_without_one(bench, monkeypatch, capsys):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(sys, "argv", ["step.py", "--preset", "h200"])
    assert bench("step").main() == 2
    assert capsys.readouterr().err == "step.py: the preset h200 needs a CUDA device\n"
