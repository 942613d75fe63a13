"""A truncated recording is refused in every format whose header says how long it is."""

import struct

import numpy as np
import pytest
import soundfile

from earwise.data.audio_headers import what_is_missing
from earwise.data.media import load_audio
from earwise.errors import InputError

RATE = 16_000
TONE = (0.3 * np.sin(np.arange(3 * RATE) * 0.05) * np.sin(np.arange(3 * RATE) * 7e-4)).astype(np.float32)

FORMATS = [
    ("a.wav", "WAV", "PCM_16", "FILE"),
    ("float.wav", "WAV", "FLOAT", "FILE"),
    ("x.wav", "WAVEX", "PCM_24", "FILE"),
    ("rf64.wav", "RF64", "PCM_16", "FILE"),
    ("a.w64", "W64", "PCM_16", "FILE"),
    ("a.aiff", "AIFF", "PCM_16", "FILE"),
    ("float.aifc", "AIFF", "FLOAT", "FILE"),
    ("a.svx", "SVX", "PCM_16", "FILE"),
    ("a.au", "AU", "PCM_16", "FILE"),
    ("little.au", "AU", "PCM_16", "LITTLE"),
    ("a.caf", "CAF", "PCM_16", "FILE"),
    ("alac.caf", "CAF", "ALAC_16", "FILE"),
    ("a.sph", "NIST", "PCM_16", "FILE"),
    ("a.voc", "VOC", "PCM_16", "FILE"),
    ("a.flac", "FLAC", "PCM_16", "FILE"),
    ("vorbis.ogg", "OGG", "VORBIS", "FILE"),
    ("opus.ogg", "OGG", "OPUS", "FILE"),
    ("a.mp3", "MP3", "MPEG_LAYER_III", "FILE"),
]


@pytest.fixture
def write(tmp_path):
    def written(name, format_, subtype, endian, samples=TONE):
        path = tmp_path / name
        soundfile.write(path, samples, RATE, format=format_, subtype=subtype, endian=endian)
        return path

    return written


@pytest.mark.parametrize(("name", "format_", "subtype", "endian"), FORMATS)
@pytest.mark.parametrize("share", [0.3, 0.97])
def test_a_truncated_file_is_refused_and_a_whole_one_read(write, name, format_, subtype, endian, share):
    path = write(name, format_, subtype, endian)
    assert len(load_audio(path)) == pytest.approx(len(TONE), abs=1)
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * share)])
    with pytest.raises(InputError, match=rf"{name}: (truncated audio|not readable as audio)"):
        load_audio(path)


def pages(content):
    """Where each Ogg page begins."""
    places, at = [], 0
    while at < len(content):
        places.append(at)
        at += 27 + content[at + 26] + sum(content[at + 27 : at + 27 + content[at + 26]])
    return places


@pytest.mark.parametrize("subtype", ["VORBIS", "OPUS"])
def test_an_ogg_file_that_ends_between_two_pages_lacks_its_last_one(write, subtype):
    noise = np.random.default_rng(0).uniform(-0.5, 0.5, 30 * RATE).astype(np.float32)
    path = write("a.ogg", "OGG", subtype, "FILE", noise)
    content = path.read_bytes()
    *_, last = pages(content)
    assert len(pages(content)) > 4
    path.write_bytes(content[:last])
    with pytest.raises(InputError, match=r"a\.ogg: truncated audio: its last page is not there"):
        load_audio(path)
    path.write_bytes(content[: last + 10])
    with pytest.raises(InputError, match=r"a\.ogg: truncated audio: it ends inside a page"):
        load_audio(path)


def test_lengths_of_64_bits_are_those_of_the_chunk_ds64(write, tmp_path):
    content = write("rf64.wav", "RF64", "PCM_16", "FILE").read_bytes()
    place = content.index(b"ds64")
    missing = 2**33
    longer = content[: place + 16] + struct.pack("<Q", len(TONE) * 2 + missing) + content[place + 24 :]
    longer = longer.replace(b"data" + struct.pack("<I", len(TONE) * 2), b"data\xff\xff\xff\xff")
    (tmp_path / "long.wav").write_bytes(longer)
    assert what_is_missing(tmp_path / "long.wav") == (
        f"the header promises {len(TONE) * 2 + missing} bytes of b'data', {len(TONE) * 2} are there"
    )


def test_lengths_that_nobody_knew_when_the_header_was_written_are_no_promise(write):
    path = write("a.au", "AU", "PCM_16", "FILE")
    content = path.read_bytes()
    path.write_bytes(content[:8] + b"\xff\xff\xff\xff" + content[12:])
    assert len(load_audio(path)) == len(TONE)
    path = write("a.caf", "CAF", "PCM_16", "FILE")
    content = path.read_bytes()
    place = content.index(b"data") + 4
    path.write_bytes(content[:place] + b"\xff" * 8 + content[place + 8 :])
    assert what_is_missing(path) is None


@pytest.mark.parametrize("head", [b"RF64\0\0\0\0WAVE", b"FORM\0\0\0\0AIFF", b".snd", b"caff\0\1\0\0", b"NIST_1A\n"])
def test_a_header_alone_is_no_recording(tmp_path, head):
    (tmp_path / "a.bin").write_bytes(head)
    assert what_is_missing(tmp_path / "a.bin") is not None
