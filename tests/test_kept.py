"""What frozen parts make of media is made once, and changes nothing."""

import copy

import pytest
import torch
from test_ears import tiny_ears, waveform
from test_omni import SPOKEN, TYPED, run, views_of
from tiny import FAMILIES, tiny_model, tiny_samples

from earwise.models.batch import collate
from earwise.models.kept import Kept, kept_by
from earwise.models.kept_pictures import KeptPictures


@pytest.fixture(autouse=True)
def nothing_is_kept_yet():
    kept_by.cache_clear()


@pytest.fixture
def encodings(monkeypatch):
    """Lengths of the clips that any ears encode."""
    from earwise.models import ears

    seen, encode = [], ears.encode

    def counted(encoder, mels, frames):
        seen.extend(frames.tolist())
        return encode(encoder, mels, frames)

    monkeypatch.setattr(ears, "encode", counted)
    return seen


def frozen_ears(seed=0):
    ears = tiny_ears()
    with torch.no_grad():
        ears.encoder.layer_norm.weight.add_(seed)
    ears.freeze_encoder()
    return ears


def test_a_frozen_encoder_hears_each_clip_once_and_makes_the_same_of_it(encodings):
    clips, ears = [waveform(9_000), waveform(47_000, 1)], frozen_ears()
    heard, again = ears(clips), ears(clips[::-1])
    assert encodings == [100, 300]
    torch.testing.assert_close(heard, tiny_ears()(clips), atol=1e-5, rtol=1e-5)
    assert torch.equal(again, torch.cat([*heard.split([ears.num_tokens(len(clip)) for clip in clips])][::-1]))


def test_encoders_of_equal_weights_share_what_they_heard_and_others_do_not(encodings):
    clip = waveform(8_000, 3)
    for ears in (frozen_ears(), frozen_ears(), copy.deepcopy(frozen_ears())):
        ears([clip])
    assert len(encodings) == 1
    frozen_ears(seed=1)([clip])
    assert len(encodings) == 2


def test_a_frozen_encoder_learns_nothing_and_what_stands_behind_it_does():
    ears = tiny_ears().requires_grad_(True)
    ears.freeze_encoder()
    ears([waveform(9_000)]).square().sum().backward()
    learned = {name for name, p in ears.named_parameters() if p.grad is not None}
    assert learned == {name for name, _ in ears.named_parameters() if not name.startswith("encoder.")}


def test_states_of_a_frozen_encoder_are_float32_whoever_asks_first():
    clip, ears = waveform(9_000, 5), frozen_ears()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        ears([clip])
    torch.testing.assert_close(ears([clip]), tiny_ears()([clip]), atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("family", FAMILIES)
def test_a_kept_prefix_gives_the_same_states_and_is_computed_once(family, tiny_checkpoints, tmp_path, monkeypatch):
    model, samples = tiny_model(tiny_checkpoints[family]).train(), tiny_samples(tmp_path)
    model.ears.requires_grad_(True)
    plain = run(model, samples, True)
    model.kept = KeptPictures(model)
    pictures, encode = [], model.family.encode_images
    monkeypatch.setattr(model.family, "encode_images", lambda some: [pictures.append(len(some)), encode(some)][1])
    kept = run(model, samples, True)
    run(model, samples[::-1], True)
    assert pictures == [1] * len({sample.image for sample in samples})
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
    pictures = len({sample.image for sample in samples})
    model.family.backbone.requires_grad_(True)
    for _ in range(2):
        model(batch, learn=[SPOKEN])
    assert sum(counted) == pictures
    model.base.requires_grad_(True)
    counted.clear()
    for _ in range(2):
        model(batch, learn=[SPOKEN])
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
