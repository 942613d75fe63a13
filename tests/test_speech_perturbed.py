import pickle

import numpy as np
import pytest

from earwise.recipe.speech import EspeakSettings, Perturb
from earwise.speech.perturbed import open_perturbed, opener

ESPEAK = EspeakSettings(type="espeak")
NOISE = Perturb(noise_snr_db=(10.0, 10.0), probability=1.0)
HOW = ("what color is the star", "en-us+m3", 170.0, 50.0)


def test_without_settings_the_engine_is_the_plain_one():
    plain, wrapped = open_perturbed(ESPEAK, None), open_perturbed(ESPEAK, NOISE)
    assert plain.name in wrapped.name
    assert plain.name != wrapped.name
    assert plain.voices() == wrapped.voices()


def test_noise_has_the_asked_ratio_and_follows_the_clips_seed():
    plain, noisy = open_perturbed(ESPEAK, None).speak(*HOW, seed=4), open_perturbed(ESPEAK, NOISE)
    once, twice, other = (noisy.speak(*HOW, seed=seed) for seed in (4, 4, 5))
    assert np.array_equal(once, twice)
    assert not np.array_equal(once, other)
    scale = float(np.dot(once, plain) / np.dot(plain, plain))  # a clip that would exceed full scale is turned down
    noise = once / scale - plain
    assert 10 * np.log10(np.mean(plain**2) / np.mean(noise**2)) == pytest.approx(10.0, abs=0.5)


def test_it_travels_to_worker_processes():
    assert pickle.loads(pickle.dumps(opener(ESPEAK, NOISE)))().name == open_perturbed(ESPEAK, NOISE).name
