"""Frames and sound out of real MP4 files, and one clear line for each way in which a file can be broken."""

import numpy as np
import pytest
from videos import COLOURS, write_video

from earwise.data.media import load_audio, load_image
from earwise.data.video import FrameChoice, check_video, frame_files, read_frames, read_sound, sound_file
from earwise.errors import InputError


def colours(pictures):
    """Number of the colour of each picture."""
    means = [np.asarray(picture, dtype=float).mean(axis=(0, 1)) for picture in pictures]
    return [int(np.argmin([np.abs(mean - colour).sum() for colour in COLOURS])) for mean in means]


@pytest.mark.parametrize(
    ("choice", "times"),
    [
        (FrameChoice(count=2), [0.5, 1.5]),
        (FrameChoice(count=100, fps=2), [0.25, 0.75, 1.25, 1.75]),
        (FrameChoice(count=2, fps=2), [0.5, 1.5]),
        (FrameChoice(count=8, fps=0.1), [1.0]),
    ],
)
def test_frames_are_taken_from_the_middle_of_equal_parts(choice, times):
    assert choice.times(2.0) == times


def test_the_frame_that_is_seen_at_a_time_is_taken(tmp_path):
    """6 frames of half a second each: the middles of three parts of a second lie on frames 1, 3 and 5."""
    path = write_video(tmp_path / "v.mp4", frames=6, fps=2)
    assert colours(read_frames(path, FrameChoice(count=6))) == [0, 1, 2, 3, 4, 5]
    assert colours(read_frames(path, FrameChoice(count=2))) == [1, 4]
    assert colours(read_frames(path, FrameChoice(count=12))) == [0, 0, 1, 1, 2, 2, 3, 3, 4, 4, 5, 5]


def test_large_frames_are_scaled_down_and_small_ones_left(tmp_path):
    path = write_video(tmp_path / "v.mp4", frames=2, size=(64, 48))
    assert read_frames(path, FrameChoice(count=1, longest_side=32))[0].size == (32, 24)
    assert read_frames(path, FrameChoice(count=1, longest_side=100))[0].size == (64, 48)


def test_sound_is_mono_at_16_khz_and_of_the_right_pitch(tmp_path):
    samples = read_sound(write_video(tmp_path / "v.mp4", frames=8, fps=4, tone_hz=1000.0))
    assert samples.dtype == np.float32
    assert len(samples) == pytest.approx(32_000, abs=1100)  # AAC works in blocks of 1,024 samples
    assert np.argmax(np.abs(np.fft.rfft(samples))) * 16_000 / len(samples) == pytest.approx(1000, abs=2)
    assert np.abs(samples[4000:-4000]).max() == pytest.approx(0.5, abs=0.05)


def test_files_are_written_once_and_again_when_the_video_changes(tmp_path):
    path = write_video(tmp_path / "v.mp4", frames=4)
    files = frame_files(path, FrameChoice(count=3))
    assert [file.name for file in files] == ["000.jpg", "001.jpg", "002.jpg"]
    times = [file.stat().st_mtime_ns for file in files]
    assert frame_files(path, FrameChoice(count=3)) == files
    assert [file.stat().st_mtime_ns for file in files] == times
    assert frame_files(path, FrameChoice(count=2))[0].parent != files[0].parent
    sound = sound_file(path)
    assert np.abs(load_audio(sound) - read_sound(path)).max() <= 1 / 32768
    assert sound_file(path) == sound
    write_video(path, frames=8)
    assert sound_file(path) != sound
    assert load_image(files[0]).size == (64, 48)


def refused(read, path):
    with pytest.raises(InputError) as caught:
        read(path)
    text = str(caught.value)
    assert text.startswith(f"{path}: ")
    assert "\n" not in text
    return text.removeprefix(f"{path}: ")


def test_missing_empty_and_foreign_files_are_named(tmp_path):
    for read in (read_frames, read_sound, frame_files, sound_file, check_video):
        assert refused(read, tmp_path / "none.mp4") == "video file not found"
        (tmp_path / "zero.mp4").touch()
        assert refused(read, tmp_path / "zero.mp4").startswith("video file is empty (0 bytes)")
        (tmp_path / "text.mp4").write_text("not a video at all " * 100)
        assert refused(read, tmp_path / "text.mp4").startswith("not readable as video: ")


def test_a_missing_stream_is_named(tmp_path):
    silent = write_video(tmp_path / "silent.mp4", tone_hz=None)
    blind = write_video(tmp_path / "blind.mp4", pictures=False)
    assert refused(read_sound, silent) == refused(check_video, silent) == "the video has no sound"
    assert refused(read_frames, blind) == refused(check_video, blind) == "the video has no picture stream"
    assert len(read_frames(silent)) == 8
    assert len(read_sound(blind)) > 30_000


def test_a_sound_without_any_sound_in_it_is_named(tmp_path):
    assert refused(read_sound, write_video(tmp_path / "v.mp4", tone_hz=0.0)).startswith("audio is silent")


def test_zero_frames_are_named(tmp_path):
    path = write_video(tmp_path / "v.mp4", frames=0, seconds=1)
    text = refused(read_frames, path)
    assert text.startswith(("the video has no frames", "the video has no picture stream", "not readable as video"))


@pytest.mark.parametrize("faststart", [False, True])
def test_a_truncated_file_is_named(tmp_path, faststart):
    path = write_video(tmp_path / "v.mp4", frames=80, fps=8, faststart=faststart)
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])
    what = ("truncated", "broken video") if faststart else ("not readable as video",)
    for read in (read_frames, read_sound, check_video):
        assert refused(read, path).startswith(what)


def test_a_title_that_is_no_utf_8_is_no_reason_to_refuse_a_video(tmp_path):
    path = write_video(tmp_path / "v.mp4", title="a title")
    content = path.read_bytes()
    assert content.count(b"a title") == 1
    path.write_bytes(content.replace(b"a title", b"a t\xeftl\xe9"))
    assert len(read_frames(path)) == 8
    assert len(read_sound(path)) == pytest.approx(32_000, abs=2_000)


def test_a_choice_without_frames_is_refused():
    with pytest.raises(InputError, match="no frames can be taken"):
        FrameChoice(count=0)
