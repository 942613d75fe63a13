"""The joint objective from a recipe: a folder of sounds with descriptions, a text model on disk, a whole run."""

import json

import numpy as np
import pytest
from safetensors.torch import load_file
from text_models import DESCRIPTIONS, write_text_model
from tiny_families import write_tiny_family

from earwise.cli import execute
from earwise.data.media import save_wav
from earwise.planning.page import plan
from earwise.recipe.read import load_recipe

RECIPE = """
name = "source_layer"
[data]
source = "folder"
path = "DATA"
[model]
base = "BASE"
[model.ears]
encoder = "native"
[training]
steps = 2
batch_size = 2
lr = 1e-3
[train.source_layer]
start = "base"
view = "sound_text"
terms = [
  { type = "logits", weight = 1.0, divergence = "jsd", teacher = "TEXT", view = "description_text" },
  { type = "layer_map", weight = 0.05, teacher = "TEXT", view = "description_text" },
  { type = "layer_map", weight = 0.05, teacher = "TEXT", view = "description_text", space = "cosine", every = 2 },
  { type = "acoustic", weight = 0.05, teacher = "snapshot", view = "sound_text" },
  { type = "sft", weight = 0.5 },
]
"""


@pytest.fixture
def recipe(tmp_path):
    """Four sounds of half a second, each with a question and a description."""
    data = tmp_path / "data"
    data.mkdir()
    rng = np.random.default_rng(0)
    items, described = [], []
    for n, (text, answer) in enumerate(zip(DESCRIPTIONS, ("red", "two", "blue", "yes it is"), strict=True)):
        save_wav(data / f"{n}.wav", (rng.standard_normal(8_000) * 0.1).astype(np.float32))
        items.append({"id": f"s{n}", "source": "own", "question": "what color is the circle", "answers": [answer],
                      "cluster": f"s{n}", "audio": f"{n}.wav"})  # fmt: skip
        described.append({"item": f"s{n}", "text": text, "source": "written by hand"})
    for name, rows in (("train", items), ("descriptions", described)):
        (data / f"{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    base = write_tiny_family(tmp_path / "tiny-qwen2_audio", "qwen2_audio")
    teacher = write_text_model(tmp_path / "text")
    path = tmp_path / "recipe.toml"
    text = RECIPE.replace("DATA", str(data)).replace("BASE", str(base)).replace("TEXT", str(teacher))
    path.write_text(text)
    return path


def test_the_published_objective_runs_from_a_recipe(recipe, tmp_path):
    assert execute(recipe, ["training.log_every=1"], tmp_path / "run") == 0
    stage = tmp_path / "run" / "stages" / "seed0" / "train.source_layer"
    lines = [json.loads(line) for line in (stage / "metrics.jsonl").read_text().splitlines()]
    steps = [line for line in lines if "loss" in line]
    assert len(steps) == 2
    for line in steps:
        top, layers, projected, acoustic, sft = (
            line[f"terms/{name}"] for name in ("logits", "layer_map", "layer_map_2", "acoustic", "sft")
        )
        expected = top + 0.05 * (layers + projected + acoustic) + 0.5 * sft
        assert line["loss"] == pytest.approx(expected, rel=1e-3)
    assert steps[0]["terms/acoustic"] < 1e-6 < steps[1]["terms/acoustic"]
    assert load_file(stage / "terms" / "layer_map_2.safetensors")["linear.weight"].shape == (48, 64)
    assert (stage / "ears" / "ears.safetensors").is_file()


def test_its_plan_shows_the_sound_beside_its_description(recipe):
    lines = [line.plain for line in plan(load_recipe(recipe, ()))]
    (head,) = [line for line in lines if line.startswith("sound_text: ")][:1]
    assert "description_text: " in head
    assert any("[description" in line for line in lines)
    assert any("tokens per step under description_text (teacher)" in line for line in lines)


def test_an_item_without_a_description_ends_the_run_with_its_name(recipe, tmp_path, capsys):
    file = tmp_path / "data" / "descriptions.jsonl"
    file.write_text("".join(file.read_text().splitlines(keepends=True)[:3]))
    assert execute(recipe, [], tmp_path / "run") == 2
    assert "no description of this item" in capsys.readouterr().err
