"""Real MP4 files for tests: one colour per frame, a tone as sound."""

from pathlib import Path

import av
import numpy as np

COLOURS = ((255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 0), (255, 255, 255), (0, 0, 0))
RATE_HZ = 44_100


def write_video(
    path: Path,
    *,
    frames=8,
    fps=4,
    size=(64, 48),
    tone_hz=440.0,
    seconds=None,
    pictures=True,
    faststart=False,
    title=None,
) -> Path:
    """`frames` frames, the n-th of `COLOURS[n % 6]`, and a stereo tone; None for no sound."""
    path.parent.mkdir(parents=True, exist_ok=True)
    options = {"movflags": "faststart"} if faststart else {}
    with av.open(str(path), "w", options=options) as out:
        if title is not None:
            out.metadata["title"] = title
        video = out.add_stream("mpeg4", rate=fps) if pictures else None
        audio = out.add_stream("aac", rate=RATE_HZ, layout="stereo") if tone_hz is not None else None
        if video is not None:
            video.width, video.height, video.pix_fmt = *size, "yuv420p"
            for number in range(frames):
                colour = np.empty((size[1], size[0], 3), dtype=np.uint8)
                colour[:] = COLOURS[number % len(COLOURS)]
                out.mux(video.encode(av.VideoFrame.from_ndarray(colour, format="rgb24")))
            out.mux(video.encode(None))
        if audio is not None:
            length = int(RATE_HZ * (seconds or frames / fps))
            wave = 0.5 * np.sin(2 * np.pi * tone_hz * np.arange(length) / RATE_HZ).astype(np.float32)
            for start in range(0, length, 1024):
                part = wave[start : start + 1024]
                frame = av.AudioFrame.from_ndarray(np.stack([part, part]), format="fltp", layout="stereo")
                frame.sample_rate, frame.pts = RATE_HZ, start
                out.mux(audio.encode(frame))
            out.mux(audio.encode(None))
    return path
