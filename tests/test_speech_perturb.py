from dataclasses import dataclass

import numpy as np
import pytest

from earwise.errors import InputError
from earwise.speech.perturb import add_noise, change_speed, perturb, reverberate, room_response


@dataclass
class Settings:
    noise_snr_db: tuple[float, float] | None = None
    speed: tuple[float, float] | None = None
    reverb_rt60_s: tuple[float, float] | None = None
    probability: float = 1.0


def tone(seconds=1.0, hz=440.0, amplitude=0.1):
    return (amplitude * np.sin(2 * np.pi * hz * np.arange(round(seconds * 16_000)) / 16_000)).astype(np.float32)


def rng(seed=0):
    return np.random.default_rng(seed)


@pytest.mark.parametrize("kind", ["white", "pink", "speech"])
@pytest.mark.parametrize("snr_db", [20.0, 0.0])
def test_noise_has_the_ratio_asked_for(kind, snr_db):
    clean = tone()
    noise = add_noise(clean, snr_db, rng(), kind).astype(np.float64) - clean
    measured = 10 * np.log10(np.sum(clean.astype(np.float64) ** 2) / np.sum(noise**2))
    assert measured == pytest.approx(snr_db, abs=0.1)


def test_noise_that_exceeds_full_scale_scales_the_whole():
    loud = tone(amplitude=0.9)
    noisy = add_noise(loud, 0.0, rng())
    assert np.abs(noisy).max() == pytest.approx(1.0)
    # The tone is still there, smaller, and nothing is clipped flat.
    assert (np.abs(noisy) > 0.999).sum() < 3


def test_colours_of_noise():
    clean = tone(4.0)
    power = {kind: np.abs(np.fft.rfft(add_noise(clean, 0, rng(), kind) - clean)) ** 2 for kind in ("white", "pink")}

    def octaves(kind):  # 500-1000 Hz against 2000-4000 Hz, 4 bins per Hz
        return power[kind][2000:4000].sum() / power[kind][8000:16000].sum()

    assert octaves("white") == pytest.approx(1 / 4, rel=0.15)
    assert octaves("pink") == pytest.approx(1.0, rel=0.15)
    like_speech = np.abs(np.fft.rfft(add_noise(clean, 0, rng(), "speech") - clean)) ** 2
    assert like_speech.argmax() == 4 * 440


def test_a_silent_clip_has_no_ratio():
    with pytest.raises(InputError, match="silent"):
        add_noise(np.zeros(100, np.float32), 10, rng())


@pytest.mark.parametrize("speed", [0.5, 0.9, 1.0, 1.1, 1.37])
@pytest.mark.parametrize("length", [16_000, 16_001, 777])
def test_speed_gives_the_exact_length(speed, length):
    assert len(change_speed(tone()[:length] if length <= 16_000 else tone(2)[:length], speed)) == int(
        np.floor(length / speed + 0.5)
    )


def test_speed_raises_the_pitch_by_the_same_factor():
    faster = change_speed(tone(2.0, hz=400), 1.25)
    peak_hz = np.abs(np.fft.rfft(faster)).argmax() * 16_000 / len(faster)
    assert peak_hz == pytest.approx(500, abs=1)


@pytest.mark.parametrize("call", [lambda: change_speed(tone(), 0), lambda: room_response(-1.0, rng())])
def test_impossible_values_are_input_errors(call):
    with pytest.raises(InputError, match="above 0"):
        call()


@pytest.mark.parametrize("rt60_s", [0.2, 0.8])
def test_the_tail_decays_by_60_db_in_the_reverberation_time(rt60_s):
    response = room_response(rt60_s, rng())
    left_db = 10 * np.log10(
        np.cumsum(response[:0:-1] ** 2)[::-1]
    )  # Schroeder's backward integral, direct sound left out
    start, end = (int(np.argmax(left_db < left_db[0] - drop)) for drop in (5, 25))
    assert (end - start) / 16_000 * 60 / 20 == pytest.approx(rt60_s, rel=0.05)
    assert len(response) == round(rt60_s * 16_000)
    assert 10 * np.log10(1 / np.sum(response[1:] ** 2)) == pytest.approx(3.0)


def test_reverberation_keeps_length_and_energy_and_rings_on():
    click = np.zeros(16_000, np.float32)
    click[:160] = tone()[:160]
    wet = reverberate(click, 0.5, rng())
    assert len(wet) == len(click)
    assert np.sum(wet.astype(np.float64) ** 2) == pytest.approx(np.sum(click.astype(np.float64) ** 2), rel=1e-4)
    assert np.abs(wet[1000:3000]).max() > 1e-3 > np.abs(click[1000:3000]).max()


def test_reverberation_convolves():
    short = tone()[:50]
    wet = reverberate(short, 0.01, rng(3))
    plain = np.convolve(short, room_response(0.01, rng(3)))[:50]
    np.testing.assert_allclose(wet, plain * np.sqrt(np.sum(short**2) / np.sum(plain**2)), rtol=1e-4, atol=1e-6)


def test_perturb_is_decided_by_the_generator_alone():
    settings = Settings((5, 20), (0.9, 1.1), (0.1, 0.5))
    np.testing.assert_array_equal(perturb(tone(), settings, rng(1)), perturb(tone(), settings, rng(1)))
    assert len(perturb(tone(), settings, rng(1))) != len(perturb(tone(), settings, rng(2)))


def test_perturb_applies_nothing_at_probability_zero_and_nothing_that_is_absent():
    np.testing.assert_array_equal(perturb(tone(), Settings((5, 20), (0.9, 1.1), (0.1, 0.5), 0.0), rng()), tone())
    np.testing.assert_array_equal(perturb(tone(), Settings(), rng()), tone())
    assert len(perturb(tone(), Settings(noise_snr_db=(5, 20)), rng())) == 16_000


def test_perturb_applies_a_kind_to_its_share_of_clips():
    settings, source = Settings(speed=(2, 2), probability=0.3), rng()
    changed = sum(len(perturb(tone(0.01), settings, source)) == 80 for _ in range(1000))
    assert 250 < changed < 350
