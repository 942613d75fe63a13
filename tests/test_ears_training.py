"""What of pretrained ears a training trains, at which rate, and the silence that they hear behind a clip."""

import json
import shutil

import pytest
import torch
from safetensors.torch import load_file
from test_ears import tiny_ears, waveform
from test_once import RECIPE
from training_case import trainer_of

from earwise.cli import execute
from earwise.errors import InputError
from earwise.models import Ears
from earwise.models.folders import check_ears_folder
from earwise.models.mel import bucket_frames, log_mels
from earwise.models.shipped import SHIPPED
from earwise.models.whisper import encode
from earwise.planning.sizes import Hearing
from earwise.recipe.read import load_recipe

RUN = ["seeds=[1]", 'speech.test_voices=["en-029+Andy"]']


def pretrained(**keys):
    told = "".join(f", {key}={value}" for key, value in keys.items())
    return f'model.ears={{encoder="pretrained", path="whisper-micro", stack=4, hidden=16{told}}}'


@pytest.fixture(scope="module")
def recipe(tmp_path_factory, tiny_checkpoints):
    folder = tmp_path_factory.mktemp("ears")
    shutil.copytree(tiny_checkpoints["internvl"], folder / "vlm")
    (folder / "once.toml").write_text(RECIPE)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        yield folder / "once.toml"


def moved(run):
    """Tensors of the encoder that the training changed."""
    before = load_file(SHIPPED / "whisper-micro/model.safetensors")
    after = load_file(run / "stages/train.hears/ears/ears.safetensors")
    ours = {name: after[f"encoder.{name.removeprefix('encoder.')}"] for name in before}
    return {name.removeprefix("encoder.") for name, value in before.items() if not value.equal(ours[name])}, after


def test_a_projector_alone_leaves_the_encoder_as_it_was(recipe, tmp_path):
    assert execute(recipe, [pretrained(train='"projector"'), *RUN], tmp_path / "run") == 0
    assert moved(tmp_path / "run")[0] == set()


def test_lora_changes_its_targets_behind_frozen_layers_and_is_saved_merged(recipe, tmp_path):
    keys = {"train": '"lora"', "lora": '{rank=2, alpha=4, targets=["q_proj", "fc2"]}'}
    assert execute(recipe, [pretrained(**keys), "training.frozen_layers=1", *RUN], tmp_path / "run") == 0
    changed, after = moved(tmp_path / "run")
    assert changed == {f"layers.{n}.{name}.weight" for n in (1, 2) for name in ("self_attn.q_proj", "fc2")}
    assert not any("lora" in name or "base_layer" in name for name in after)
    check_ears_folder(tmp_path / "run/stages/train.hears/ears")


def test_saved_lora_hears_as_the_one_that_was_trained(tmp_path):
    ears, clips = tiny_ears(), [waveform(20_000)]
    plain = ears(clips)
    ears.train_lora(2, 4, ["q_proj", "v_proj"], seed=0)
    assert torch.equal(ears(clips), plain)
    trained = {name for name, value in ears.encoder.named_parameters() if value.requires_grad}
    assert trained
    assert all("lora_" in name for name in trained)
    with torch.no_grad():
        for name, value in ears.named_parameters():
            if "lora_B" in name:
                value.normal_()
    ears.save(tmp_path, base="base", revision=None)
    loaded = Ears.load(tmp_path)[0].eval()(clips)
    assert not torch.allclose(loaded, plain, atol=1e-2)
    torch.testing.assert_close(loaded, ears(clips), atol=1e-4, rtol=1e-4)


def test_a_target_that_is_no_layer_is_refused():
    with pytest.raises(InputError, match=r"'o_proj' \(targets may be fc1, fc2, k_proj, out_proj, q_proj, v_proj\)"):
        tiny_ears().train_lora(2, 4, ["o_proj"], seed=0)


LORA = {"train": '"lora"', "lora": "{rank=2, alpha=4}"}


@pytest.mark.parametrize(
    ("overrides", "what"),
    [
        ([pretrained(train='"lora"')], "there is no table lora"),
        ([pretrained(lora="{rank=2, alpha=4}")], "lora has no effect where train is 'all'"),
        ([pretrained(train='"projector"'), "training.frozen_layers=1"], "training.frozen_layers: model.ears.train is"),
        ([pretrained(**LORA), "training.frozen_layers=all"], "training.frozen_layers: 'all' leaves nothing"),
        ([pretrained(train='"projector"'), "training.encoder_lr=1e-4"], "training.encoder_lr: the encoder is not"),
        ([pretrained(), "training.frozen_layers=all", "training.encoder_lr=1e-4"], "training.encoder_lr: the encoder"),
        (['model.ears={encoder="native"}', "training.encoder_lr=1e-4"], "training.encoder_lr: of a base that hears"),
        ([pretrained(tail="31")], "model.ears"),
    ],
)
def test_settings_without_effect_are_one_line(recipe, overrides, what):
    with pytest.raises(InputError, match=what):
        load_recipe(recipe, overrides)


def test_the_encoder_learns_at_its_own_rate(tiny_checkpoints, tmp_path):
    (tmp_path / "media").mkdir()
    trainer, _ = trainer_of(tiny_checkpoints["internvl"], tmp_path / "media", tmp_path / "out", batch=4)
    trainer._rates = {"ears.encoder.": 1e-5}
    optimizer = trainer.create_optimizer()
    names = {id(p): name for name, p in trainer.model.named_parameters()}
    rates = {names[id(p)]: group["lr"] for group in optimizer.param_groups for p in group["params"]}
    assert rates == {
        name: 1e-5 if name.startswith("ears.encoder.") else 1e-3
        for name, p in trainer.model.named_parameters() if p.requires_grad
    }  # fmt: skip
    assert optimizer.param_groups[0]["lr"] == 1e-3  # the one that is logged
    trainer.create_scheduler(num_training_steps=6, optimizer=optimizer)
    assert {group["initial_lr"] for group in optimizer.param_groups} == {1e-3, 1e-5}


@pytest.mark.parametrize(
    ("samples", "tail", "frames"),
    [(16_000, 0.0, 100), (16_000, 0.5, 200), (12_000, 0.25, 100), (470_000, 2.0, 3000), (1, "full", 3000)],
)
def test_a_tail_is_heard_up_to_thirty_seconds(samples, tail, frames):
    assert bucket_frames(samples, tail) == frames


def test_a_full_tail_gives_whispers_own_states_and_no_more_tokens():
    ears, clip = tiny_ears(tail="full", markers=False), waveform(20_000)
    theirs = ears.encoder(log_mels([clip], ears.extractor, "full")).last_hidden_state
    states = torch.nn.functional.pad(theirs, (0, 0, 0, -theirs.shape[1] % 5)).reshape(1, -1, 5 * theirs.shape[-1])
    expected = ears.projector(states)[0, : ears.num_tokens(20_000)]
    torch.testing.assert_close(ears([clip]), expected, atol=1e-5, rtol=1e-5)
    assert ears.num_tokens(20_000) == tiny_ears(markers=False).num_tokens(20_000)
    assert not torch.allclose(ears([clip]), tiny_ears(markers=False)([clip]), atol=1e-3)


@pytest.mark.parametrize("layers", [1, "all"])
def test_kept_states_of_a_tail_are_those_of_the_whole_encoder(layers):
    clips = [waveform(20_000), waveform(40_000, 1)]
    for tail in (0.0, 1.5, "full"):
        whole, kept = tiny_ears(tail=tail), tiny_ears(tail=tail)
        kept.freeze_encoder(layers)
        for _ in range(2):
            torch.testing.assert_close(kept(clips), whole(clips), atol=1e-5, rtol=1e-5)


def test_a_tail_is_saved_and_read(tmp_path):
    tiny_ears(tail=1.5).save(tmp_path, base="base", revision=None)
    assert Ears.load(tmp_path)[0].config.tail == 1.5
    described = json.loads((tmp_path / "ears.json").read_text())
    del described["tail"]  # as ears were saved before there was one
    (tmp_path / "ears.json").write_text(json.dumps(described))
    assert Ears.load(tmp_path)[0].config.tail == 0.0


def test_a_plan_counts_the_tail():
    def states(tail):
        return Hearing(1, 1, 8, 4, 0, 1, own=None, trains_encoder=True, tail=tail).states(20_000)

    assert [states(tail) for tail in (0.0, 1.5, "full")] == [100, 150, 1500]


def test_encode_of_the_tail_does_not_depend_on_neighbours():
    ears = tiny_ears(tail=1.0)
    clips = [waveform(9_000), waveform(47_000, 1)]
    frames = torch.tensor([bucket_frames(len(clip), 1.0) for clip in clips])
    together = encode(ears.encoder, log_mels(clips, ears.extractor, 1.0), frames)
    alone = encode(ears.encoder, log_mels(clips[:1], ears.extractor, 1.0), frames[:1])
    torch.testing.assert_close(together[0, : int(frames[0]) // 2], alone[0], atol=1e-5, rtol=1e-5)
