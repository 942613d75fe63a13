"""Inputs that are too large: refused or cut before they fill the memory, with the number and the remedy."""

import base64
import io
import re
import struct
import time
import wave
import zlib
from pathlib import Path

import numpy as np
import pytest
import soundfile
from example_recipe import TEXT
from PIL import Image, PngImagePlugin
from test_data_tsv import mme, picture, write
from videos import write_video

from earwise.data.asr import Recording
from earwise.data.asr_manifests import read_nemo
from earwise.data.media import load_audio, load_image
from earwise.data.tsv import read_tsv
from earwise.data.video import read_frames, read_sound
from earwise.errors import InputError
from earwise.evaluate.audit import audit
from earwise.io import limits
from earwise.recipe.read import load_recipe
from earwise.records import Item
from earwise.speech.recorded import Cut, cut_all
from earwise.speech.spoken_form import spoken_form
from earwise.stages.samples import sample_items

DOCUMENT = Path(__file__).parent.parent / "docs" / "limits.md"
HOURS_10 = 36_000 * 16_000


def png(width: int, height: int, kind: int = 2) -> bytes:
    """A PNG file that says it is so large, with next to no data."""

    def chunk(name: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    header = struct.pack(">IIBBBBB", width, height, 8, kind, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"\0" * 99)) + chunk(b"IEND", b"")
    )


def long_wav(path: Path, frames: int = HOURS_10, rate_hz: int = 16_000) -> Path:
    """A WAV file of so many frames that takes no room on the disk; a second of it is a tone."""
    with path.open("wb") as file:
        size = 2 * frames
        file.write(b"RIFF" + struct.pack("<I", 36 + size) + b"WAVEfmt " + struct.pack("<IHHIIHH", 16, 1, 1, rate_hz,
                   2 * rate_hz, 2, 16) + b"data" + struct.pack("<I", size))  # fmt: skip
        file.write((8_000 * np.sin(np.arange(16_000) / 5)).astype("<i2").tobytes())
        file.truncate(44 + size)
    return path


@pytest.mark.parametrize(("width", "height"), [(13_300, 13_300), (8_193, 8_192), (60_000, 2_000), (2**31 - 1, 1)])
def test_a_picture_of_too_many_pixels_is_not_decoded(width, height, tmp_path):
    (tmp_path / "a.png").write_bytes(png(width, height))
    began = time.process_time()
    with pytest.raises(InputError, match=r"a\.png: image has too many pixels .* more than 67,108,864 \(scale"):
        load_image(tmp_path / "a.png")
    assert time.process_time() - began < 0.5


def test_the_largest_picture_is_one_of_8192_by_8192(tmp_path):
    assert limits.MAX_PIXELS == 8_192**2
    (tmp_path / "a.png").write_bytes(png(8_192, 8_192))
    with pytest.raises(InputError, match="broken or truncated image"):
        load_image(tmp_path / "a.png")


def bomb(kind: str) -> bytes:
    """A small PNG file whose text unpacks to far more than Pillow takes."""
    info, content = PngImagePlugin.PngInfo(), io.BytesIO()
    many = 70 if kind == "many" else 1
    for number in range(many):
        info.add_text(f"t{number}", "a" * (2**20 - 1 if kind == "many" else 2**24), zip=True)
    Image.new("RGB", (60, 60), "red").save(content, "PNG", pnginfo=info)
    return content.getvalue()


@pytest.mark.parametrize("kind", ["one", "many"])
def test_compressed_text_in_a_picture_is_one_line_of_a_table(kind, tmp_path):
    path = write(tmp_path / "MME.tsv", [mme(4, base64.b64encode(bomb(kind)).decode())])
    with pytest.raises(InputError, match=r"MME\.tsv: line 2 index '4': broken or truncated image: "):
        read_tsv(path, "mme")
    (found,) = [finding for finding in audit("mme", path, own=True).findings if finding.check == "row"]
    assert found.record == "line 2 index '4'"


@pytest.mark.parametrize("image", ["é" + "A" * 80, picture()[:40] + "\N{SNOWMAN}" + picture()[40:], "😀" * 80])
def test_base64_outside_of_ascii_is_one_line(image, tmp_path):
    path = write(tmp_path / "MME.tsv", [mme(4, image)])
    with pytest.raises(InputError, match=r"MME\.tsv: line 2 index '4': broken base64 image: "):
        read_tsv(path, "mme")


@pytest.mark.parametrize("rate_hz", [1, 999, 768_001])
def test_a_rate_that_no_recorder_uses_is_refused(rate_hz, tmp_path):
    with wave.open(str(tmp_path / "a.wav"), "wb") as out:
        out.setnchannels(1)
        out.setsampwidth(2)
        out.setframerate(rate_hz)
        out.writeframes(np.arange(-4_000, 4_000, dtype="<i2").tobytes())
    said = rf"a\.wav: (i: )?a sample rate of {rate_hz:,} Hz, not 1,000 to 768,000 \(resample it\)"
    with pytest.raises(InputError, match=said):
        load_audio(tmp_path / "a.wav")
    item = Item(id="i", source="s", question="What?", answers=("a",), audio="a.wav", cluster="c")
    with pytest.raises(InputError, match=said):
        sample_items([item], tmp_path, None, print, views=["sound_text"])


def test_a_recording_of_ten_hours_is_read_no_further_than_it_is_heard(tmp_path):
    path = long_wav(tmp_path / "long.wav")
    began = time.process_time()
    with pytest.raises(InputError, match=r"too long to be decoded at once: 36,000 s of 1 channels .* \(cut it"):
        load_audio(path)
    assert len(load_audio(path, at_most_s=30)) == 31 * 16_000
    assert np.array_equal(load_audio(path, duration_s=1), load_audio(path, at_most_s=30)[:16_000])
    assert time.process_time() - began < 1


def test_a_manifest_that_calls_ten_hours_one_second_is_dropped_as_too_long(tmp_path):
    long_wav(tmp_path / "long.wav")
    (tmp_path / "m.json").write_text('{"audio_filepath": "long.wav", "duration": 1.0, "text": "a star"}\n')
    (utterance,) = read_nemo(tmp_path / "m.json").utterances
    item = Item(id="i", source="s", question="a star", answers=("a star",), audio="long.wav", cluster="c")
    (tmp_path / "clips").mkdir()
    cut = Cut(item, Recording(speaker=utterance.recording.speaker), None, 0)
    (drop,) = cut_all([cut], tmp_path / "clips", tmp_path, None)
    assert drop.reason.startswith("longer than 30 s")


@pytest.mark.parametrize(("channels", "rate_hz", "fits"), [(8, 192_000, False), (1, 192_000, True), (2, 8_000, True)])
def test_channels_and_rate_count_towards_the_size_of_a_sound(channels, rate_hz, fits, tmp_path, monkeypatch):
    monkeypatch.setattr("earwise.data.media.MAX_SAMPLES", 2**18)
    sound = np.random.default_rng(0).uniform(-0.5, 0.5, (rate_hz // 5, channels))
    soundfile.write(tmp_path / "a.flac", sound, rate_hz)
    if fits:
        assert len(load_audio(tmp_path / "a.flac")) == 3_200
        return
    with pytest.raises(InputError, match="too long to be decoded at once: 0 s of 8 channels at 192,000 Hz"):
        load_audio(tmp_path / "a.flac")


def test_a_low_rate_counts_as_what_it_becomes(tmp_path, monkeypatch):
    monkeypatch.setattr("earwise.data.media.MAX_SAMPLES", 20_000)
    soundfile.write(tmp_path / "a.wav", np.random.default_rng(0).uniform(-0.5, 0.5, 2_000), 1_000)
    with pytest.raises(InputError, match="2 s of 1 channels at 1,000 Hz, at most 20,000 samples"):
        load_audio(tmp_path / "a.wav")


def test_videos_have_the_same_limits(tmp_path, monkeypatch):
    write_video(tmp_path / "v.mp4")
    monkeypatch.setattr("earwise.data.media.MAX_SAMPLES", 100)
    with pytest.raises(InputError, match=r"v\.mp4: too long to be decoded at once"):
        read_sound(tmp_path / "v.mp4")
    monkeypatch.setattr("earwise.data.video.MAX_PIXELS", 100)
    with pytest.raises(InputError, match=r"v\.mp4: frames of [\d,]+ x [\d,]+ pixels, more than 100 .*\(scale"):
        read_frames(tmp_path / "v.mp4")


@pytest.mark.parametrize(
    ("question", "choices"), [("Is it red? " * 10_000, ()), ("Is it red?", ("a star " * 300, "a dog " * 400))]
)
def test_a_text_that_fills_no_clip_is_not_spoken(question, choices):
    began = time.process_time()
    form = spoken_form(question, choices)
    assert (form.text, form.unspeakable is None) == ("", False)
    assert re.fullmatch(r"[\d,]+ characters, more than the 4,000 that are spoken", form.unspeakable)
    assert time.process_time() - began < 0.1


@pytest.mark.parametrize(
    ("override", "said"),
    [
        ("training.steps=1000000000000000000", "training.steps: expected at most 1e+08, got 1000000000000000000"),
        ("align.batch_size=100000001", "align.batch_size: expected at most 1e+08, got 100000001"),
        ("data.transcribe_items=99999999999", "data.transcribe_items: expected at most 1e+08, got 99999999999"),
        ("train.sft.steps=90000000", "train.sft.steps: 360,000,000 items would be drawn, at most 100,000,000 can be: "),
        ("align.steps=100000000", "align.steps: 400,000,000 items would be drawn, at most 100,000,000 can be: "),
        ("seeds=[-1]", "seeds.0: expected at least 0, got -1"),
        ("data.seed=4294967296", "data.seed: expected at most 4.29497e+09, got 4294967296"),
    ],
)
def test_sizes_that_no_training_has_are_refused(override, said, tmp_path):
    (tmp_path / "quick.toml").write_text(TEXT)
    with pytest.raises(InputError) as caught:
        load_recipe(tmp_path / "quick.toml", [override])
    assert str(caught.value).removeprefix("command line: ").startswith(said)


def test_every_limit_is_documented_with_its_value():
    text = DOCUMENT.read_text(encoding="utf-8")
    for name in (name for name in vars(limits) if name.isupper()):
        value = getattr(limits, name)
        for number in value if isinstance(value, tuple) else (value,):
            assert re.search(rf"\| `{name}` \| (?:[^|]*\D)?{number:,}\b", text), name
