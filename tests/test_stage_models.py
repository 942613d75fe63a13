"""Every model that a stage loads is computed in one place."""

from types import SimpleNamespace

import pytest
import torch
from example_recipe import TEXT

from earwise.models.device import best_device
from earwise.planning.compile import Compiler
from earwise.recipe.read import load_recipe
from earwise.stages.models import load_base, load_model, load_start


def test_a_gpu_is_taken_where_there_is_one(monkeypatch):
    for available, device in ((True, "cuda"), (False, "cpu")):
        monkeypatch.setattr(torch.cuda, "is_available", lambda found=available: found)
        assert best_device() == torch.device(device)


@pytest.mark.parametrize("load", [load_base, load_model, lambda context, source: load_start(context, source, None)])
def test_base_ears_and_lora_are_moved_there(load, monkeypatch, tiny_checkpoints, tmp_path):
    monkeypatch.setattr("earwise.stages.models.best_device", lambda: torch.device("meta"))
    (tmp_path / "recipe.toml").write_text(TEXT)
    overrides = [f"model.base={tiny_checkpoints['internvl']}", "model.lora={rank=2, alpha=4}"]
    source = Compiler(load_recipe(tmp_path / "recipe.toml", overrides)).source(0)
    model = load(SimpleNamespace(seed=0), source)
    assert {parameter.device.type for parameter in model.parameters()} == {"meta"}
    assert (model.ears is None) == (load is load_base)
