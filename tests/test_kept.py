"""What frozen parts make of media is made once, and changes nothing."""

import copy

import pytest
import torch
from test_ears import waveform
from test_omni import SPOKEN, TYPED, run, views_of
from tiny import ENCODER, FAMILIES, tiny_model, tiny_samples

from earwise.errors import InputError
from earwise.models import Ears, EarsConfig, encoded_clips
from earwise.models.batch import collate
from earwise.models.kept import BLOCK, Kept, digest_of, kept_by
from earwise.models.kept_pictures import KeptPictures
from earwise.models.states import Ask


@pytest.fixture(autouse=True)
def nothing_is_kept_yet():
    kept_by.cache_clear()


@pytest.fixture
def encodings(monkeypatch):
    """Buckets of the clips that go through frozen layers, in frames."""
    seen, early = [], encoded_clips.early_states

    def counted(encoder, mels, frames, layers):
        seen.extend(frames.tolist())
        return early(encoder, mels, frames, layers)

    monkeypatch.setattr(encoded_clips, "early_states", counted)
    return seen


def three_layers(seed=0):
    return Ears.fresh(EarsConfig(ENCODER | {"encoder_layers": 3}, 12, hidden=24), seed=seed).requires_grad_(True)


def frozen(layers, seed=0):
    ears = three_layers(seed)
    ears.freeze_encoder(layers)
    return ears


@pytest.mark.parametrize("layers", [1, 3, "all"])
def test_frozen_layers_hear_each_clip_once_and_make_the_same_of_it(layers, encodings):
    clips, ears = [waveform(9_000), waveform(47_000, 1)], frozen(layers)
    heard, again = ears(clips), ears(clips[::-1])
    assert encodings == [100] * BLOCK + [300] * BLOCK, "each in a block of its own bucket"
    torch.testing.assert_close(heard, three_layers()(clips), atol=1e-5, rtol=1e-5)
    parts = heard.split([ears.num_tokens(len(clip)) for clip in clips])
    torch.testing.assert_close(again, torch.cat(parts[::-1]), atol=1e-6, rtol=1e-6)


def test_encoders_of_equal_frozen_layers_share_what_they_heard_and_others_do_not(encodings):
    clip, other = waveform(8_000, 3), frozen(2)
    with torch.no_grad():
        other.encoder.layers[2].fc1.weight.add_(1)
    for ears in (frozen(2), frozen(2), copy.deepcopy(frozen(2)), other):
        ears([clip])
    assert len(encodings) == BLOCK
    for ears in (frozen(2, seed=1), frozen(1)):
        ears([clip])
    assert len(encodings) == 3 * BLOCK


@pytest.mark.parametrize(
    ("layers", "learning"),
    [
        (2, ("encoder.layers.2.", "encoder.layer_norm.", "projector.", "markers")),
        ("all", ("projector.", "markers")),
    ],
)
def test_what_stands_behind_frozen_layers_learns_as_it_would_in_a_whole_encoder(layers, learning):
    clips, gradients = [waveform(9_000), waveform(47_000, 1)], []
    for ears in (frozen(layers), three_layers()):
        ears(clips).square().sum().backward()
        gradients.append({name: p.grad for name, p in ears.named_parameters() if p.grad is not None})
    assert gradients[0].keys() == {name for name in gradients[1] if name.startswith(learning)}
    for name, gradient in gradients[0].items():
        torch.testing.assert_close(gradient, gradients[1][name], atol=1e-4, rtol=1e-4)


def test_what_is_kept_of_a_clip_does_not_depend_on_the_clips_beside_it():
    """A resumed training meets a clip beside others than one that was never stopped, and must compute the same."""
    clips = [waveform(33_000 + 100 * number, number) for number in range(2 * BLOCK + 3)]
    key, found = digest_of({"waveform": clips[3]}), []
    for order in (range(len(clips)), [18, 3, 5], [3], [0, 1, 2, 18, 4, 5, 6, 7, 3]):
        kept_by.cache_clear()
        ears = frozen("all")
        ears([clips[number] for number in order])
        found.append(ears._encoded._kept(key, pytest.fail)[0])
    assert all(torch.equal(found[0], other) for other in found)
    assert found[0].untyped_storage().nbytes() == found[0].nbytes, "not a part of a block"


def test_more_layers_than_there_are_cannot_be_frozen():
    with pytest.raises(InputError, match="4 layers cannot be frozen: the encoder has 3"):
        frozen(4)


def test_states_of_frozen_layers_are_float32_whoever_asks_first():
    clip, ears = waveform(9_000, 5), frozen("all")
    with torch.autocast("cpu", dtype=torch.bfloat16):
        ears([clip])
    torch.testing.assert_close(ears([clip]), three_layers()([clip]), atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("family", FAMILIES)
def test_a_kept_prefix_gives_the_same_states_and_is_computed_once(family, tiny_checkpoints, tmp_path, monkeypatch):
    model, samples = tiny_model(tiny_checkpoints[family]).train(), tiny_samples(tmp_path)
    model.ears.requires_grad_(True)
    plain = run(model, samples, True)
    model.kept = KeptPictures(model)
    pictures, encode = [], model.family.encode_images
    monkeypatch.setattr(model.family, "encode_images", lambda some: [pictures.append(len(some)), encode(some)][1])
    kept = run(model, samples, True)
    seen = sum(pictures)
    assert seen >= len({sample.image for sample in samples})
    assert seen % BLOCK == 0
    run(model, samples[::-1], True)
    assert sum(pictures) == seen
    for view in (SPOKEN, TYPED):
        torch.testing.assert_close(kept[view].layers, plain[view].layers, atol=2e-5, rtol=1e-4)


def test_what_is_kept_does_not_depend_on_the_samples_beside_it(tiny_checkpoints, tmp_path):
    """A resumed training keeps other prefixes than one that was never stopped, and must compute the same."""
    samples = tiny_samples(tmp_path)
    found = []
    for before in ([], samples[:1], samples[2:]):
        model = tiny_model(tiny_checkpoints["internvl"])
        model.kept = KeptPictures(model)
        with torch.no_grad():
            for sample in before:
                run(model, [sample], True)
            found.append(run(model, samples, True)[SPOKEN].layers)
    assert torch.equal(found[0], found[1])
    assert torch.equal(found[0], found[2])


def test_pictures_are_encoded_once_where_a_decoder_is_trained_and_each_time_where_the_tower_is(
    tiny_checkpoints, tmp_path, monkeypatch
):
    model, samples = tiny_model(tiny_checkpoints["internvl"]), tiny_samples(tmp_path)
    model.kept = KeptPictures(model)
    counted, encode = [], model.family.encode_images
    monkeypatch.setattr(model.family, "encode_images", lambda some: [counted.append(len(some)), encode(some)][1])
    batch = collate(views_of(model, samples), model.family, share_prefix=False)
    model.family.backbone.requires_grad_(True)
    for _ in range(2):
        model(batch, {SPOKEN: Ask(learn=True)})
    once = sum(counted)
    model(batch, {SPOKEN: Ask(learn=True)})
    assert sum(counted) == once
    model.base.requires_grad_(True)
    counted.clear()
    for _ in range(2):
        model(batch, {SPOKEN: Ask(learn=True)})
    assert sum(counted) == 2 * 2 * len(samples)


def test_what_finds_no_room_is_made_each_time():
    kept, made = Kept(limit_bytes=8), []

    def make(name):
        made.append(name)
        return (torch.zeros(2),)

    for name in ("a", "b", "a", "b"):
        kept(name, lambda name=name: make(name))
    assert made == ["a", "b", "b"]
    assert kept.num_bytes == 8
