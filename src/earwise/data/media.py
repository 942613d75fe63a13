"""Reading and writing of audio and image files. Errors of a file are one line with its name."""

from __future__ import annotations

import hashlib
import io
import math
import os
import wave
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import BinaryIO, Final

import numpy as np
import numpy.typing as npt
import soundfile
from PIL import Image, ImageOps

from earwise.data.audio_headers import what_is_missing
from earwise.data.colours import SEVERAL, has_several_frames, to_rgb
from earwise.data.derived import is_derived
from earwise.data.picture_opening import opened_picture
from earwise.data.resample import Waveform, to_16_khz
from earwise.errors import InputError
from earwise.io.files import found_file
from earwise.io.limits import MAX_SAMPLES, RATES_HZ
from earwise.records import SAMPLE_RATE_HZ
from earwise.work.store import write_bytes_atomic

MAX_CLIP_S: Final = 30
"""Longest clip in seconds: the window of Whisper's encoder."""

ROUNDED_S: Final = 0.05
"""A part may end this much later than its recording, because manifests round times."""

BEYOND_S: Final = 1.0
"""How much more than the requested part of a longer sound is read."""

SILENCE_PEAK: Final = 1e-4
"""Half peak-to-peak amplitude (-80 dB of full scale, about 3 steps of 16 bits) below which a waveform is silent. A
constant offset does not count as sound."""

LONGEST_NAME: Final = 255
"""Limit of file systems for a file's name, in bytes."""

LONGEST_PATH: Final = 4095
"""Limit of the system for a path, in bytes."""


def resolve(
    folder: str | Path, relative: str, *, file: str | Path | None = None, record: str | int | None = None
) -> Path:
    """`relative` inside `folder`.

    The check is lexical: symbolic links inside the folder are followed, because data folders link to shared images.
    Absolute paths are accepted only in the cache (`derived`). Raises `InputError` for other absolute paths, for paths
    with `..` and for paths that are too long; it names `file` and `record`, which contain the path, or the folder.
    """
    if is_derived(relative):
        return Path(relative)
    file = folder if file is None else file
    windows = PureWindowsPath(relative)
    if not relative or PurePosixPath(relative).is_absolute() or windows.drive or windows.root:
        what, remedy = f"{relative!r} is not a relative path", f"give paths relative to {folder}"
        raise InputError(what, file=file, record=record, remedy=remedy)
    if ".." in windows.parts:
        what = f"{relative!r} leaves the data folder"
        raise InputError(what, file=file, record=record, remedy="put the file inside the folder")
    long = any(len(part.encode(errors="replace")) > LONGEST_NAME for part in PurePosixPath(relative).parts)
    if long or len(str(Path(folder) / relative).encode(errors="replace")) > LONGEST_PATH:
        raise InputError(f"'{relative[:40]}...' is longer than a file's name can be", file=file, record=record)
    return Path(folder) / relative


def load_audio(
    path: str | Path,
    *,
    offset_s: float = 0.0,
    duration_s: float | None = None,
    channel: int | None = None,
    at_most_s: float | None = None,
) -> Waveform:
    """Read an audio file, or a part of it, as mono 16 kHz float32.

    Channels are averaged, or one is chosen; then resampled with soxr HQ to exactly `resampled_length` samples. Of a
    longer sound, little more than `at_most_s` seconds are read and returned. Raises `InputError` naming a file that is
    missing, empty, not audio, truncated (shorter than its header says), ends before the part, is silent after mixing
    down, has values that are not finite, or is too large (`check_sound_size`).
    """
    path = Path(path)
    require_content(path, "audio")
    if (missing := what_is_missing(path)) is not None:
        raise _truncated(path, missing)
    try:
        with soundfile.SoundFile(os.fsencode(path)) as stream:  # a name need not be UTF-8
            rate_hz = stream.samplerate
            start, promised = _part(path, stream, offset_s, duration_s)
            if at_most_s is not None:  # Resampling the last sample needs the samples after it.
                promised = min(promised, math.ceil((at_most_s + BEYOND_S) * rate_hz))
            check_sound_size(promised, stream.channels, rate_hz, path)
            if start:
                stream.seek(start)
            samples = stream.read(promised, dtype="float32", always_2d=True)
            # libsndfile's own notes cover a few more formats; they begin with the file's name and length.
            if "truncated" in stream.extra_info.rpartition("Length :")[2]:
                raise _truncated(path, "it ends before its header says")
    except soundfile.LibsndfileError as error:
        raise InputError(f"not readable as audio: {error.error_string}", file=path) from None
    if len(samples) == 0:
        raise InputError("audio has no samples", file=path, remedy="make the clip again")
    if len(samples) < promised:
        _refuse_truncated(path, rate_hz, len(samples), promised)
    if channel is not None and channel >= samples.shape[1]:
        raise InputError(f"no channel {channel}: the file has {samples.shape[1]}", file=path)
    mixed = samples.mean(axis=1, dtype=np.float32) if channel is None else np.ascontiguousarray(samples[:, channel])
    mono = to_16_khz(mixed, rate_hz)
    check_waveform(mono, path)
    return mono


def check_sound_size(frames: int, channels: int, rate_hz: float, path: Path) -> None:
    """Raise `InputError` for a sound that is too long to be decoded at once, or has an implausible rate."""
    check_rate(rate_hz, path)
    if frames > 0 and max(frames * channels, frames / rate_hz * SAMPLE_RATE_HZ) > MAX_SAMPLES:
        what = f"too long to be decoded at once: {frames / rate_hz:,.0f} s of {channels} channels at {rate_hz:,} Hz"
        raise InputError(f"{what}, at most {MAX_SAMPLES:,} samples", file=path, remedy="cut it into parts")


def check_rate(rate_hz: float, path: Path) -> None:
    """Raise `InputError` for an implausible sample rate, with which a second could have any size."""
    low, high = RATES_HZ
    if not low <= rate_hz <= high:
        raise InputError(f"a sample rate of {rate_hz:,} Hz, not {low:,} to {high:,}", file=path, remedy="resample it")


def _part(path: Path, stream: soundfile.SoundFile, offset_s: float, duration_s: float | None) -> tuple[int, int]:
    """First frame and number of frames of a part. Manifests round times, so a part may end slightly after the file."""
    start = round(offset_s * stream.samplerate)
    stop = stream.frames if duration_s is None else start + round(duration_s * stream.samplerate)
    if start >= stream.frames > 0 or stop > stream.frames + ROUNDED_S * stream.samplerate:
        seconds = (stop / stream.samplerate, stream.frames / stream.samplerate)
        raise InputError("the recording ends before its part: {:.2f} s, {:.2f} s there".format(*seconds), file=path)
    return start, min(stop, stream.frames) - start


def check_waveform(samples: Waveform, path: str | Path) -> None:
    """Raise `InputError` naming `path` unless `samples` are a usable mono waveform (not empty, finite, not silent)."""
    if samples.ndim != 1:
        raise InputError(f"a waveform has one dimension, this one has shape {samples.shape}", file=path)
    if samples.size == 0:
        raise InputError("audio has no samples at 16 kHz", file=path, remedy="make the clip again")
    low, high = float(samples.min()), float(samples.max())
    if not np.isfinite(low) or not np.isfinite(high):
        raise InputError("audio holds NaN or infinite samples", file=path, remedy="make the clip again")
    if (high - low) / 2 < SILENCE_PEAK:
        raise InputError("audio is silent", file=path, remedy="make the clip again")


def load_image(path: str | Path, notes: list[str] | None = None) -> Image.Image:
    """Read a whole image as upright RGB, with deep images scaled to 8 bits and transparent ones on white.

    Only the first frame or page of a file is read. `notes` as in `decode_image`. Raises `InputError` naming a file that
    is missing, empty, not an image, truncated, larger than `limits.MAX_PIXELS`, or has samples that are not finite.
    """
    path = Path(path)
    require_content(path, "image")
    return decode_image(path, path, notes)


def decode_image(source: Path | BinaryIO, path: Path, notes: list[str] | None = None) -> Image.Image:
    """As `load_image`, from a file or an open stream of bytes; errors name `path`.

    `notes` gets the changes that showing the picture makes (`colours.to_rgb`, several frames).
    """
    with opened_picture(source, path) as image:
        if notes is not None and has_several_frames(image):
            notes.append(SEVERAL)
        image.load()
        shown, changes = to_rgb(ImageOps.exif_transpose(image))
        if notes is not None:
            notes += changes
        return shown


def to_int16(samples: Waveform) -> npt.NDArray[np.int16]:
    """`samples` times 32768, rounded half to even, clipped to 16 bits. Reading divides by 32768."""
    return np.clip(np.rint(samples.astype(np.float64) * 32768), -32768, 32767).astype(np.int16)


def waveform_sha256(samples: Waveform) -> str:
    """Hex SHA-256 of the 16-bit little-endian samples; independent of the file's header and of float rounding."""
    return hashlib.sha256(to_int16(samples).astype("<i2").tobytes()).hexdigest()


def save_wav(path: str | Path, samples: Waveform) -> None:
    """Write `samples` as a mono 16-bit 16 kHz WAV file, complete or not at all; makes folders.

    `load_audio` returns the samples to within half a 16-bit step. Raises `InputError` if they are unusable.
    """
    path = Path(path)
    check_waveform(samples, path)

    content = io.BytesIO()
    with wave.open(content, "wb") as out:
        out.setnchannels(1)
        out.setsampwidth(2)
        out.setframerate(SAMPLE_RATE_HZ)
        out.writeframes(to_int16(samples).astype("<i2").tobytes())
    write_bytes_atomic(path, content.getvalue())


def require_content(path: Path, kind: str) -> None:
    """Raise `InputError` for a missing or empty file; `kind` is `audio`, `image` or `video`."""
    if not found_file(path):
        raise InputError(f"{kind} file not found", file=path)
    if path.stat().st_size == 0:
        raise InputError(f"{kind} file is empty (0 bytes)", file=path, remedy="make or fetch it again")


def _refuse_truncated(path: Path, rate_hz: int, there: int, promised: int) -> None:
    """Raise `InputError` for a file with fewer frames than its header says, or than its size lets expect."""
    if promises_its_length(path):
        raise _truncated(path, f"{promised} frames promised, {there} there")
    if promised - there > ROUNDED_S * rate_hz:
        what = f"an MP3 file that does not say how long it is: {promised / rate_hz:.2f} s by its size"
        raise InputError(f"{what}, {there / rate_hz:.2f} s there", file=path, remedy="write it as WAV or FLAC")


def promises_its_length(path: Path) -> bool:
    """Whether a sound file states its length. An MP3 file may lack the headers that count frames; its length is then
    only estimated from its size.
    """
    with path.open("rb") as stream:
        head = stream.read(10)
        if head[:3] == b"ID3":
            stream.seek(10 + sum(byte << 7 * (3 - place) for place, byte in enumerate(head[6:])))
        else:
            stream.seek(0)
        frame = stream.read(4096)
    return frame[:1] != b"\xff" or any(name in frame for name in (b"Xing", b"Info", b"VBRI"))


def _truncated(path: Path, detail: str) -> InputError:
    return InputError(f"truncated audio: {detail}", file=path, remedy="write or fetch the file again")
