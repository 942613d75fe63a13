"""Stage `base`: what its phases draw, and small models that see or hear, trained from nothing."""

import json
import random
import tomllib

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from transformers.models.whisper.modeling_whisper import WhisperEncoder
from videos import write_video

from earwise.cli import execute
from earwise.data.items import read_items
from earwise.data.media import save_wav
from earwise.distil.checkpoints import Checkpoints
from earwise.distil.trainer import DistilTrainer
from earwise.errors import InputError
from earwise.models import OmniModel, Sample, Turn
from earwise.models.sample import Sound
from earwise.models.shipped import SHIPPED
from earwise.recipe.base import Base, BasePhase
from earwise.recipe.read import load_recipe
from earwise.recipe.uses import used_item_files
from earwise.records import Item
from earwise.stages import base as base_stage
from earwise.stages.base_pools import Files, num_draws, sample_length, stretched
from earwise.stages.samples import conversations

RECIPE = """
name = "own"
[data]
source = "folder"
path = "own"
[base]
family = "qwen2_audio"
view = "sound_text"
width = 32
feed_forward = 48
layers = 1
heads = 2
key_value_heads = 1
audio_width = 16
audio_feed_forward = 32
audio_layers = 1
audio_heads = 2
mel_bins = 16
[[base.phases]]
files = { listen = 0.75, replay = 0.25 }
steps = 4
batch_size = 4
independent = 0.5
lr = 1e-2
save_every = 1
log_every = 1
"""
EYES = [
    "base.family=internvl", "base.view=video_text", "base.image_size=32", "base.vision_width=16",
    "base.vision_feed_forward=32", "base.vision_layers=1", "base.vision_heads=2",
]  # fmt: skip
SIZES = ("audio_width", "audio_feed_forward", "audio_layers", "audio_heads", "mel_bins")


def write_data(folder):
    """Two item files: two questions about each of three sounds, which are also those of three videos."""
    rng = np.random.default_rng(0)
    for name in ("listen", "replay"):
        rows = []
        for n in range(3):
            save_wav(folder / f"{name}{n}.wav", (rng.standard_normal(4_000 * (n + 1)) * 0.1).astype(np.float32))
            write_video(folder / f"{name}{n}.mp4", frames=3, fps=3, size=(32, 32))
            media = {"audio": f"{name}{n}.wav", "video": f"{name}{n}.mp4"}
            for number, (question, answer) in enumerate((("Is there a star?", "yes"), ("What color?", "red"))):
                row = {"id": f"{name}{n}-{number}", "source": name, "question": question, "answers": [answer]}
                rows.append(row | {"cluster": f"{name}{n}", "kind": ("yes", "open")[number]} | media)
        (folder / f"{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))


@pytest.fixture
def recipe(tmp_path, monkeypatch):
    (tmp_path / "own").mkdir()
    write_data(tmp_path / "own")
    (tmp_path / "own.toml").write_text(RECIPE)
    monkeypatch.chdir(tmp_path)
    return tmp_path / "own.toml"


def copy_of(text):
    item = Item(id="1", source="transcribe", question=text, answers=("what color",), cluster="1")
    return Sample((Turn(item, text),))


def weights(folder):
    return load_file(folder / "model.safetensors")


def test_a_base_that_hears_is_trained_in_all_its_parts(recipe, tmp_path):
    assert execute(recipe, [], tmp_path / "run") == 0
    stage = tmp_path / "run/stages/seed0/base"
    before, after = weights(stage / "start"), weights(stage / "model")
    still = [name for name in before if torch.equal(before[name], after[name])]
    assert [name for name in still if not name.endswith(("k_proj.bias", "v_proj.bias"))] == []
    numbers = [json.loads(line) for line in (stage / "phase0/metrics.jsonl").read_text().splitlines()]
    assert [line["step"] for line in numbers if "loss" in line] == [1, 2, 3, 4]
    model = OmniModel.from_pretrained(str(stage / "model"))
    assert model.family.name == "qwen2_audio"
    (sample, *_) = conversations(read(tmp_path), tmp_path / "own", views=["sound_text"])
    assert isinstance(model.generate([sample], view="sound_text", max_new_tokens=2)[0], str)
    assert not (stage / "phase0/checkpoints").exists()


def test_a_phase_that_only_reads_leaves_hearing_as_it_was(recipe, tmp_path):
    assert execute(recipe, ['base.phases.0.view="text_only"'], tmp_path / "run") == 0
    stage = tmp_path / "run/stages/seed0/base"
    before, after = weights(stage / "start"), weights(stage / "model")
    changed = {name for name in before if not torch.equal(before[name], after[name])}
    assert not [name for name in changed if "audio" in name or "multi_modal" in name]
    assert any("layers.0.mlp" in name for name in changed)


def test_hearing_starts_as_the_whisper_encoder_that_is_named(recipe, tmp_path):
    recipe.write_text(with_tower())
    assert execute(recipe, [], tmp_path / "run") == 0
    stage = tmp_path / "run/stages/seed0/base"
    whisper, before, after = weights(SHIPPED / "whisper-micro"), weights(stage / "start"), weights(stage / "model")
    own = {name.partition("audio_tower.")[2]: name for name in before if "audio_tower." in name}
    assert own.keys() == whisper.keys()
    assert all(torch.equal(before[own[name]], whisper[name]) for name in whisper)
    still = {name for name in own if torch.equal(before[own[name]], after[own[name]])}
    assert still == set()
    assert OmniModel.from_pretrained(str(stage / "start")).family.feature_extractor.feature_size == 80


def test_two_states_of_the_whisper_encoder_are_one_of_the_tower(tmp_path):
    """Up to the last norm, which follows the pooling here; both as transformers computes them."""
    start = base_stage.fresh_checkpoint(load_recipe(written(tmp_path, with_tower())).base, tmp_path / "start", 0)
    tower = OmniModel.from_pretrained(str(start)).base.model.audio_tower
    whisper = WhisperEncoder.from_pretrained(SHIPPED / "whisper-micro")
    whisper.layer_norm = torch.nn.Identity()
    mels = torch.randn(1, 80, 3_000, generator=torch.manual_seed(1))
    with torch.no_grad():
        pairs = whisper(mels).last_hidden_state.unflatten(1, (750, 2)).mean(2)
        torch.testing.assert_close(tower(mels).last_hidden_state, tower.layer_norm(pairs))


def test_a_tower_that_is_no_whisper_is_named(tmp_path):
    text = with_tower(f"{SHIPPED / 'reader-micro'}")
    with pytest.raises(InputError, match=r"reader-micro: base\.tower: a model of the type 'qwen3' cannot be the tower"):
        base_stage.fresh_checkpoint(load_recipe(written(tmp_path, text)).base, tmp_path / "start", 0)


def with_tower(tower="whisper-micro"):
    """The recipe with a tower instead of the sizes of hearing."""
    text = "".join(f"{line}\n" for line in RECIPE.splitlines() if not line.startswith(SIZES))
    return text.replace("heads = 2\n", f'heads = 2\ntower = "{tower}"\n', 1)


def written(tmp_path, text):
    (tmp_path / "changed.toml").write_text(text)
    return tmp_path / "changed.toml"


def read(tmp_path):
    return read_items(tmp_path / "own/listen.jsonl")


def test_a_base_that_sees_learns_from_silent_frames(recipe, tmp_path):
    text = "\n".join(line for line in RECIPE.splitlines() if not line.startswith(SIZES))
    recipe.write_text(text)
    assert execute(recipe, [*EYES, "base.phases.0.steps=2"], tmp_path / "run") == 0
    model = OmniModel.from_pretrained(str(tmp_path / "run/stages/seed0/base/model"))
    (sample, *_) = conversations(read(tmp_path), tmp_path / "own", views=["video_text"])
    layout = model.layouts.build(sample, "video_text", answers=True)
    assert len(sample.frames) > 1
    assert [medium.stop - medium.start for medium in layout.media] == [4] * len(sample.frames)


class Killed(BaseException):
    pass


def test_a_kill_at_the_end_of_a_phase_repeats_nothing(recipe, tmp_path, monkeypatch):
    assert execute(recipe, [], tmp_path / "whole") == 0
    steps, save = [], base_stage._save

    def killed(*_):
        raise Killed

    def counted(self, *args, **named):
        steps.append(self.state.global_step)
        return loss(self, *args, **named)

    loss = DistilTrainer.compute_loss
    monkeypatch.setattr(DistilTrainer, "compute_loss", counted)
    monkeypatch.setattr(base_stage, "_save", killed)
    with pytest.raises(Killed):
        execute(recipe, [], tmp_path / "run")
    assert steps == [0, 1, 2, 3]
    monkeypatch.setattr(base_stage, "_save", save)
    assert execute(recipe, [], tmp_path / "run") == 0
    assert steps == [0, 1, 2, 3]
    one, two = (weights(tmp_path / f"{run}/stages/seed0/base/model") for run in ("whole", "run"))
    assert all(torch.equal(one[name], two[name]) for name in one)


def test_a_kill_after_the_result_was_written_leaves_nothing_behind(recipe, tmp_path, monkeypatch):
    clear = Checkpoints.clear

    def killed_at_the_end(self, keep=None):
        if keep is None:
            raise Killed
        clear(self, keep)

    monkeypatch.setattr(Checkpoints, "clear", killed_at_the_end)
    with pytest.raises(Killed):
        execute(recipe, [], tmp_path / "run")
    stage = tmp_path / "run/stages/seed0/base"
    written = weights(stage / "phase0/model")
    monkeypatch.setattr(Checkpoints, "clear", lambda *_: pytest.fail("the phase was run again"))
    assert execute(recipe, [], tmp_path / "run") == 0
    assert not (stage / "phase0/checkpoints").exists()
    assert all(torch.equal(value, written[name]) for name, value in weights(stage / "model").items())


def phase(**given):
    return BasePhase(**{"files": {"listen": 0.7, "replay": 0.3}, "steps": 5, "batch_size": 10, "lr": 1e-3} | given)


def files(recipe, settings, view="sound_text"):
    return Files.read(recipe.parent / "own", settings, view, print)


def test_files_give_their_share_of_the_conversations_and_each_of_them_equally_often(recipe):
    settings = phase()
    samples, order = files(recipe, settings).order(settings, 3)
    assert len(samples) == 6
    assert len(order) == num_draws(settings) == 50
    counts = np.bincount(order, minlength=6)
    assert counts[:3].sum() == 35
    assert set(counts[:3]) == {11, 12}
    assert set(counts[3:]) == {5}
    again = files(recipe, settings).order(settings, 3)[1]
    assert np.array_equal(order, again)
    assert not np.array_equal(order, files(recipe, settings).order(settings, 4)[1])
    assert len(set(order[:10].tolist()) - {0, 1, 2}) > 0  # mixed, not one after the other


def test_a_phase_asks_what_it_names_and_asks_all_of_it_independently(recipe):
    settings = phase(kinds=("open",), independent=1.0)
    samples, _ = files(recipe, settings).order(settings, 0)
    assert all(sample.independent for sample in samples)
    assert [[turn.item.kind for turn in sample.turns] for sample in samples] == [["open"]] * 6
    with pytest.raises(InputError, match=r"listen\.jsonl: no item is asked in this phase"):
        files(recipe, settings).order(phase(kinds=("count",)), 0)


def test_a_file_of_dialogues_stays_one(recipe):
    settings = phase(dialogues=("listen",), independent=1.0)
    samples, _ = files(recipe, settings).order(settings, 0)
    assert [sample.independent for sample in samples] == [False] * 3 + [True] * 3


def test_a_longer_sound_is_a_longer_sample():
    sample = copy_of("what color")
    assert sample_length(sample, None) == 4
    heard = Sample(sample.turns, sound=Sound("x.wav", 6_400))
    assert sample_length(heard, lambda samples: samples // 640) == 14


def test_items_of_one_cluster_share_their_media(recipe, tmp_path):
    items = read(tmp_path)
    (first, *_) = conversations(items, tmp_path / "own", views=["sound_text"])
    assert (len(first.turns), first.sound.num_samples, first.frames) == (2, 4_000, ())
    other = items[1].model_copy(update={"audio": items[2].audio})
    with pytest.raises(InputError, match="listen0: items of one cluster name different media"):
        conversations([items[0], other], tmp_path / "own")


def test_the_data_stage_checks_the_files_that_phases_name(recipe):
    assert used_item_files(load_recipe(recipe)) == ["listen", "replay"]


@pytest.mark.parametrize(
    ("change", "what"),
    [
        ({"dialogues": ["seen"]}, "base.phases.0.dialogues: not among files: seen"),
        ({"view": "image_text"}, "base.view: a base of the family 'qwen2_audio' is shown 'sound_text'"),
        ({"mel_bins": None}, "base.mel_bins: missing key, which the family 'qwen2_audio' needs"),
        ({"image_size": 32}, "base.image_size: has no effect on the family 'qwen2_audio'"),
        ({"tower": "whisper-micro"}, "base.audio_width: has no effect beside base.tower"),
        ({"audio_heads": 3}, "base.audio_heads: audio_width 16 is not a multiple of 3"),
        ({"files": {"listen": 0.7}}, "base.phases.0.files: the shares sum to 0.7, not to 1"),
        ({"files": {}}, "base.phases.0.files: missing key: without it a phase asks about images"),
        ({"copy_share": 0.5}, "base.phases.0.copy_share: has no effect where the phase names its files"),
    ],
)
def test_keys_of_a_base_that_contradict_each_other_are_named(recipe, tmp_path, change, what):
    table = tomllib.loads(RECIPE)
    for key, value in change.items():
        place = table["base"] if key in Base.model_fields else table["base"]["phases"][0]
        place[key] = value
    with pytest.raises(InputError) as raised:
        load_table(table, tmp_path)
    assert what in str(raised.value)


def load_table(table, tmp_path):
    """The recipe of a table; None leaves a key out."""
    path, base = tmp_path / "changed.toml", table["base"]
    lines = ['name = "own"', '[data]\nsource = "folder"\npath = "own"', "[base]"]
    lines += [f"{key} = {toml(value)}" for key, value in base.items() if key != "phases" and value is not None]
    lines += ["[[base.phases]]", *(f"{key} = {toml(value)}" for key, value in base["phases"][0].items())]
    path.write_text("\n".join(lines))
    return load_recipe(path)


def toml(value):
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key} = {toml(inner)}" for key, inner in value.items()) + "}"
    return json.dumps(value)


def test_pictures_of_odd_sizes_are_refused(recipe):
    text = "\n".join(line for line in RECIPE.splitlines() if not line.startswith(SIZES))
    recipe.write_text(text)
    load_recipe(recipe, EYES)
    with pytest.raises(InputError, match=r"base\.image_size: 40 is not a multiple of 16 pixels"):
        load_recipe(recipe, [*EYES, "base.image_size=40"])
    with pytest.raises(InputError, match=r"base\.view: a base of the family 'internvl' is shown 'image_text' or"):
        load_recipe(recipe, [*EYES, "base.view=sound_text"])


def test_drawn_out_words_stay_in_order_and_within_the_limit():
    [turn] = stretched(copy_of("What color?"), 3, random.Random(1)).turns
    words = turn.text.split()
    assert words == sorted(words, key=["what", "color"].index)
    assert {words.count("what"), words.count("color")} <= {1, 2, 3}
    assert turn.item.answers == ("what color",)


def test_every_length_is_drawn():
    lengths = {len(stretched(copy_of("What color?"), 2, random.Random(n)).turns[0].text.split()) for n in range(40)}
    assert lengths == {2, 3, 4}


def test_without_stretch_a_text_stays_as_it_is():
    sample = copy_of("What color?")
    assert stretched(sample, 1, random.Random(0)) is sample
