import subprocess
import sys

import numpy as np
import pytest

from earwise.errors import InputError
from earwise.speech.espeak import EXCLUDED_VARIANTS, EspeakEngine, with_letters

RED, STAR = "How many red circles are there?", "What colour is the shape to the left of the star?"


@pytest.fixture(scope="module")
def engine():
    return EspeakEngine()


def sound(engine, text=RED, voice="en-us+m3", rate=170, pitch=50, seed=1):
    return engine.speak(text, voice, rate, pitch, seed).tobytes()


def test_over_100_voices_in_several_accents_without_the_excluded_variants(engine):
    voices = engine.voices()
    assert len(voices) == len(set(voices)) > 600
    assert {"en-us+m3", "en-gb+f2", "en-gb-scotland+f4", "en-us-nyc+Michael"} <= set(voices)
    assert not {voice.partition("+")[2] for voice in voices} & set(EXCLUDED_VARIANTS)
    assert engine.name == "espeak-ng 1.52.0"


@pytest.mark.parametrize(
    ("voice", "other"),
    [("en-us+m3", "en-gb+f2"), ("en-gb-scotland+f4", "en-us+klatt3"), ("en-029+Mr serious", "en-us+Alicia")],
)
def test_a_clip_does_not_depend_on_what_was_spoken_before(engine, voice, other):
    first = sound(engine, voice=voice)
    between = sound(engine, STAR, other)
    assert first != between
    assert sound(engine, voice=voice) == first
    assert sound(engine, STAR, other) == between


def test_another_process_speaks_the_same_bytes(engine):
    # f2 is breathy: espeak seeds its noise from the clock unless told otherwise.
    here = sound(engine, voice="en-gb+f2", seed=5)
    code = (
        "import sys; from earwise.speech.espeak import EspeakEngine;"
        f"sys.stdout.buffer.write(EspeakEngine().speak({RED!r}, 'en-gb+f2', 170, 50, 5).tobytes())"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, check=True).stdout == here


def test_the_seed_moves_the_noise_of_a_breathy_voice_only(engine):
    assert sound(engine, voice="en-us+f2", seed=1) != sound(engine, voice="en-us+f2", seed=2)
    assert sound(engine, seed=1) == sound(engine, seed=2)


def test_samples_are_mono_float32_within_full_scale(engine):
    samples = engine.speak(RED, "en-us+iven", 170, 50, 1)  # the loudest variant
    assert samples.dtype == np.float32
    assert samples.ndim == 1
    assert 0.5 < np.abs(samples).max() <= 1
    assert 0.7 < len(samples) / 16_000 < 4


def test_voice_rate_and_pitch_are_heard(engine):
    assert sound(engine, voice="en-gb+m3") != sound(engine, voice="en-us+m3") != sound(engine, voice="en-us+m5")
    assert len(sound(engine, rate=120)) > 1.3 * len(sound(engine, rate=200))
    assert sound(engine, pitch=30) != sound(engine, pitch=70)


def test_rate_is_rounded_to_a_whole_number(engine):
    assert sound(engine, rate=170.4) == sound(engine, rate=170)


@pytest.mark.parametrize(
    ("voice", "message"),
    [
        ("en-us+m33", r"espeak-ng has no voice 'en-us\+m33' .did you mean 'en-us\+m3'"),
        ("en-us", "has no voice 'en-us'"),
        ("de+m3", "did you mean"),
        ("en-us+whisper", "not offered: breath without voice"),
        ("en-shaw+m3", "not offered: for text in the Shavian alphabet"),
    ],
)
def test_an_unknown_voice_is_an_input_error(engine, voice, message):
    with pytest.raises(InputError, match=message):
        engine.speak(RED, voice, 170, 50, 1)


@pytest.mark.parametrize(("rate", "pitch"), [(40, 50), (900, 50), (170, -1), (170, 120), (float("nan"), 50)])
def test_a_rate_or_pitch_beyond_the_limits_is_an_input_error(engine, rate, pitch):
    with pytest.raises(InputError, match="espeak-ng takes a"):
        engine.speak(RED, "en-us+m3", rate, pitch, 1)


def test_text_of_pauses_only_is_silence(engine):
    assert np.abs(engine.speak(", .", "en-us+m3", 170, 50, 1)).max(initial=0) < 1e-4


A = "[['eI]]"


@pytest.mark.parametrize(
    ("spoken", "expected"),
    [
        ("A red cat. A dog or A?", f"A red cat. A dog or {A}?"),
        ("Is A larger than B?", f"Is {A} larger than B?"),
        ("Option A: a cat. Option B: A dog.", f"Option {A}: a cat. Option B: A dog."),
        ("A A battery", f"{A} {A} battery"),
        ("U S A", f"U S {A}"),
        ("A, B", f"{A}, B"),
        ("A", A),
        ("Apple A-frame CIA", "Apple A-frame CIA"),
        ("a [[ b", "a   b"),
    ],
)
def test_letter_a_is_marked_and_the_article_is_not(spoken, expected):
    assert with_letters(spoken) == expected


def test_letter_a_does_not_sound_like_the_article(engine):
    assert sound(engine, "Is A larger?") != sound(engine, "Is a larger?")


def test_another_user_of_the_library_is_refused(engine):
    import _ctypes
    import ctypes

    import espeakng_loader

    library = ctypes.CDLL(espeakng_loader.get_library_path())
    try:
        with pytest.raises(Exception, match="another part of this process uses espeak-ng"):
            engine.speak(RED, "en-us+m3", 170, 50, 1)
    finally:
        _ctypes.dlclose(library._handle)
    assert sound(engine)
