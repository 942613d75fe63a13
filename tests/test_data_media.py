import hashlib
import struct
import warnings

import av
import numpy as np
import pytest
import soundfile
from PIL import Image

from earwise.data.media import (
    load_audio,
    load_image,
    resolve,
    save_wav,
    to_int16,
    waveform_sha256,
)
from earwise.data.resample import resampled_length
from earwise.errors import InputError
from earwise.work.store import write_bytes_atomic


def tone(rate_hz=16_000, seconds=0.5, hz=440.0, level=0.5):
    return (level * np.sin(2 * np.pi * hz * np.arange(int(rate_hz * seconds)) / rate_hz)).astype(np.float32)


def test_wav_round_trip_is_exact_on_the_16_bit_grid(tmp_path):
    samples = np.array([0, 1, -1, 32767, -32768, 1234], dtype=np.int16).astype(np.float32) / 32768
    save_wav(tmp_path / "deep" / "a.wav", samples)
    assert np.array_equal(load_audio(tmp_path / "deep" / "a.wav"), samples)
    assert soundfile.info(tmp_path / "deep" / "a.wav").subtype == "PCM_16"
    assert [path.name for path in (tmp_path / "deep").iterdir()] == ["a.wav"]


def test_int16_rounds_and_clips():
    assert to_int16(np.array([2.0, -2.0, 0.5, 1.4 / 32768, 1.6 / 32768])).tolist() == [32767, -32768, 16384, 1, 2]


def test_hash_is_of_the_16_bit_samples():
    samples = tone()
    assert waveform_sha256(samples) == waveform_sha256(samples + 1e-7)
    assert waveform_sha256(samples) != waveform_sha256(samples * 0.9)
    steps = np.array([1, -2], dtype=np.float32) / 32768
    assert waveform_sha256(steps) == hashlib.sha256(b"\x01\x00\xfe\xff").hexdigest()


def test_eight_channels_at_96_khz_are_mixed_down_and_resampled(tmp_path):
    mono = tone(96_000, seconds=0.5)
    channels = np.zeros((len(mono), 8), dtype=np.float32)
    channels[:, 3] = mono
    soundfile.write(tmp_path / "a.wav", channels, 96_000, subtype="FLOAT")
    loaded = load_audio(tmp_path / "a.wav")
    assert loaded.dtype == np.float32
    assert loaded.shape == (8000,)
    assert np.abs(loaded - tone() / 8)[200:-200].max() < 1e-4


@pytest.mark.parametrize(
    ("num_samples", "rate_hz", "expected"),
    [(44_100, 44_100, 16_000), (3, 96_000, 1), (2, 96_000, 0), (22_051, 22_050, 16_001), (100, 8_000, 200)],
)
def test_resampled_length_rounds_halves_up(num_samples, rate_hz, expected):
    assert resampled_length(num_samples, rate_hz) == expected


@pytest.mark.parametrize("rate_hz", [8_000, 11_025, 22_050, 44_100, 48_000])
@pytest.mark.parametrize("extra", [0, 1, 7])
def test_resampled_audio_has_exactly_the_stated_length(tmp_path, rate_hz, extra):
    samples = tone(rate_hz, seconds=0.1)
    samples = np.concatenate([samples, samples[:extra]])
    soundfile.write(tmp_path / "a.wav", samples, rate_hz)
    assert len(load_audio(tmp_path / "a.wav")) == resampled_length(len(samples), rate_hz)


def test_flac_is_read_too(tmp_path):
    soundfile.write(tmp_path / "a.flac", tone(), 16_000)
    assert len(load_audio(tmp_path / "a.flac")) == 8000


def refuse(path, match):
    with pytest.raises(InputError, match=match) as caught:
        load_audio(path)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_missing_empty_and_foreign_files_are_refused(tmp_path):
    refuse(tmp_path / "none.wav", "not found")
    (tmp_path / "empty.wav").touch()
    refuse(tmp_path / "empty.wav", "0 bytes")
    (tmp_path / "text.wav").write_text("this is no sound at all")
    refuse(tmp_path / "text.wav", "not readable as audio")


@pytest.mark.parametrize("keep", [0.5, 0.999])
def test_a_truncated_wav_is_refused(tmp_path, keep):
    save_wav(tmp_path / "a.wav", tone())
    content = (tmp_path / "a.wav").read_bytes()
    (tmp_path / "a.wav").write_bytes(content[: int(len(content) * keep)])
    refuse(tmp_path / "a.wav", "truncated audio")


def test_a_wav_cut_inside_its_header_is_refused(tmp_path):
    save_wav(tmp_path / "a.wav", tone())
    (tmp_path / "a.wav").write_bytes((tmp_path / "a.wav").read_bytes()[:30])
    refuse(tmp_path / "a.wav", "truncated audio")


def test_a_streamed_header_with_a_made_up_size_is_refused(tmp_path):
    save_wav(tmp_path / "a.wav", tone())
    content = bytearray((tmp_path / "a.wav").read_bytes())
    content[40:44] = struct.pack("<I", 0x7FFFF000)
    (tmp_path / "a.wav").write_bytes(content)
    refuse(tmp_path / "a.wav", "truncated audio: the header promises 2147479552 bytes")


def test_a_truncated_flac_is_refused(tmp_path):
    noise = np.random.default_rng(0).uniform(-0.5, 0.5, 32_000).astype(np.float32)
    soundfile.write(tmp_path / "a.flac", noise, 16_000)
    content = (tmp_path / "a.flac").read_bytes()
    (tmp_path / "a.flac").write_bytes(content[: len(content) // 2])
    refuse(tmp_path / "a.flac", "truncated|not readable")


def write_mp3(path, *, seconds, header):
    wave = (0.3 * np.sin(np.arange(48_000 * seconds) / 20)).astype(np.float32)
    wave[: 48_000 * seconds // 2] = 0
    with av.open(str(path), "w", options={} if header else {"write_xing": "0"}) as out:
        rate = {"flags": "+qscale", "global_quality": "600"} if header is None else {}
        stream = out.add_stream("libmp3lame", rate=48_000, layout="mono", options=rate)
        for start in range(0, len(wave), 1024):
            frame = av.AudioFrame.from_ndarray(wave[None, start : start + 1024], format="fltp", layout="mono")
            frame.sample_rate, frame.pts = 48_000, start
            out.mux(stream.encode(frame))
        out.mux(stream.encode(None))
    return path


def test_an_mp3_file_without_its_length_is_read_where_its_size_tells_it(tmp_path):
    """The length is then a guess from the size: right at a constant bit rate, far off at a varying one."""
    assert len(load_audio(write_mp3(tmp_path / "a.mp3", seconds=4, header=True))) == 64_000
    assert len(load_audio(write_mp3(tmp_path / "b.mp3", seconds=4, header=False))) == pytest.approx(64_000, abs=1_000)
    path = write_mp3(tmp_path / "c.mp3", seconds=4, header=None)
    with pytest.raises(InputError, match=r"c\.mp3: an MP3 file that does not say how long it is: .* by its size, 4\."):
        load_audio(path)


def test_zero_length_silent_and_non_finite_audio_is_refused(tmp_path):
    path = tmp_path / "a.wav"
    for samples, match in [
        (np.zeros(0), "no samples"),
        (np.zeros(800), "silent"),
        (np.full(800, 0.3), "silent"),
        (np.where(np.arange(800) % 2, 1, -1) * 2e-5, "silent"),
        (np.append(tone(), np.nan), "NaN"),
        (np.append(tone(), -np.inf), "infinite"),
    ]:
        soundfile.write(path, samples.astype(np.float32), 16_000, subtype="FLOAT")
        refuse(path, match)


def test_channels_that_cancel_are_silent(tmp_path):
    soundfile.write(tmp_path / "a.wav", np.stack([tone(), -tone()], axis=1), 16_000)
    refuse(tmp_path / "a.wav", "silent")


def test_unusable_samples_are_not_written(tmp_path):
    with pytest.raises(InputError, match="silent"):
        save_wav(tmp_path / "a.wav", np.zeros(100, dtype=np.float32))
    with pytest.raises(InputError, match="one dimension"):
        save_wav(tmp_path / "a.wav", np.stack([tone(), tone()]))
    assert not (tmp_path / "a.wav").exists()


def test_a_failed_write_leaves_the_old_file_and_nothing_else(tmp_path, monkeypatch):
    path = tmp_path / "a.bin"
    write_bytes_atomic(path, b"old")

    def full(self, target):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("pathlib.Path.replace", full)
    with pytest.raises(InputError, match=r"cannot write: No space left"):
        write_bytes_atomic(path, b"new")
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_images_become_rgb(tmp_path):
    Image.new("RGBA", (4, 3), (10, 20, 30, 128)).save(tmp_path / "a.png")
    image = load_image(tmp_path / "a.png")
    assert (image.mode, image.size, image.getpixel((0, 0))) == ("RGB", (4, 3), (132, 137, 142))  # half of it is white
    Image.new("L", (2, 2), 7).save(tmp_path / "b.png")
    assert load_image(tmp_path / "b.png").getpixel((1, 1)) == (7, 7, 7)


def test_a_palette_with_alpha_is_read_without_a_warning(tmp_path):
    image = Image.new("P", (2, 2), 1)
    image.putpalette([0, 0, 0, 200, 100, 50])
    image.save(tmp_path / "a.png", transparency=b"\x00\xff")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert load_image(tmp_path / "a.png").getpixel((0, 0)) == (200, 100, 50)


def test_exif_rotation_is_applied(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.new("RGB", (4, 2)).save(tmp_path / "a.jpg", exif=exif)
    assert load_image(tmp_path / "a.jpg").size == (2, 4)


@pytest.mark.parametrize("name", ["a.png", "a.jpg", "a.webp"])
def test_broken_images_are_refused(tmp_path, name):
    path = tmp_path / name
    noise = np.random.default_rng(0).integers(0, 255, (64, 64, 3), dtype=np.uint8)
    Image.fromarray(noise).save(path)
    content = path.read_bytes()
    for broken in (content[: len(content) // 2], b"", b"not an image"):
        path.write_bytes(broken)
        with pytest.raises(InputError, match="image") as caught:
            load_image(path)
        assert str(path) in str(caught.value)
    path.unlink()
    with pytest.raises(InputError, match="not found"):
        load_image(path)


def test_paths_stay_inside_their_folder(tmp_path):
    assert resolve(tmp_path, "images/a.png") == tmp_path / "images" / "a.png"
    bad_paths = ("/etc/passwd", "../a.png", "images/../../a.png", "C:\\a.png", "\\a.png", "a\\..\\..\\b", "", "é" * 128)
    for bad in bad_paths:
        with pytest.raises(InputError, match=r"path|leaves|longer"):
            resolve(tmp_path, bad)
        with pytest.raises(InputError, match=r"^list\.json: record 7: "):
            resolve(tmp_path, bad, file="list.json", record="record 7")
