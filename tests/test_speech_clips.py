import functools
import hashlib
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import soundfile

from earwise.errors import InputError
from earwise.recipe.speech import EspeakSettings
from earwise.records import Clip, Item
from earwise.speech.cast import Cast, cast_of, draw_delivery
from earwise.speech.clips import CLIPS, Drop, load_clip, make_clips, read_clips
from earwise.speech.engine import open_engine
from earwise.work.store import read_store

ESPEAK = functools.partial(open_engine, EspeakSettings(type="espeak"))
VOICES = ["en-gb+f2", "en-gb+m3", "en-us+f4", "en-us+m5"]
HOW = {"voices": VOICES, "rates": (150.0, 190.0), "pitches": (40.0, 60.0)}


def item(number, question=None, **fields):
    question = f"Is there a red circle in picture {number}?" if question is None else question
    return Item(id=f"q{number}", source="t", question=question, answers=("yes",), cluster="c", **fields)


MANY = [item(number) for number in range(150)]


class Beeper:
    """Beeps once per word; counts what it is asked for."""

    name, waits = "beeper 1", False

    def __init__(self):
        self.spoken = []

    def voices(self):
        return VOICES

    def speak(self, spoken, voice, rate, pitch, seed):
        self.spoken.append(spoken)
        if "mute" in spoken:
            return np.zeros(1600, np.float32)
        return np.full(len(spoken.split()) * 160, 0.25, np.float32) * np.tile([1, -1], len(spoken.split()) * 80)


def files(folder):
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_a_clip_records_how_it_was_made(tmp_path):
    made = make_clips([item(1, choices=("red", "2 cats"))], tmp_path, ESPEAK, **HOW, seed=3)
    clip = made.clips[0]
    delivery = draw_delivery("q1", VOICES, HOW["rates"], HOW["pitches"], 3)
    assert clip.spoken == "Is there a red circle in picture one? Option A: red. Option B: two cats."
    assert (clip.voice, clip.rate, clip.pitch, clip.seed) == tuple(vars(delivery).values())
    assert (clip.engine, clip.form_version) == ("espeak-ng 1.52.0", "en-2")
    data, rate_hz = soundfile.read(tmp_path / clip.path, dtype="int16")
    assert (rate_hz, data.shape) == (16_000, (clip.num_samples,))
    assert hashlib.sha256(data.astype("<i2").tobytes()).hexdigest() == clip.sha256
    np.testing.assert_array_equal(load_clip(clip, tmp_path), data / np.float32(32768))
    assert read_store(tmp_path / CLIPS, Clip) == made.clips


def test_delivery_depends_on_item_and_seed_and_fills_its_ranges():
    draws = [draw_delivery(f"q{number}", VOICES, (100, 200), (10, 90), 0) for number in range(2000)]
    assert draws[7] == draw_delivery("q7", VOICES, (100, 200), (10, 90), 0)
    assert draws[7] != draw_delivery("q7", VOICES, (100, 200), (10, 90), 1)
    counts = [sum(draw.voice == voice for draw in draws) for voice in VOICES]
    assert all(420 < count < 580 for count in counts)
    rates, pitches = [draw.rate for draw in draws], [draw.pitch for draw in draws]
    assert (min(rates), max(rates), min(pitches), max(pitches)) == (100, 200, 10, 90)
    assert all(float(value).is_integer() for value in rates + pitches)
    assert np.corrcoef(rates, pitches)[0, 1] == pytest.approx(0, abs=0.07)


def test_an_item_sounds_the_same_in_another_order_and_beside_others(tmp_path):
    items = [item(number) for number in range(4)]
    all_four = make_clips(items, tmp_path / "a", ESPEAK, **HOW).clips
    backwards = make_clips(items[::-1], tmp_path / "b", ESPEAK, **HOW).clips
    alone = make_clips(items[2:3], tmp_path / "c", ESPEAK, **HOW).clips
    assert all_four == backwards[::-1]
    assert alone == all_four[2:3]


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """150 items, spoken by one process without interruption."""
    return make_clips(MANY, tmp_path_factory.mktemp("whole"), ESPEAK, **HOW)


def test_two_processes_write_the_same_folder_as_one(whole, tmp_path):
    two = make_clips(MANY, tmp_path, ESPEAK, **HOW, workers=2)
    assert two.clips == whole.clips
    assert files(tmp_path) == files(whole.folder)


def test_a_second_run_speaks_nothing(tmp_path):
    beeper, items = Beeper(), [item(1), item(2)]
    first = make_clips(items, tmp_path, lambda: beeper, **HOW)
    before = files(tmp_path)
    assert make_clips(items, tmp_path, lambda: beeper, **HOW) == first
    assert len(beeper.spoken) == 2
    assert files(tmp_path) == before


def test_what_takes_longer_than_30_s_is_dropped_and_counted_and_not_spoken_again(tmp_path):
    class Slow(Beeper):
        def speak(self, spoken, voice, rate, pitch, seed):
            self.spoken.append(spoken)
            return np.tile(np.float32([0.25, -0.25]), 240_000 + ("too" in spoken))

    slow, items = Slow(), [item(1, "just fits"), item(2, "one sample too many")]
    made = make_clips(items, tmp_path, lambda: slow, **HOW)
    assert [clip.duration_s for clip in made.clips] == [30.0]
    assert [(drop.item, drop.reason) for drop in made.dropped] == [("q2", "longer than 30 s when spoken")]
    assert make_clips(items, tmp_path, lambda: slow, **HOW) == made
    assert len(slow.spoken) == 2


def test_more_items_speak_only_the_new_ones_and_keep_the_order_of_the_items(tmp_path):
    beeper, items = Beeper(), [item(number) for number in range(3)]
    make_clips(items[1:], tmp_path, lambda: beeper, **HOW)
    assert [clip.item for clip in make_clips(items, tmp_path, lambda: beeper, **HOW).clips] == ["q0", "q1", "q2"]
    assert len(beeper.spoken) == 3


def test_changed_settings_leave_no_old_clip_in_the_folder(tmp_path):
    beeper, items = Beeper(), [item(1), item(2)]
    make_clips(items, tmp_path, lambda: beeper, **HOW, seed=0)
    changed = make_clips(items, tmp_path, lambda: beeper, **HOW, seed=1)
    assert read_clips(tmp_path) == changed
    assert len(beeper.spoken) == 4
    # Going back costs nothing: the WAV files are a cache by content.
    make_clips(items, tmp_path, lambda: beeper, **HOW, seed=0)
    assert len(beeper.spoken) == 4


@pytest.mark.parametrize(
    "changed",
    [item(1, "Is it blue?"), item(1, choices=("red", "blue"))],
)
def test_a_changed_item_is_spoken_again(tmp_path, changed):
    beeper = Beeper()
    make_clips([item(1)], tmp_path, lambda: beeper, **HOW)
    assert make_clips([changed], tmp_path, lambda: beeper, **HOW).clips[0].spoken == beeper.spoken[-1]
    assert len(beeper.spoken) == 2


def test_the_suffix_is_spoken_where_asked(tmp_path):
    asked = item(1, "Is it red?", suffix=" Please answer yes or no.")
    without = make_clips([asked], tmp_path / "a", Beeper, **HOW).clips[0].spoken
    spoken = make_clips([asked], tmp_path / "b", Beeper, **HOW, speak_suffix=True).clips[0].spoken
    assert (without, spoken) == ("Is it red?", "Is it red? Please answer yes or no.")


def test_what_has_no_clip_is_recorded_with_its_reason(tmp_path):
    items = [item(1), item(2, "What is x^2?"), item(3, ""), item(4, "Is it mute?")]
    made = make_clips(items, tmp_path, Beeper, **HOW)
    assert [clip.item for clip in made.clips] == ["q1"]
    assert [(drop.item, drop.reason) for drop in made.dropped[:2]] == [("q2", "holds a formula"), ("q3", "empty text")]
    assert made.dropped[2].reason.startswith("beeper 1 with voice en-")
    assert made.dropped[2].reason.endswith("audio is silent")
    assert read_store(tmp_path / "dropped.jsonl", Drop) == made.dropped


def test_nothing_but_drops_is_an_input_error(tmp_path):
    with pytest.raises(InputError, match="q2: none of 1 item can be spoken: holds a formula"):
        make_clips([item(2, "What is x^2?")], tmp_path, Beeper, **HOW)


def test_no_items_make_an_empty_folder(tmp_path):
    assert make_clips([], tmp_path, Beeper, **HOW).clips == []
    assert read_clips(tmp_path).clips == []


def test_unknown_voice_and_doubled_ids_are_input_errors(tmp_path):
    with pytest.raises(InputError, match=r"beeper 1 has no voice 'en-us\+m6'"):
        make_clips([item(1)], tmp_path, Beeper, **{**HOW, "voices": ["en-us+m6"]})
    with pytest.raises(InputError, match="q1: duplicate item id"):
        make_clips([item(1), item(1)], tmp_path, Beeper, **HOW)
    with pytest.raises(InputError, match="no voice"):
        make_clips([item(1)], tmp_path, Beeper, **{**HOW, "voices": []})


def test_a_wav_file_that_is_not_the_clips_is_an_input_error(tmp_path):
    clip = make_clips([item(1)], tmp_path, Beeper, **HOW).clips[0]
    wav = tmp_path / clip.path
    whole = wav.read_bytes()
    wav.write_bytes(whole[:-200])
    with pytest.raises(InputError, match="truncated"):
        load_clip(clip, tmp_path)
    soundfile.write(wav, np.full(100, 0.1) * np.tile([1, -1], 50), 16_000)
    with pytest.raises(InputError, match=f"has 100 samples, the clip has {clip.num_samples}"):
        load_clip(clip, tmp_path)
    wav.unlink()
    with pytest.raises(InputError, match="not found"):
        load_clip(clip, tmp_path)


def test_a_broken_cached_file_is_spoken_again(tmp_path):
    beeper = Beeper()
    clip = make_clips([item(1)], tmp_path, lambda: beeper, **HOW).clips[0]
    (tmp_path / clip.path).write_bytes(b"")
    (tmp_path / CLIPS).unlink()
    assert make_clips([item(1)], tmp_path, lambda: beeper, **HOW).clips == [clip]
    assert len(beeper.spoken) == 2


def test_a_full_disk_is_one_clear_line_and_nothing_half_written(tmp_path, monkeypatch):
    def full(**_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("earwise.work.store.tempfile.mkstemp", full)
    with pytest.raises(InputError, match=r"\.wav: cannot write: No space left on device .make room"):
        make_clips([item(1)], tmp_path, Beeper, **HOW)
    monkeypatch.undo()
    assert len(make_clips([item(1)], tmp_path, Beeper, **HOW).clips) == 1


KILLED = f"""
import sys
from {Path(__file__).stem} import ESPEAK, HOW, MANY
from earwise.speech.clips import make_clips
if __name__ == "__main__":
    make_clips(MANY, sys.argv[1], ESPEAK, **HOW, workers=int(sys.argv[2]))
"""


@pytest.mark.parametrize("workers", [1, 2])
def test_kill_9_and_again_gives_the_folder_of_an_uninterrupted_run(whole, tmp_path, workers):
    script, folder = tmp_path / "speak.py", tmp_path / "clips"
    script.write_text(KILLED)
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parent)}
    process = subprocess.Popen([sys.executable, script, folder, str(workers)], env=environment)
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and (not (folder / CLIPS).exists() or (folder / CLIPS).stat().st_size < 5_000):
        time.sleep(0.005)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert 0 < len(read_store(folder / CLIPS, Clip)) < len(MANY)
    assert make_clips(MANY, folder, ESPEAK, **HOW).clips == whole.clips
    spoken, expected = files(folder), files(whole.folder)
    assert {name: spoken.get(name) for name in expected} == expected


class Squeaker(Beeper):
    """Another engine with one voice."""

    name = "squeaker 1"

    def voices(self):
        return ["mouse"]


def test_other_engines_speak_their_share_and_no_more(tmp_path):
    squeak = Cast(Squeaker, ["mouse"], (90.0, 90.0), (50.0, 50.0), share=0.25)
    made = make_clips([item(number) for number in range(400)], tmp_path, Beeper, **HOW, others=[squeak])
    squeaked = [clip for clip in made.clips if clip.engine == "squeaker 1"]
    assert len(made.clips) == 400
    assert 70 < len(squeaked) < 130  # 100 expected, 9 is the standard deviation
    assert {(clip.voice, clip.rate) for clip in squeaked} == {("mouse", 90.0)}
    assert {clip.voice for clip in made.clips if clip not in squeaked} == set(VOICES)


def test_who_speaks_an_item_does_not_depend_on_its_neighbours(tmp_path):
    squeak = Cast(Squeaker, ["mouse"], (90.0, 90.0), (50.0, 50.0), share=0.5)
    whole = make_clips(MANY, tmp_path / "a", Beeper, **HOW, others=[squeak])
    few = make_clips(MANY[7:40], tmp_path / "b", Beeper, **HOW, others=[squeak])
    assert [clip.sha256 for clip in few.clips] == [clip.sha256 for clip in whole.clips[7:40]]
    assert [clip.engine for clip in few.clips] == [clip.engine for clip in whole.clips[7:40]]


def test_a_voice_that_another_engine_does_not_have_is_refused_by_its_name(tmp_path):
    with pytest.raises(InputError, match="squeaker 1 has no voice 'cat'"):
        make_clips(MANY, tmp_path, Beeper, **HOW, others=[Cast(Squeaker, ["cat"], (90, 90), (50, 50), share=0.5)])


def test_shares_of_others_are_met_and_leave_the_rest_to_the_first():
    drawn = [cast_of(f"q{number}", [0.2, 0.3], 0) for number in range(5000)]
    assert [drawn.count(number) / 5000 for number in range(3)] == pytest.approx([0.5, 0.2, 0.3], abs=0.03)
