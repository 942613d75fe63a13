"""Clips judged by their samples, and spoken forms compared with what came back of them."""

import numpy as np
import pytest

from earwise.recipe.speech import Gate
from earwise.records import SAMPLE_RATE_HZ, Clip, Item
from earwise.speech.gate import check, count
from earwise.speech.recovered import RoundTrip
from earwise.speech.signal import measure

TRIP = RoundTrip({"colour": "color"})


def tone(seconds, level=0.5):
    time = np.arange(round(seconds * SAMPLE_RATE_HZ)) / SAMPLE_RATE_HZ
    return (level * np.sin(2 * np.pi * 100 * time)).astype(np.float32)


def quiet(seconds):
    return np.zeros(round(seconds * SAMPLE_RATE_HZ), np.float32)


def test_silence_loudness_and_clipping_by_hand():
    signal = measure(np.concatenate([quiet(0.5), tone(2), quiet(1.5)]))
    assert (signal.duration_s, signal.leading_s, signal.trailing_s) == (4.0, 0.5, 1.5)
    assert (signal.sounding_s, signal.silence, signal.clipped) == (2.0, 0.5, 0.0)
    # A sine of amplitude 0.5 has a root mean square of 0.5 / sqrt(2): -9.03 dB.
    assert signal.level_db == pytest.approx(20 * np.log10(0.5 / np.sqrt(2)), abs=1e-4)
    half = np.concatenate([np.ones(800, np.float32), -np.ones(800, np.float32), tone(0.1)])
    assert measure(half).clipped == pytest.approx(0.5)


def test_a_pause_inside_is_not_silence_at_an_end_and_noise_below_40_db_is():
    signal = measure(np.concatenate([tone(0.1, 0.004), tone(1), quiet(3), tone(1), tone(0.25, 0.004)]))
    assert signal.leading_s == pytest.approx(0.1)
    assert signal.trailing_s == pytest.approx(0.25)
    # 20 dB below the loudest frame is not silence.
    assert measure(np.concatenate([tone(0.1, 0.05), tone(1)])).leading_s == 0.0


def test_what_is_silent_is_silent_from_its_beginning_to_its_end():
    for samples in (quiet(2), tone(2, 0.004)):
        signal = measure(samples)
        assert signal.is_silent
        assert (signal.silence, signal.leading_s) == (1.0, 2.0)
    assert not measure(tone(2, 0.006)).is_silent
    assert measure(tone(0.005)).duration_s == 0.005


@pytest.mark.parametrize(
    ("question", "spoken", "heard", "errors", "words", "lost"),
    [
        ("Is it red?", "Is it red?", "is it red", 0, 3, ()),
        ("Is it red?", "Is it red?", "Is it bread or red?", 2, 3, ()),
        ("Is it red?", "Is it red?", "", 3, 3, ()),
        ("What colour?", "What colour?", "What color?", 0, 2, ()),
        # Numbers: as digits or words, cut differently; not another number, not one fewer.
        ("Are there 20?", "Are there twenty?", "Are there 20?", 0, 3, ()),
        ("Are there 20?", "Are there twenty?", "Are there twelve?", 1, 3, ("numbers",)),
        ("Is 2 more than 2?", "Is two more than two?", "Is 2 more than?", 1, 5, ("numbers",)),
        ("Is 7, 4, 3 it?", "Is seven, four, three it?", "is 7-4-3 it", 0, 3, ()),
        ("$3.5?", "three point five dollars?", "$3.50", 1, 1, ("numbers",)),
        # Letters that are spelled are one word.
        ("The BX-74?", "The B X seventy-four?", "the BX-74", 0, 3, ()),
        # Option letters.
        ("Is?", "Is? Option A: red. Option B: blue.", "Is? Option A, red. Option B, blue.", 0, 7, ()),
        ("Is?", "Is? Option A: red. Option B: blue.", "Is? Option A, red. Option D, blue.", 1, 7, ("letters",)),
        # Quoted strings, wherever their spaces are.
        ('Does it say "car wash"?', "Does it say car wash?", "Does it say carwash?", 2, 5, ()),
        ('Does it say "car wash"?', "Does it say car wash?", "Does it say car watch?", 1, 5, ("quotes",)),
        ("Is 'a b' the dog's?", "Is a b the dog's?", "is ab the dog's", 0, 5, ()),
        ("Is it John's or Ann's?", "Is it John's or Ann's?", "is it jon's or anne's", 2, 7, ()),
    ],
)
def test_what_comes_back(question, spoken, heard, errors, words, lost):
    found = TRIP.compare(question, spoken, heard)
    assert (found.errors, found.words, found.lost) == (errors, words, lost)
    assert found.wer == errors / words


def clip_of(spoken, samples):
    return Clip(
        item="q", spoken=spoken, form_version="en-2", engine="e 1", voice="v", rate=175, pitch=50, seed=0,
        path="a.wav", num_samples=len(samples), sha256="0" * 64,
    )  # fmt: skip


def judged(samples, heard=None, spoken="one two three four five", **settings):
    item = Item(id="q", source="t", question=spoken, answers=("yes",), cluster="c")
    return check(clip_of(spoken, samples), item, samples, heard, TRIP, Gate(**settings))


def test_every_reason_and_its_threshold():
    good = tone(2)  # 5 words in 2 s are 150 a minute
    assert judged(good).rate_wpm == pytest.approx(150)
    assert judged(good).passed
    assert judged(good, rates_wpm=(151, 300)).reasons == ("slow",)
    assert judged(good, rates_wpm=(60, 149)).reasons == ("fast",)
    assert judged(np.concatenate([good, quiet(2)])).reasons == ()
    assert judged(np.concatenate([good, quiet(2.1)])).reasons == ("silence",)
    assert judged(np.concatenate([good, quiet(2.1)]), max_silence=0.6).reasons == ()
    assert judged(quiet(2)).reasons == ("silent",)
    assert judged(quiet(2)).rate_wpm == 0
    loud = good.copy()
    loud[:32] = 1.0  # one sample in a thousand
    assert judged(loud).reasons == ()
    loud[:33] = -1.0
    assert judged(loud).reasons == ("clipped",)


def test_the_round_trip_decides_only_where_somebody_listened():
    good, spoken = tone(2), "is it the number five"
    assert judged(good, None, spoken).errors is None
    assert judged(good, spoken, spoken).reasons == ()
    assert judged(good, "is it the number nine", spoken).reasons == ("wer", "numbers")
    assert judged(good, "is it the number nine", spoken, max_wer=0.2).reasons == ("numbers",)
    assert judged(good, "is it the number nine", spoken, max_wer=0.2, recovered=False).reasons == ()
    assert judged(good, "is it the number nine", spoken, max_wer=0.2, recovered=False).lost == ("numbers",)


def test_failures_are_counted_by_reason():
    good, spoken = tone(2), "is it the number five"
    checks = [
        judged(good, spoken, spoken),
        judged(good, "is it the number nine", spoken),
        judged(np.concatenate([good, quiet(3)]), "is it the lumber five", spoken),
    ]
    assert count(checks) == {
        "clips": 3,
        "failed": 2,
        "reasons": {"wer": 2, "numbers": 1, "silence": 1},
        "wer": pytest.approx(2 / 15),
    }
    assert count([judged(good)])["wer"] is None
