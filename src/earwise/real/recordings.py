"""Recordings of people and things, as folders of WAV files with manifests of NeMo: corpora that recipes name."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import av
import numpy as np

from earwise.data.drops import Drops
from earwise.data.media import Waveform, load_audio, save_wav
from earwise.errors import InputError
from earwise.records import SAMPLE_RATE_HZ
from earwise.work.store import write_atomic

_LONGEST_S: Final = 30
"""What a manifest may name: ears hear so much of a clip."""


@dataclass(frozen=True)
class Recording:
    """One file, what is said in it (or what it shows), and the manifest that it belongs to."""

    file: Path
    text: str
    name: str
    """Of the WAV file, without its ending; may have folders."""
    manifest: str
    speaker: str | None = None


def write_recordings(recordings: Iterable[Recording], folder: Path) -> tuple[dict[str, int], Drops]:
    """Write WAV files and one `MANIFEST.jsonl` per manifest; returns how many recordings each names, and what was left
    out: files that cannot be read as sound, and those of more than 30 s.
    """
    lines: dict[str, list[str]] = {}
    drops = Drops()
    for one in recordings:
        try:
            samples = _read(one.file)
        except InputError as error:
            drops.add(error.what, one.name)
            continue
        if len(samples) > _LONGEST_S * SAMPLE_RATE_HZ:
            drops.add(f"longer than {_LONGEST_S} s", one.name)
            continue
        save_wav(folder / f"{one.name}.wav", samples)
        told = {"audio_filepath": f"{one.name}.wav", "duration": len(samples) / SAMPLE_RATE_HZ, "text": one.text}
        speaker = {"speaker": one.speaker} if one.speaker else {}
        lines.setdefault(one.manifest, []).append(json.dumps({**told, **speaker}, ensure_ascii=False))
    for name, rows in lines.items():
        write_atomic(folder / f"{name}.jsonl", "\n".join(rows) + "\n")
    return {name: len(rows) for name, rows in sorted(lines.items())}, drops


def _read(path: Path) -> Waveform:
    """Mono 16 kHz samples of any file, also of raw G.722, which is always 16 kHz and has no header."""
    return _g722(path) if path.suffix == ".g722" else load_audio(path)


def _g722(path: Path) -> Waveform:
    try:
        with av.open(str(path), format="g722") as container:
            parts = [frame.to_ndarray().reshape(-1) for frame in container.decode(audio=0)]
    except av.FFmpegError as error:
        raise InputError(f"not readable as G.722: {error}", file=path, remedy="unpack it again") from None
    return np.concatenate(parts).astype(np.float32) / np.float32(2**15)


Reader = Callable[[Path, Path], Iterable[Recording]]
"""Unpacked package and folder of everything to its recordings."""
