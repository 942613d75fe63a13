import json
import os

import numpy as np
import pytest

os.environ.setdefault("HF_HUB_OFFLINE", "1")

import torch
from transformers import VitsConfig, VitsModel, VitsTokenizer

from earwise.errors import InputError
from earwise.recipe.speech import HuggingFaceSettings
from earwise.speech.engine import open_engine


def save_tiny_vits(folder, speakers=1):
    """A VITS checkpoint with random weights and real files."""
    folder.mkdir()
    letters = "_ abcdefghijklmnopqrstuvwxyz'?.,"
    (folder / "vocab.json").write_text(json.dumps({letter: place for place, letter in enumerate(letters)}))
    VitsTokenizer(folder / "vocab.json", pad_token="_", phonemize=False, is_uroman=False).save_pretrained(folder)
    config = VitsConfig(
        vocab_size=len(letters),
        hidden_size=16,
        num_hidden_layers=1,
        num_attention_heads=2,
        ffn_dim=16,
        flow_size=16,
        spectrogram_bins=9,
        duration_predictor_filter_channels=8,
        duration_predictor_num_flows=1,
        duration_predictor_flow_bins=4,
        prior_encoder_num_flows=1,
        prior_encoder_num_wavenet_layers=1,
        posterior_encoder_num_wavenet_layers=1,
        upsample_initial_channel=16,
        upsample_rates=[8, 8],
        upsample_kernel_sizes=[16, 16],
        resblock_kernel_sizes=[3],
        resblock_dilation_sizes=[[1]],
        depth_separable_num_layers=1,
        num_speakers=speakers,
        speaker_embedding_size=4 if speakers > 1 else 0,
        sampling_rate=22_050,
    )
    torch.manual_seed(0)
    VitsModel(config).save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return save_tiny_vits(tmp_path_factory.mktemp("vits") / "one")


@pytest.fixture(scope="module")
def engine(folder):
    return open_engine(HuggingFaceSettings(type="huggingface", model=str(folder)))


def test_a_checkpoint_on_disk_speaks_at_16_khz(engine, folder):
    samples = engine.speak("is it red?", "0", 175, 50, 1)
    assert (samples.dtype, samples.ndim) == (np.float32, 1)
    assert 0 < np.abs(samples).max() <= 1
    assert (engine.name, engine.voices()) == (f"transformers vits {folder}", ["0"])


def test_the_length_is_the_models_resampled(engine):
    tokens = engine._tokenizer("is it red?", return_tensors="pt")
    with torch.random.fork_rng():
        torch.manual_seed(1)
        count = engine._model(**tokens).waveform.shape[-1]
    assert len(engine.speak("is it red?", "0", 175, 50, 1)) == int(np.floor(count * 16_000 / 22_050 + 0.5))


def test_the_seed_decides_the_samples_and_nothing_else_moves(engine):
    state = torch.random.get_rng_state()
    first = engine.speak("is it red?", "0", 175, 50, 1)
    engine.speak("what colour is it?", "0", 175, 50, 2)
    np.testing.assert_array_equal(engine.speak("is it red?", "0", 175, 50, 1), first)
    assert not np.array_equal(engine.speak("is it red?", "0", 175, 50, 2), first)
    assert torch.equal(torch.random.get_rng_state(), state)


def test_a_higher_rate_is_shorter(engine):
    assert len(engine.speak("is it red?", "0", 87.5, 50, 1)) > 1.5 * len(engine.speak("is it red?", "0", 175, 50, 1))


def test_speakers_are_voices(tmp_path):
    engine = open_engine(HuggingFaceSettings(type="huggingface", model=str(save_tiny_vits(tmp_path / "three", 3))))
    assert engine.voices() == ["0", "1", "2"]
    assert not np.array_equal(engine.speak("is it red?", "0", 175, 50, 1), engine.speak("is it red?", "2", 175, 50, 1))
    with pytest.raises(InputError, match="has no voice '3'"):
        engine.speak("is it red?", "3", 175, 50, 1)


def test_pitch_is_refused(engine):
    with pytest.raises(InputError, match="cannot change the pitch"):
        engine.speak("is it red?", "0", 175, 60, 1)


def test_pickled_weights_are_refused(folder, tmp_path):
    copy = tmp_path / "pickled"
    copy.mkdir()
    for path in folder.iterdir():
        if path.suffix != ".safetensors":
            (copy / path.name).write_bytes(path.read_bytes())
    torch.save({}, copy / "pytorch_model.bin")
    with pytest.raises(InputError, match="cannot load a text-to-speech model"):
        open_engine(HuggingFaceSettings(type="huggingface", model=str(copy)))


def test_a_missing_folder_is_named(tmp_path):
    with pytest.raises(InputError, match="nowhere: no such model folder"):
        open_engine(HuggingFaceSettings(type="huggingface", model=str(tmp_path / "nowhere")))
