import itertools
import json
import math
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from tiny import ENCODER
from tiny_recipe import DRAWN_VOICES
from tiny_recipe import ENCODER as ENCODER_TABLE

from earwise.errors import InputError
from earwise.models import Ears, EarsConfig
from earwise.models.ctc import BLANK, CtcRecogniser
from earwise.planning.compile import compile_recipe
from earwise.recipe.read import load_recipe
from earwise.stages import encoder
from earwise.work.run import Run

RECIPE = (
    """\
name = "hearing"
[data]
source = "micro"
train_images = 8
validation_images = 1
test_images = 4
turns_per_image = 2
transcribe_items = 40
"""
    + DRAWN_VOICES
    + ENCODER_TABLE
)


def clip(num_samples, seed=0):
    return torch.from_numpy(np.random.default_rng(seed).standard_normal(num_samples).astype(np.float32) * 0.1)


def recogniser(stack=5):
    return CtcRecogniser(ENCODER, ["red", "star"], stack=stack, seed=0).eval()


def collapsed(path):
    return [word for word, _ in itertools.groupby(path) if word != BLANK]


def test_the_loss_is_the_sum_over_all_ways_to_place_the_words():
    model, waveform = recogniser(stack=10), clip(12_000)
    outputs = model.num_outputs(len(waveform))
    assert outputs == 4
    row = model.log_probabilities([waveform])[0, :outputs].detach()
    target = model.word_ids("star red")
    ways = [p for p in itertools.product(range(3), repeat=outputs) if collapsed(p) == target.tolist()]
    likelihood = sum(math.exp(sum(float(row[t, word]) for t, word in enumerate(way))) for way in ways)
    assert float(model([waveform], [target]).detach()) == pytest.approx(-math.log(likelihood), rel=1e-4)


def test_a_clip_does_not_depend_on_the_clips_beside_it():
    model, clips = recogniser(), [clip(9_000), clip(30_000, 1)]
    targets = [model.word_ids("red"), model.word_ids("star star")]
    together = model(clips, targets)
    alone = torch.cat([model([c], [t]) for c, t in zip(clips, targets, strict=True)])
    torch.testing.assert_close(together, alone, rtol=1e-4, atol=1e-4)
    assert model.transcribe(clips) == [model.transcribe([c])[0] for c in clips]


def test_words_are_written_down_once_however_long_they_last():
    model = recogniser()
    best = torch.tensor([[0, 1, 1, 0, 1, 2, 2, 0, 2]])  # the last one lies beyond the end of the clip
    model.log_probabilities = lambda waveforms: torch.nn.functional.one_hot(best, 3).float()
    assert model.transcribe([clip(8 * 1_600)]) == ["red red star"]


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    folder = tmp_path_factory.mktemp("hearing")
    recipe_file = folder / "hearing.toml"
    recipe_file.write_text(RECIPE, encoding="utf-8")
    recipe = load_recipe(recipe_file, [])
    Run(folder / "run", recipe, recipe_file).execute(compile_recipe(recipe))
    return folder


def test_the_stage_leaves_an_encoder_that_ears_start_from(finished):
    left = finished / "run/stages/seed0/encoder/encoder"
    ears = Ears.from_whisper(str(left), EarsConfig({}, 12, hidden=24), seed=0)
    assert ears.config.encoder["d_model"] == 16
    fresh = CtcRecogniser({**ENCODER, "encoder_ffn_dim": 64}, ["red"], stack=2, seed=0)
    moved = [not torch.equal(a, b) for a, b in zip(ears.encoder.parameters(), fresh.encoder.parameters(), strict=True)]
    assert sum(moved) > len(moved) / 2
    described = json.loads((left / "training.json").read_text(encoding="utf-8"))
    assert described["held_out"] == 4
    assert len(described["speakers"]) == 3


def test_killed_after_its_training_it_goes_on_without_training_again(finished, monkeypatch):
    run, recipe_file = finished / "killed", finished / "hearing.toml"
    recipe = load_recipe(recipe_file, [])

    def killed(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(encoder, "_word_error_rate", killed)
    with pytest.raises(KeyboardInterrupt):
        Run(run, recipe, recipe_file).execute(compile_recipe(recipe))
    monkeypatch.undo()
    monkeypatch.setattr(encoder, "fit", killed)
    (run / "stages/seed0/encoder/checkpoints/checkpoint-4").mkdir(parents=True)  # a kill before they were cleared
    assert Run(run, recipe, recipe_file).execute(compile_recipe(recipe)) == ["seed0/encoder"]
    assert left_in(run) == left_in(finished / "run")


def left_in(run):
    folder = run / "stages/seed0/encoder"
    unlike = ("started.json", "done.json")
    return {p.relative_to(folder): p.read_bytes() for p in folder.rglob("*") if p.is_file() and p.name not in unlike}


def test_a_test_voice_that_the_encoder_was_trained_on_is_refused(finished):
    left = finished / "run/stages/seed0/encoder/encoder"
    speaker = json.loads((left / "training.json").read_text(encoding="utf-8"))["speakers"][0]
    text = RECIPE.partition("[encoder]")[0].replace("test_voices = 2", f'test_voices = ["en-us+{speaker}"]')
    text = text.replace("test_images = 4", "test_images = 12")
    text += f"""\
[model]
base = "internvl-micro"
ears = {{ encoder = "pretrained", path = "{left}", stack = 5, hidden = 24 }}
[align]
steps = 1
batch_size = 4
lr = 1e-3
[evaluate]
benchmarks = ["mme"]
views = ["image_text", "image_speech"]
batch_size = 4
max_new_tokens = 2
"""
    recipe_file = finished / "again.toml"
    recipe_file.write_text(text, encoding="utf-8")
    recipe = load_recipe(recipe_file, [])
    with pytest.raises(InputError, match=rf"trained on the speaker '{speaker}'"):
        Run(finished / "again", recipe, recipe_file).execute(compile_recipe(recipe))
    assert not list(Path(finished / "again/stages").rglob("*.wav"))


def more(finished, name, *, lr="1e-9", layers=1):
    """A second recipe, whose encoder starts from that of the first one."""
    left = finished / "run/stages/seed0/encoder/encoder"
    text = RECIPE.replace("[encoder]", f'[encoder]\nstart = "{left}"').replace("lr = 1e-3", f"lr = {lr}")
    text = text.replace("train_voices = 3", 'train_voices = ["en-gb+m1"]').replace(
        "test_voices = 2", 'test_voices = ["en-gb+m2"]'
    )
    recipe_file = finished / f"{name}.toml"
    recipe_file.write_text(text.replace("layers = 1", f"layers = {layers}"), encoding="utf-8")
    recipe = load_recipe(recipe_file, [])
    Run(finished / name, recipe, recipe_file).execute(compile_recipe(recipe))
    return left, finished / name / "stages/seed0/encoder/encoder"


def test_an_encoder_goes_on_from_another_ones_weights_and_keeps_what_speakers_it_has_heard(finished):
    before, after = more(finished, "more")
    old, new = (load_file(folder / "model.safetensors") for folder in (before, after))
    assert all(torch.allclose(old[name], new[name], atol=1e-6) for name in old), "a rate of 1e-9 moves nothing"
    speakers = [json.loads((folder / "training.json").read_text())["speakers"] for folder in (before, after)]
    assert {*speakers[1]} == {*speakers[0], "m1"}


def test_an_encoder_to_start_from_has_the_sizes_of_the_table(finished):
    with pytest.raises(InputError, match="the encoder to start from has other sizes: encoder_layers is 1, not 2"):
        more(finished, "larger", layers=2)
