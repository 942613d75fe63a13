"""Clips that are cut out of recordings instead of spoken."""

from __future__ import annotations

import functools
import hashlib
import json
import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import soundfile

from earwise.data.asr import RECORDING, TOO_LONG, Recording
from earwise.data.media import MAX_CLIP_S, load_audio, save_wav, waveform_sha256
from earwise.errors import InputError
from earwise.recipe.speech import Perturb
from earwise.records import SAMPLE_RATE_HZ, Clip, Item
from earwise.speech.drop import Drop
from earwise.speech.engine import OWN_PITCH
from earwise.speech.perturb import perturb
from earwise.work.manifest import link
from earwise.work.parallel import Workers

ENGINE: Final = "recording"
FORM: Final = "as recorded"
LINK: Final = "recorded"
"""Link in a clip folder to the folder of the items' audio paths."""


@dataclass(frozen=True)
class Cut:
    """Everything that one recorded clip is made of."""

    item: Item
    recording: Recording
    perturbation: Perturb | None
    seed: int

    @property
    def key(self) -> str:
        """The item's id, and a hash of everything that decides the clip."""
        perturbation = self.perturbation.model_dump() if self.perturbation else None
        parts = (self.item.question, self.item.audio, self.recording.model_dump(), perturbation, self.seed)
        return f"{self.item.id}@{hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:24]}"


def check_suffixes(items: Iterable[Item], file: str | Path) -> None:
    """Raise `InputError` for the first recorded item with an answer-format request, which is not in the recording."""
    for item in items:
        if RECORDING in item.meta and item.suffix.strip():
            what = f"its recording does not say its answer-format request {item.suffix.strip()!r}"
            remedy = "set evaluate.suffix to 'text' or 'none'"
            raise InputError(what, file=file, record=item.id, remedy=remedy)


def cut_all(cuts: Sequence[Cut], folder: Path, audio: Path, workers: Workers | None) -> Iterator[Clip | Drop]:
    """A clip, or the reason why there is none, for each of `cuts` in order; made by `workers` or in this process.

    `folder` gets a link to `audio`, and a WAV file for each clip that is not already a whole lossless file at 16 kHz.
    """
    link(folder / LINK, audio.resolve())
    if workers is None:
        return map(_Cutter(folder), cuts)
    return workers.map(functools.partial(_Cutter, folder), cuts)


class _Cutter:
    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def __call__(self, cut: Cut) -> Clip | Drop:
        item, recording = cut.item, cut.recording
        relative = f"{LINK}/{item.audio}"
        try:
            samples = load_audio(
                self._folder / relative,
                offset_s=recording.offset_s,
                duration_s=recording.duration_s,
                channel=recording.channel,
                at_most_s=MAX_CLIP_S,
            )
        except InputError as error:
            return Drop(item=item.id, text=item.question, reason=error.what.partition(":")[0])
        if len(samples) > MAX_CLIP_S * SAMPLE_RATE_HZ:
            return Drop(item=item.id, text=item.question, reason=TOO_LONG)
        if cut.perturbation is not None:
            samples = perturb(samples, cut.perturbation, np.random.default_rng(cut.seed))
        if cut.perturbation is not None or not _is_ready(self._folder / relative, recording):
            name = cut.key.rpartition("@")[2]
            relative = f"wav/{name[:2]}/{name}.wav"
            save_wav(self._folder / relative, samples)
        minutes = len(samples) / SAMPLE_RATE_HZ / 60
        return Clip(
            item=item.id,
            spoken=item.question,
            form_version=FORM,
            engine=ENGINE,
            voice=recording.speaker or "unknown",
            rate=max(1, len(item.question.split())) / minutes,
            pitch=OWN_PITCH,
            seed=cut.seed,
            path=relative,
            num_samples=len(samples),
            sha256=waveform_sha256(samples),
        )


def _is_ready(path: Path, recording: Recording) -> bool:
    """Whether training can read the recording itself as fast as a clip's file."""
    if not recording.is_whole_file:
        return False
    info = soundfile.info(os.fsencode(path))
    return info.samplerate == SAMPLE_RATE_HZ and info.channels == 1 and info.format in ("WAV", "FLAC")
