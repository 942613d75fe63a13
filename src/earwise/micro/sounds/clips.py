"""Clips on disk: a scene with sound files, videos or both. A clip depends only on its name and the seed."""

from __future__ import annotations

import json
import random
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from earwise.data.choices import LETTERS
from earwise.data.media import save_wav
from earwise.data.prompts import query_text
from earwise.micro.sounds.chains import chain_of
from earwise.micro.sounds.files import write_mp4
from earwise.micro.sounds.pictures import draw_frames
from earwise.micro.sounds.questions import Question, ask
from earwise.micro.sounds.sounding import HOME, Conditions, sound_clip
from earwise.micro.sounds.world import USUAL, Event, Scene, Shares, draw_scene
from earwise.micro.splits import Split
from earwise.records import Item
from earwise.work.store import write_atomic


@dataclass(frozen=True)
class Group:
    """Clips with the same settings."""

    name: str
    count: int
    split: Split = "train"
    shares: Shares = USUAL
    conditions: Conditions = HOME
    audio: str | None = "audios"
    """Folder of the WAV files; None for no sound files."""
    video: str | None = "videos"
    """Folder of the MP4 files, which include the sound; None for no videos."""


@dataclass(frozen=True)
class Clip:
    """A clip on disk; paths are relative to the output folder."""

    name: str
    scene: Scene
    audio: str | None
    video: str | None
    rng: random.Random
    """The random source of its questions."""


def write_clips(folder: Path, group: Group, seed: int) -> Iterator[Clip]:
    """Write the media of `group` into `folder`, clip by clip."""
    for place in (group.audio, group.video):
        if place is not None:
            (folder / place).mkdir(parents=True, exist_ok=True)
    for index in range(group.count):
        name = f"{group.name}-{index:06d}"
        rng = random.Random(f"{seed}/{name}")
        scene = draw_scene(group.split, rng, group.shares, group.conditions.overlap)
        chance = np.random.default_rng(rng.getrandbits(64))
        samples = sound_clip(scene.heard, group.conditions, chance)
        audio = f"{group.audio}/{name}.wav" if group.audio else None
        video = f"{group.video}/{name}.mp4" if group.video else None
        if audio is not None:
            save_wav(folder / audio, samples)
        if video is not None:
            write_mp4(folder / video, draw_frames(scene, chance), samples)
        yield Clip(name, scene, audio, video, rng)


def questions_about(clips: Iterable[Clip], count: int) -> Iterator[tuple[Clip, str, Question]]:
    """Up to `count` questions about each clip, each with its own id."""
    for clip in clips:
        for number, question in enumerate(ask(clip.scene, clip.rng, count)):
            yield clip, f"{clip.name}-{number}", question


def spelled_out(item: Item) -> Item:
    """`item` with its options inside the question and the right option's text as the answer, for a word-level model.

    The text of the query does not change; `meta["choices"]` keeps the options.
    """
    right = item.choices[LETTERS.index(item.answers[0])]
    meta = {**item.meta, "choices": list(item.choices)}
    return item.model_copy(update={"question": query_text(item), "answers": (right,), "choices": (), "meta": meta})


def chain_line(key: str, audio: str, events: Iterable[Event]) -> dict[str, str]:
    """A record of `earwise.traces.known.KnownChain`: the true chain of a sound."""
    return {"id": key, "audio": audio, "reasoning": chain_of(events)}


def write_lines(path: Path, records: Iterable[dict[str, str]]) -> None:
    """Write one JSON object per line."""
    write_atomic(path, "".join(json.dumps(record) + "\n" for record in records))
