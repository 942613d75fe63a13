"""Native ears and LoRA as recipes name them."""

import json
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from tiny_families import write_tiny_family

from earwise.cli import execute
from earwise.data.media import save_wav
from earwise.errors import InputError
from earwise.models.families import load_family
from earwise.planning.compile import Compiler
from earwise.recipe.read import load_recipe
from earwise.stages.models import load_model, load_start

RECIPE = """
name = "native"
[data]
source = "micro"
train_images = 4
validation_images = 1
test_images = 30
turns_per_image = 1
transcribe_items = 4
random_words = 3
[speech]
engine = { type = "espeak" }
train_voices = 2
test_voices = 1
rates_wpm = [175, 175]
pitches = [50, 50]
workers = 1
[model]
base = "BASE"
lora = { rank = 2, alpha = 4 }
[model.ears]
encoder = "native"
[training]
steps = 2
batch_size = 2
lr = 2e-3
[train.self_kd]
start = "base"
terms = [{ type = "sft", weight = 0.25 }, { type = "logits", weight = 0.75 }]
[train.more]
start = "self_kd"
terms = [{ type = "sft", weight = 1.0 }]
[evaluate]
benchmarks = ["realworldqa"]
views = ["image_text", "image_speech"]
batch_size = 2
max_new_tokens = 2
limit = 2
"""
FRESH = "model.ears={encoder='fresh', layers=1, width=16, heads=2, stack=5, hidden=16}"


@pytest.fixture
def recipe(tmp_path):
    write_tiny_family(tmp_path / "tiny-qwen2_5_omni", "qwen2_5_omni")
    path = tmp_path / "native.toml"
    path.write_text(RECIPE.replace("BASE", str(tmp_path / "tiny-qwen2_5_omni")))
    return path


def context(folder=None):
    return SimpleNamespace(seed=0, folder_of=lambda job: folder)


def source(*given):
    return Compiler(load_recipe(*given)).source(0)


def self_kd(recipe):
    made = Compiler(load_recipe(recipe))
    return made.source(0), made.train("self_kd", 0)


def test_a_recipe_with_native_ears_and_lora_runs(recipe, tmp_path):
    assert execute(recipe, [], tmp_path / "run") == 0
    assert list(json.loads((tmp_path / "run/summary.json").read_text())["models"]) == ["base", "self_kd", "more"]
    stages = tmp_path / "run/stages/seed0"
    first, second = (load_file(stages / f"train.{n}/ears/lora/adapter_model.safetensors") for n in ("self_kd", "more"))
    assert first.keys() == second.keys()
    assert all(bool(first[name].any()) for name in first)
    assert not any(torch.equal(first[name], second[name]) for name in first)
    assert json.loads((stages / "train.more/ears/ears.json").read_text())["own"] == "projector"
    model = load_start(context(stages / "train.self_kd"), *self_kd(recipe))
    trained = {name for name, p in model.named_parameters() if p.requires_grad}
    assert len(trained) == len(first)  # the ears are unfrozen by their training
    assert all("lora_" in name for name in trained)
    assert torch.equal(
        model.family.backbone.layers[0].self_attn.q_proj.lora_B["default"].weight,
        first[next(name for name in first if name.endswith("layers.0.self_attn.q_proj.lora_B.weight"))],
    )


def test_the_recipe_chooses_what_of_native_ears_is_trained(recipe):
    for part, count in (("none", 0), ("projector", 2), ("tower", 39)):
        model = load_model(context(), source(recipe, [f"model.ears.train={part}"]))
        assert model.lora is None
        assert model.ears.part == part
        assert len(list(model.ears.parameters())) == count


def test_ears_of_the_wrong_kind_are_one_line_with_the_remedy(recipe, tiny_checkpoints):
    with pytest.raises(InputError, match=r"qwen2_5_omni hears by itself \(set model\.ears\.encoder to 'native'\)"):
        load_model(context(), source(recipe, [FRESH]))
    base = f"model.base={tiny_checkpoints['internvl']}"
    with pytest.raises(InputError, match=r"internvl does not hear by itself \(set model\.ears\.encoder to 'fresh'"):
        load_model(context(), source(recipe, [base]))


def test_lora_is_added_to_given_ears_too(recipe, tiny_checkpoints):
    given = source(recipe, [FRESH, f"model.base={tiny_checkpoints['internvl']}", "model.lora.targets=['q_proj']"])
    model = load_start(context(), given, None)
    assert len(model.lora.layers) == 2
    assert all(p.requires_grad for p in model.lora.parameters())


def test_a_checkpoint_of_remote_code_names_its_remedy_and_runs_nothing(tmp_path, capsys):
    chat = tmp_path / "InternVL2-1B"
    chat.mkdir()
    code = {"AutoConfig": "configuration_internvl_chat.InternVLChatConfig"}
    (chat / "config.json").write_text(json.dumps({"model_type": "internvl_chat", "auto_map": code}))
    (chat / "configuration_internvl_chat.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'w')\n")
    save_file({"weight": torch.zeros(1)}, chat / "model.safetensors")
    line = (
        f"{chat}: a checkpoint of model_type 'internvl_chat' brings code of its own and is not read (take its "
        "converted checkpoint (OpenGVLab/...-hf), or convert it as docs/families.md says)"
    )
    for trusted in (False, True):
        with pytest.raises(InputError) as refused:
            load_family(str(chat), trust_remote_code=trusted)
        assert str(refused.value) == line
    (tmp_path / "r.toml").write_text(RECIPE.replace("BASE", str(chat)))
    assert execute(tmp_path / "r.toml", ["model.trust_remote_code=true"], tmp_path / "run", "speech") == 2
    assert capsys.readouterr().err == f"earwise: {line}\n"
    assert not (tmp_path / "ran").exists()


def test_a_recipe_says_how_much_of_a_long_sound_is_heard(tmp_path, capsys):
    """Audio Flamingo 3 is asked about sounds of 31.5 s and 2 s, and trained by ear."""
    folder = write_tiny_family(tmp_path / "tiny-audioflamingo3", "audioflamingo3")
    noise = np.random.default_rng(0).standard_normal(504_000).astype(np.float32) * 0.1
    for name, length in (("long", len(noise)), ("short", 32_000)):
        save_wav(tmp_path / f"{name}.wav", noise[:length])
    records = [
        {"id": name, "question": "is it red?", "answers": ["yes"], "audio": f"{name}.wav", "cluster": name}
        for name in ("long", "short")
    ]
    (tmp_path / "sounds.jsonl").write_text("".join(json.dumps(record) + "\n" for record in records))
    text = RECIPE.replace("BASE", str(folder)).replace("0.75 }", '0.75, view = "text_only" }')
    text = text.replace('start = "', 'view = "speech_only"\nstart = "').replace('["realworldqa"]', '["sounds"]')
    text = text.replace('["image_text", "image_speech"]', '["sound_text"]')
    (tmp_path / "r.toml").write_text(f'{text}[evaluate.own.sounds]\nfile = "{tmp_path}/sounds.jsonl"\n')
    cut = "1 sound is longer than 30 s and ends there, e.g. that of long"
    for overrides, said in ((["model.longest_sound=40"], False), ([], True)):
        assert execute(tmp_path / "r.toml", overrides, tmp_path / f"run{said}") == 0
        assert (cut in capsys.readouterr().out) == said
        assert json.loads((tmp_path / f"run{said}/summary.json").read_text())["models"]["more"]["sounds"]["n"] == 2
