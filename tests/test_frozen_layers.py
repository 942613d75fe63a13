"""Some of a pretrained encoder's layers stay frozen in a training, as a recipe asks for."""

import shutil

import pytest
from safetensors.torch import load_file
from test_once import RECIPE

from earwise.cli import execute
from earwise.errors import InputError
from earwise.models.shipped import SHIPPED
from earwise.recipe.read import load_recipe

PRETRAINED = 'model.ears={encoder="pretrained", path="whisper-micro", stack=4, hidden=16}'
RUN = ["seeds=[1]", 'speech.test_voices=["en-029+Andy"]']
NATIVE = 'model.ears={encoder="native"}'


@pytest.fixture(scope="module")
def recipe(tmp_path_factory, tiny_checkpoints):
    folder = tmp_path_factory.mktemp("frozen")
    shutil.copytree(tiny_checkpoints["internvl"], folder / "vlm")
    path = folder / "once.toml"
    path.write_text(RECIPE)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        yield path


@pytest.mark.parametrize(
    ("layers", "frozen"), [("2", ("conv", "embed_positions", "layers.0.", "layers.1.")), ("all", ("",))]
)
def test_a_training_leaves_frozen_layers_as_they_were_and_trains_the_others(recipe, layers, frozen, tmp_path):
    asked = [PRETRAINED, f"training.frozen_layers={layers}", *RUN]
    assert execute(recipe, asked, tmp_path / "run") == 0
    before = load_file(SHIPPED / "whisper-micro/model.safetensors")
    after = load_file(tmp_path / "run/stages/train.hears/ears/ears.safetensors")
    moved = {
        name for name, value in before.items() if not value.equal(after[f"encoder.{name.removeprefix('encoder.')}"])
    }
    trained = {name for name in before if not name.removeprefix("encoder.").startswith(frozen)}
    # A bias of keys has no effect on attention, so its gradient is rounding.
    assert moved >= {name for name in trained if "weight" in name}
    assert moved <= trained


@pytest.mark.parametrize(
    ("overrides", "what"),
    [
        (["training.frozen_layers=1"], "training.frozen_layers: a fresh encoder hears nothing until it is trained"),
        ([NATIVE, "training.frozen_layers=all"], "training.frozen_layers: of a base that hears by itself"),
        ([PRETRAINED, "training.frozen_layers=-1"], "training.frozen_layers"),
        ([PRETRAINED, "training.frozen_layers=most"], "training.frozen_layers"),
    ],
)
def test_layers_that_cannot_be_frozen_are_one_line(recipe, overrides, what):
    with pytest.raises(InputError, match=what):
        load_recipe(recipe, overrides)


def test_more_layers_than_the_encoder_has_are_one_line(recipe, tmp_path, capsys):
    asked = [PRETRAINED, "training.frozen_layers=4", *RUN]
    assert execute(recipe, asked, tmp_path / "run") == 2
    told = capsys.readouterr()
    assert "training.frozen_layers: 4 layers cannot be frozen: the encoder has 3" in told.err
    assert "data: starts" not in told.out
