"""Frames and sounds of video files, with PyAV. Errors of a file are one line with its name.

Frames and sounds are written once, to the cache (`derived`), under a name from the video's content.
"""

from __future__ import annotations

import io
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

import av
import numpy as np
from av.audio.frame import AudioFrame
from av.container import InputContainer
from PIL import Image

from earwise.data.colours import to_rgb
from earwise.data.derived import cannot_write, content_digest, derived_path, write_derived
from earwise.data.media import check_sound_size, check_waveform, require_content, save_wav
from earwise.data.resample import Waveform, to_16_khz
from earwise.errors import InputError
from earwise.io.limits import MAX_PIXELS

MISSING_S: Final = 0.5
"""A stream may end this much earlier than its header says: headers round, and count frames that players cut off."""

_QUALITY: Final = 95

Stream = Literal["video", "audio"]


@dataclass(frozen=True)
class FrameChoice:
    """The choice of a video's frames: `count` frames, or `fps` per second but at most `count`.

    The frames are those visible in the middle of equal parts of the video. `longest_side`, in pixels, scales larger
    frames down.
    """

    count: int = 8
    fps: float | None = None
    longest_side: int | None = None

    def __post_init__(self) -> None:
        if self.count < 1 or (self.fps is not None and self.fps <= 0):
            raise InputError(f"no frames can be taken: count {self.count}, fps {self.fps}")

    def times(self, duration_s: float) -> list[float]:
        """Times of the frames, in seconds from the start."""
        number = self.count
        if self.fps is not None:
            number = max(1, min(number, round(self.fps * duration_s)))
        return [(n + 0.5) * duration_s / number for n in range(number)]


def read_frames(path: str | Path, choice: FrameChoice = FrameChoice()) -> list[Image.Image]:
    """The chosen frames as upright RGB pictures. A video with fewer frames repeats some of them.

    Raises `InputError` naming a file that is missing, empty, not a video, without a picture stream or frames, broken or
    truncated.
    """
    path = Path(path)
    start_s, stop_s = _extent(path, "video")
    wanted = [start_s + time for time in choice.times(stop_s - start_s)]
    pictures: list[Image.Image] = []
    shown: av.VideoFrame | None = None
    for frame in _video_frames(path):
        # A frame is visible until the next one.
        while shown is not None and len(pictures) < len(wanted) and (frame.time or 0.0) > wanted[len(pictures)]:
            pictures.append(_picture(shown, choice))
        if len(pictures) == len(wanted):
            return pictures
        shown = frame
    if shown is None:
        raise InputError("the video has no frames", file=path, remedy="fetch it again")
    return pictures + [_picture(shown, choice)] * (len(wanted) - len(pictures))


def read_sound(path: str | Path) -> Waveform:
    """The sound of a video as mono 16 kHz float32: channels averaged, resampled to exactly `resampled_length` samples.

    Raises `InputError` naming a file that is missing, empty, not a video, without a sound stream, broken, truncated or
    silent.
    """
    path = Path(path)
    _extent(path, "audio")
    parts, rate_hz, heard = [], 0, 0
    for frame in _audio_frames(path):
        rate_hz, heard = frame.sample_rate, heard + frame.samples
        check_sound_size(heard, 1, rate_hz, path)
        parts.append(frame.to_ndarray().mean(axis=0, dtype=np.float32))
    if not parts:
        raise InputError("the video's sound has no samples", file=path, remedy="fetch it again")
    samples = to_16_khz(np.concatenate(parts), rate_hz)
    check_waveform(samples, path)
    return samples


def check_video(path: str | Path, *, sound: bool = True) -> None:
    """Raise `InputError` for a truncated file, or one without pictures or, if set, `sound`. Nothing is decoded."""
    _extent(Path(path), "video")
    if sound:
        _extent(Path(path), "audio")


def sound_seconds(path: str | Path) -> float:
    """Length of a video's sound; raises `InputError` as `read_sound`. Nothing is decoded."""
    start_s, stop_s = _extent(Path(path), "audio")
    return stop_s - start_s


def frame_files(path: str | Path, choice: FrameChoice = FrameChoice()) -> list[Path]:
    """`read_frames` as JPEG files of the cache, written once for each content of the video."""
    path = Path(path)
    require_content(path, "video")
    folder = derived_path("frames", content_digest(path), choice)
    done = folder / "frames.json"
    files = _whole(folder, done)
    if files is None:
        pictures = read_frames(path, choice)
        files = [folder / f"{number:03}.jpg" for number in range(len(pictures))]
        for file, picture in zip(files, pictures, strict=True):
            content = io.BytesIO()
            picture.save(content, format="JPEG", quality=_QUALITY, subsampling=0)
            write_derived(file, content.getvalue())
        write_derived(done, json.dumps({"video": path.name, "frames": len(pictures)}).encode())
    return files


def _whole(folder: Path, done: Path) -> list[Path] | None:
    """The frames in `folder`; None unless all of them exist."""
    try:
        count = json.loads(done.read_bytes())["frames"]
    except (OSError, ValueError):
        return None
    files = [folder / f"{number:03}.jpg" for number in range(count)]
    return files if all(file.is_file() for file in files) else None


def sound_file(path: str | Path) -> Path:
    """`read_sound` as a 16-bit WAV file of the cache, written once for each content of the video."""
    path = Path(path)
    require_content(path, "video")
    file = derived_path("sounds", content_digest(path), ending=".wav")
    if not file.is_file():
        samples = read_sound(path)
        try:
            save_wav(file, samples)
        except InputError as error:
            raise cannot_write(error) from None
    return file


def _extent(path: Path, kind: Stream) -> tuple[float, float]:
    """Start and end of the pictures or the sound, in seconds, by the packets in the file."""
    start_s, stop_s = float("inf"), 0.0
    with _opened(path) as container:
        stream = _first(container, kind, path)
        try:
            for packet in container.demux(stream):
                if packet.pts is not None and packet.time_base is not None:
                    start_s = min(start_s, float(packet.pts * packet.time_base))
                    stop_s = max(stop_s, float((packet.pts + (packet.duration or 0)) * packet.time_base))
        except av.FFmpegError as error:
            raise _broken(path, error) from None
        promised_s = float(stream.duration * stream.time_base) if stream.duration and stream.time_base else 0.0
    if start_s == float("inf"):
        what = "the video has no frames" if kind == "video" else "the video's sound has no samples"
        raise InputError(what, file=path, remedy="fetch it again")
    start_s = max(start_s, 0.0)  # players skip everything before 0
    if stop_s - start_s < promised_s - MISSING_S:
        what = f"truncated {kind}: {promised_s:.2f} s promised, {stop_s - start_s:.2f} s there"
        raise InputError(what, file=path, remedy="fetch it again")
    return start_s, stop_s


def _video_frames(path: Path) -> Iterator[av.VideoFrame]:
    with _opened(path) as container:
        _first(container, "video", path)
        try:
            yield from container.decode(video=0)
        except av.FFmpegError as error:
            raise _broken(path, error) from None


def _audio_frames(path: Path) -> Iterator[AudioFrame]:
    """Frames of float32 samples, one row per channel."""
    with _opened(path) as container:
        _first(container, "audio", path)
        planar = av.AudioResampler(format="fltp")
        try:
            for frame in container.decode(audio=0):
                yield from planar.resample(frame)
            yield from planar.resample(None)
        except av.FFmpegError as error:
            raise _broken(path, error) from None


def _opened(path: Path) -> InputContainer:
    require_content(path, "video")
    try:
        return av.open(str(path), metadata_errors="replace")  # titles of old files can have any encoding
    except av.FFmpegError as error:
        what = f"not readable as video: {error.strerror}"
        raise InputError(what, file=path, remedy="fetch it again: it may be truncated") from None


def _first(container: InputContainer, kind: Stream, path: Path) -> av.VideoStream | av.AudioStream:
    streams: Sequence[av.VideoStream | av.AudioStream]
    streams = container.streams.video if kind == "video" else container.streams.audio
    if not streams:
        raise InputError("the video has no picture stream" if kind == "video" else "the video has no sound", file=path)
    stream = streams[0]
    if isinstance(stream, av.VideoStream) and stream.width * stream.height > MAX_PIXELS:
        what = f"frames of {stream.width:,} x {stream.height:,} pixels, more than {MAX_PIXELS:,} in all"
        raise InputError(what, file=path, remedy="scale the video down")
    return stream


def _picture(frame: av.VideoFrame, choice: FrameChoice) -> Image.Image:
    clear = any(component.is_alpha for component in frame.format.components)
    picture = to_rgb(Image.fromarray(frame.to_ndarray(format="rgba")))[0] if clear else frame.to_image()
    if frame.rotation:
        picture = picture.rotate(frame.rotation, expand=True)
    if choice.longest_side is not None:
        picture.thumbnail((choice.longest_side, choice.longest_side))
    return picture


def _broken(path: Path, error: av.FFmpegError) -> InputError:
    return InputError(f"broken video: {error.strerror}", file=path, remedy="fetch it again")
