"""A start that is trained once and that the trainings of all seeds have in common."""

import shutil

import pytest
from safetensors.torch import load_file
from tiny_recipe import MODEL, NAMED_VOICES

from earwise.cli import execute
from earwise.errors import InputError
from earwise.planning.compile import compile_recipe
from earwise.recipe.read import load_recipe

RECIPE = (
    """\
name = "once"
seeds = [1, 2]
[data]
source = "micro"
train_images = 4
validation_images = 1
test_images = 12
turns_per_image = 1
transcribe_items = 4
"""
    + NAMED_VOICES
    + MODEL
    + """\
[training]
steps = 1
batch_size = 2
lr = 1e-3
[train.words]
start = "base"
once = true
data = "transcribe"
view = "speech_only"
terms = [{ type = "sft", weight = 1.0 }]
[train.hears]
start = "words"
once = true
terms = [{ type = "sft", weight = 1.0 }]
[train.row]
start = "hears"
terms = [{ type = "sft", weight = 1.0 }]
[evaluate]
models = ["hears", "row"]
benchmarks = ["mme"]
views = ["image_text", "image_speech"]
batch_size = 4
max_new_tokens = 2
[report]
"""
)


@pytest.fixture(scope="module")
def recipe(tmp_path_factory, tiny_checkpoints):
    folder = tmp_path_factory.mktemp("once")
    shutil.copytree(tiny_checkpoints["internvl"], folder / "vlm")
    (folder / "recipe.toml").write_text(RECIPE.replace('"vlm"', f'"{folder / "vlm"}"'))
    return folder / "recipe.toml"


def test_the_rows_of_all_seeds_start_from_one_model(recipe, capsys):
    run = recipe.parent / "run"
    assert execute(recipe, [], run) == 0
    stages = run / "stages"
    assert sorted(folder.name for folder in stages.glob("train.*")) == ["train.hears", "train.words"]
    assert sorted(folder.parent.name for folder in stages.glob("seed*/train.*")) == ["seed1", "seed2"]
    assert (stages / "seed1/evaluate.hears/scores.jsonl").is_file()
    rows = [load_file(stages / f"seed{seed}/train.row/ears/ears.safetensors") for seed in (1, 2)]
    assert any((rows[0][name] != rows[1][name]).any() for name in rows[0])

    capsys.readouterr()
    assert execute(recipe, ["seeds=[2, 3]"], run, verb="train") == 0
    assert "train.words: starts" not in capsys.readouterr().out
    assert (stages / "seed3/train.row").is_dir()


def test_a_start_comes_once_and_before_what_needs_it(recipe):
    stages = {stage.name: stage for stage in compile_recipe(load_recipe(recipe))}
    named = [name for name in stages if "train." in name]
    assert named == ["train.words", "train.hears", "seed1/train.row", "seed2/train.row"]
    assert "train.words" in stages["train.hears"].needs
    for seed in (1, 2):
        assert "train.hears" in stages[f"seed{seed}/train.row"].needs
        assert "train.hears" in stages[f"seed{seed}/predict.hears/mme"].needs
        assert f"seed{seed}/predict.hears/mme" in stages[f"seed{seed}/evaluate.hears"].needs


def test_what_is_trained_once_may_not_start_from_a_model_of_each_seed(recipe):
    with pytest.raises(InputError, match=r"train\.hears\.once: each seed has a 'words' of its own"):
        load_recipe(recipe, ["train.words.once=false"])
    with pytest.raises(InputError, match=r"train\.words\.once: each seed has a 'aligned' of its own"):
        load_recipe(recipe, ["train.words.start=aligned", "align={steps=1, batch_size=2, lr=1e-3}"])
