"""Pictures and sound as data URIs, small enough for a page that holds some sixty of each."""

from __future__ import annotations

import base64
import io
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import soundfile
from PIL import Image, UnidentifiedImageError

from earwise.errors import InputError

LARGEST_SIDE = 512
"""Pixels; larger pictures are scaled down for the page."""
PLAIN_IMAGES = {"PNG": "image/png", "JPEG": "image/jpeg", "GIF": "image/gif", "WEBP": "image/webp"}
"""Formats that every browser shows and that are embedded byte by byte."""
LOSSLESS_SECONDS = 240
"""Up to this much sound in all is embedded without loss (about 20 kB per second as FLAC); more becomes MP3."""

AudioFormat = Literal["FLAC", "MP3"]
AUDIO_TYPES: dict[AudioFormat, str] = {"FLAC": "audio/flac", "MP3": "audio/mpeg"}


@dataclass(frozen=True)
class Picture:
    """An embedded picture with the size in pixels that it is laid out at."""

    uri: str
    width: int
    height: int


def data_uri(mime: str, content: bytes) -> str:
    """Bytes as a `data:` URI."""
    return f"data:{mime};base64,{base64.b64encode(content).decode('ascii')}"


def embed_picture(path: Path, *, record: str) -> Picture:
    """A picture file as a data URI; raises `InputError` if it is missing or not a picture."""
    try:
        content = path.read_bytes()
        with Image.open(io.BytesIO(content)) as image:
            if image.format in PLAIN_IMAGES and max(image.size) <= LARGEST_SIDE:
                image.verify()
                return Picture(data_uri(PLAIN_IMAGES[image.format], content), *image.size)
            small = image.convert("RGB")
            small.thumbnail((LARGEST_SIDE, LARGEST_SIDE))
    except FileNotFoundError:
        raise InputError("no such picture", file=path, record=record, remedy="build the data again") from None
    except (UnidentifiedImageError, OSError, SyntaxError) as error:
        raise InputError(f"not a picture: {error}", file=path, record=record, remedy="build the data again") from None
    buffer = io.BytesIO()
    small.save(buffer, "JPEG", quality=85)
    return Picture(data_uri("image/jpeg", buffer.getvalue()), *small.size)


def audio_format(total_seconds: float) -> AudioFormat:
    """FLAC, the model's lossless input, if the page stays small; else MP3."""
    return "FLAC" if total_seconds <= LOSSLESS_SECONDS else "MP3"


def sound_seconds(path: Path, *, record: str) -> float:
    """How long a sound file is; raises `InputError` if it cannot be read."""
    with _naming_sound(path, record):
        return float(soundfile.info(path).duration)


def embed_audio(path: Path, kind: AudioFormat, *, record: str) -> str:
    """A sound file as a data URI in a format that every browser plays; raises `InputError` if it cannot be read."""
    with _naming_sound(path, record):
        samples, rate_hz = soundfile.read(path, dtype="int16", always_2d=False)
    buffer = io.BytesIO()
    soundfile.write(buffer, samples, rate_hz, format=kind)
    return data_uri(AUDIO_TYPES[kind], buffer.getvalue())


@contextmanager
def _naming_sound(path: Path, record: str) -> Iterator[None]:
    """Errors in reading become errors that name file and item."""
    try:
        yield
    except (soundfile.LibsndfileError, OSError) as error:
        what = f"cannot read the sound: {error}"
        raise InputError(what, file=path, record=record, remedy="make it again") from None
