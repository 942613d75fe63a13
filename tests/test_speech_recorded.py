"""Clips that are cut out of recordings: linked or written, resumed, dropped with a reason."""

import numpy as np
import pytest
import soundfile
from corpora import tone

from earwise.data.asr import Recording
from earwise.errors import InputError
from earwise.recipe.speech import Perturb
from earwise.records import Item
from earwise.speech.clips import load_clip, make_clips, read_clips

HOW = {"voices": ["v"], "rates": (150.0, 190.0), "pitches": (50.0, 50.0)}


class Mute:
    """An engine that must not be asked."""

    name, waits = "mute", False

    def voices(self):
        raise AssertionError

    speak = voices


def item(name, audio, **recording):
    meta = {"recording": Recording(**recording).model_dump(exclude_defaults=True)}
    return Item(id=name, source="s", question="RED STAR", answers=("red star",), audio=audio, cluster=name, meta=meta)


@pytest.fixture
def audio(tmp_path):
    folder = tmp_path / "data" / "media"
    folder.mkdir(parents=True)
    soundfile.write(folder / "whole.flac", tone(1.0), 16_000)
    soundfile.write(folder / "wide.wav", np.stack([tone(2.0, 48_000), -tone(2.0, 48_000, hz=600)], axis=1), 48_000)
    soundfile.write(folder / "long.flac", tone(30.1), 16_000)
    soundfile.write(folder / "silent.flac", np.zeros(8_000), 16_000)
    (folder / "broken.flac").write_bytes(b"no sound")
    return tmp_path / "data"


def cut(items, folder, audio, **changes):
    return make_clips(items, folder, Mute, **HOW, audio=audio, **changes)


def test_a_whole_lossless_file_is_used_where_it_is(audio, tmp_path):
    (clip,) = cut([item("a", "media/whole.flac", speaker="19")], tmp_path / "clips", audio).clips
    assert (clip.engine, clip.voice, clip.spoken, clip.pitch) == ("recording", "19", "RED STAR", 50.0)
    assert (clip.path, clip.num_samples) == ("recorded/media/whole.flac", 16_000)
    assert clip.rate == pytest.approx(120)  # two words in one second
    assert not (tmp_path / "clips" / "wav").exists()
    assert np.abs(load_clip(clip, tmp_path / "clips") - tone(1.0)).max() < 1e-4


def test_a_recording_cannot_say_an_answer_format_request(audio, tmp_path):
    plain = item("a", "media/whole.flac")
    asked = item("b", "media/whole.flac").model_copy(update={"suffix": " Answer with a single word."})
    said = rf"^{audio}: b: its recording does not say its answer-format request 'Answer with a single word\.' \(set "
    with pytest.raises(InputError, match=said):
        cut([plain, asked], tmp_path / "clips", audio, speak_suffix=True)
    assert not (tmp_path / "clips").exists()
    assert len(cut([plain], tmp_path / "clips", audio, speak_suffix=True).clips) == 1
    assert len(cut([plain, asked], tmp_path / "clips", audio).clips) == 2


def test_a_part_of_a_file_is_mixed_resampled_and_written_once(audio, tmp_path):
    one = item("a", "media/wide.wav", offset_s=0.5, duration_s=1.0, channel=1)
    (clip,) = cut([one], tmp_path / "clips", audio).clips
    assert clip.path.startswith("wav/")
    assert clip.num_samples == 16_000
    samples = load_clip(clip, tmp_path / "clips")
    assert np.abs(np.abs(np.fft.rfft(samples)).argmax() - 600) <= 1
    assert soundfile.info(tmp_path / "clips" / clip.path).samplerate == 16_000


def test_what_cannot_be_heard_is_dropped_with_its_reason(audio, tmp_path):
    items = [item(name, f"media/{name}.flac") for name in ("whole", "long", "silent", "broken", "gone")]
    items.append(item("late", "media/whole.flac", offset_s=0.5, duration_s=2.0))
    made = cut(items, tmp_path / "clips", audio)
    assert [clip.item for clip in made.clips] == ["whole"]
    assert {drop.item: drop.reason for drop in made.dropped} == {
        "long": "longer than 30 s",
        "silent": "audio is silent",
        "broken": "not readable as audio",
        "gone": "audio file not found",
        "late": "the recording ends before its part",
    }


def test_a_second_run_cuts_nothing_and_a_change_cuts_anew(audio, tmp_path):
    folder = tmp_path / "clips"
    first = cut([item("a", "media/whole.flac"), item("b", "media/wide.wav")], folder, audio)
    written = {path: path.stat().st_mtime_ns for path in folder.rglob("*.wav")}
    assert cut([item("a", "media/whole.flac"), item("b", "media/wide.wav")], folder, audio) == first
    assert {path: path.stat().st_mtime_ns for path in folder.rglob("*.wav")} == written
    changed = cut([item("a", "media/whole.flac", duration_s=0.5), item("b", "media/wide.wav")], folder, audio)
    assert [clip.num_samples for clip in changed.clips] == [8_000, 32_000]
    assert read_clips(folder) == changed


def test_two_processes_cut_the_same_as_one(audio, tmp_path):
    items = [item(f"i{n}", "media/wide.wav", offset_s=n / 100, duration_s=0.5) for n in range(70)]
    one, two = (cut(items, tmp_path / str(workers), audio, workers=workers) for workers in (1, 2))
    assert one.clips == two.clips


def test_recordings_can_be_perturbed_too(audio, tmp_path):
    noise = Perturb(noise_snr_db=(5, 10), probability=1.0)
    (clean,) = cut([item("a", "media/whole.flac")], tmp_path / "clean", audio).clips
    (noisy,) = cut([item("a", "media/whole.flac")], tmp_path / "noisy", audio, perturbation=noise).clips
    assert noisy.path.startswith("wav/")
    assert noisy.sha256 != clean.sha256
    (again,) = cut([item("a", "media/whole.flac")], tmp_path / "again", audio, perturbation=noise).clips
    assert again == noisy
