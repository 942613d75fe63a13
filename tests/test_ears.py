import numpy as np
import pytest
import torch
from tiny import ENCODER
from transformers import WhisperConfig, WhisperFeatureExtractor, WhisperForConditionalGeneration

from earwise.errors import InputError
from earwise.models import Ears, EarsConfig
from earwise.models.mel import bucket_frames, log_mels
from earwise.models.whisper import encode


def waveform(num_samples, seed=0):
    return torch.from_numpy(np.random.default_rng(seed).standard_normal(num_samples).astype(np.float32) * 0.1)


def tiny_ears(**changes):
    return Ears.fresh(EarsConfig(ENCODER, 12, hidden=24, **changes), seed=0).eval()


@pytest.mark.parametrize(("num_samples", "frames"), [(1, 100), (16_000, 100), (16_001, 200), (40_000, 300)])
def test_buckets_are_whole_seconds(num_samples, frames):
    assert bucket_frames(num_samples) == frames


def test_log_mels_equal_the_first_frames_of_the_published_extractor():
    extractor = WhisperFeatureExtractor(feature_size=16)
    clips = [waveform(16_000), waveform(24_321, 1), waveform(5_000, 2)]
    mine = log_mels(clips, extractor)
    for row, clip in zip(mine, clips, strict=True):
        frames = bucket_frames(len(clip))
        theirs = extractor(clip.numpy(), sampling_rate=16_000, return_tensors="pt").input_features[0, :, :frames]
        torch.testing.assert_close(row[:, :frames], theirs, atol=1e-5, rtol=1e-5)
        assert (row[:, frames:] == 0).all()


@pytest.mark.parametrize(("num_samples", "tokens"), [(1_600, 1), (1_601, 2), (32_000, 20), (32_001, 21)])
def test_a_token_is_a_tenth_of_a_second_and_the_last_one_may_be_short(num_samples, tokens):
    assert tiny_ears(markers=False).num_tokens(num_samples) == tokens
    assert tiny_ears().num_tokens(num_samples) == tokens + 2
    assert tiny_ears()([waveform(num_samples)]).shape == (tokens + 2, 12)


@pytest.mark.parametrize("frozen", [0, "all"])
def test_a_sound_beyond_thirty_seconds_is_heard_in_pieces(frozen):
    """Markers stand around the whole sound; a piece is heard as it is alone, also beside other clips."""
    ears, bare, sound = tiny_ears(), tiny_ears(markers=False), waveform(1_000_000)
    bare.load_state_dict({name: value for name, value in ears.state_dict().items() if name != "markers"})
    ears.freeze_encoder(frozen)
    assert ears.num_tokens(480_000) == 302
    assert ears.num_tokens(480_001) == 303
    assert ears.num_tokens(1_000_000) == 300 + 300 + 25 + 2
    with torch.no_grad():
        pieces = [bare([sound[start : start + 480_000]]) for start in (0, 480_000, 960_000)]
        heard = ears([waveform(8_000, 1), sound])[ears.num_tokens(8_000) :]
    expected = torch.cat([ears.markers[:1], *pieces, ears.markers[1:]])
    torch.testing.assert_close(heard, expected, atol=1e-5, rtol=1e-4)


def test_a_sound_beyond_ten_minutes_is_refused():
    assert tiny_ears().num_tokens(600 * 16_000) == 6_002
    with pytest.raises(InputError, match=r"a clip of 600\.1 s is longer than 600 s"):
        tiny_ears().num_tokens(600 * 16_000 + 1_600)


def test_a_spectrogram_is_the_same_under_autocast():
    extractor, clip = WhisperFeatureExtractor(feature_size=80), [waveform(20_000)]
    with torch.autocast("cpu", torch.bfloat16):
        half = log_mels(clip, extractor)
    assert torch.equal(half, log_mels(clip, extractor))


def test_markers_surround_the_clip():
    ears = tiny_ears()
    out = ears([waveform(8_000), waveform(20_000, 1)])
    first = ears.num_tokens(8_000)
    for begin, end in ((0, first - 1), (first, len(out) - 1)):
        assert torch.equal(out[begin], ears.markers[0])
        assert torch.equal(out[end], ears.markers[1])


def test_a_clip_does_not_depend_on_the_clips_beside_it():
    ears = tiny_ears()
    clips = [waveform(9_000), waveform(47_000, 1), waveform(16_000, 2)]
    together = ears(clips)
    alone = torch.cat([ears([clip]) for clip in clips])
    torch.testing.assert_close(together, alone, atol=1e-5, rtol=1e-5)


def test_thirty_seconds_equal_whispers_own_encoder():
    ears = tiny_ears(markers=False)
    clip = waveform(480_000)
    mels = log_mels([clip], ears.extractor)
    with torch.no_grad():
        theirs = ears.encoder(mels).last_hidden_state
        mine = encode(ears.encoder, mels, torch.tensor([3000]))
    torch.testing.assert_close(mine, theirs, atol=1e-5, rtol=1e-5)


def test_pretrained_whisper_encoder_is_loaded_from_disk(tmp_path):
    torch.manual_seed(1)
    config = WhisperConfig(
        **ENCODER, decoder_layers=1, decoder_attention_heads=2, decoder_ffn_dim=16, vocab_size=60_000
    )
    whisper = WhisperForConditionalGeneration(config)
    whisper.save_pretrained(tmp_path)
    ears = Ears.from_whisper(str(tmp_path), EarsConfig({}, 12, hidden=24), seed=0)
    assert ears.config.encoder["d_model"] == 16
    for name, value in whisper.model.encoder.state_dict().items():
        assert torch.equal(ears.encoder.state_dict()[name], value), name


def test_the_same_seed_gives_the_same_ears_and_leaves_the_generator_alone():
    torch.manual_seed(3)
    expected = torch.rand(1)
    torch.manual_seed(3)
    one, two = tiny_ears(), tiny_ears()
    assert torch.equal(torch.rand(1), expected)
    assert all(torch.equal(a, b) for a, b in zip(one.parameters(), two.parameters(), strict=True))
