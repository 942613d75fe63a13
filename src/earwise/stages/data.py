"""Stage `data`: items, media and benchmarks, from a micro laboratory, a folder or corpora."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Final

from earwise.data.aro import Draw
from earwise.data.items import read_items
from earwise.data.media import resolve
from earwise.data.video import sound_file
from earwise.errors import InputError, about
from earwise.evaluate.benchmarks.own import load_asked
from earwise.io.messages import counted
from earwise.micro.feelings.lab import FeelingsLabSize, write_feelings_lab
from earwise.micro.lab import LabSize, write_lab
from earwise.micro.sounds.lab import SoundLabSize, write_sound_lab
from earwise.recipe.data import CorporaData, FolderData, MicroData, MicroFeelings, MicroSounds
from earwise.recipe.evaluate import Iemocap, MMAlign
from earwise.records import Item
from earwise.stages.corpora import write_corpora
from earwise.stages.jobs.data import BenchmarkSource, DataJob
from earwise.work.job import StageContext
from earwise.work.store import write_atomic

BENCHMARKS: Final = "benchmarks"
"""Folder of the benchmarks inside the data."""
SEEN: Final = "looked_at.json"
"""Media that were decoded while mixing corpora, and need no second check."""


def work(context: StageContext, job: DataJob) -> None:
    """Write the items, unless they come from the user's folder."""
    if isinstance(job.source, MicroData):
        write_micro(context.folder, job.source)
    elif isinstance(job.source, MicroSounds):
        write_micro_sounds(context.folder, job.source)
    elif isinstance(job.source, MicroFeelings):
        write_micro_feelings(context.folder, job.source)
    elif isinstance(job.source, CorporaData):
        checks = write_corpora(context, job.source)
        seen = sorted(os.path.relpath(path, context.folder) for check in checks for path in check.seen)
        write_atomic(context.folder / SEEN, json.dumps(seen, indent=0) + "\n")


def data_folder(context: StageContext, job: DataJob) -> Path:
    """The folder of the item files: the recipe's, or the stage's own."""
    return Path(job.source.path) if isinstance(job.source, FolderData) else context.folder_of(job)


def items_of(context: StageContext, job: DataJob, name: str) -> list[Item]:
    """The items of item file `name`."""
    return read_items(data_folder(context, job) / f"{name}.jsonl")


def sound_of(item: Item, folder: Path) -> Path | None:
    """The item's own sound file, or the sound of its video; None without either. Media are in `folder`."""
    with about(item.id):
        if item.audio is not None:
            return resolve(folder, item.audio)
        return sound_file(resolve(folder, item.video)) if item.video is not None else None


def write_micro(folder: Path, settings: MicroData) -> None:
    """Write the picture laboratory."""
    size = LabSize(
        train_images=settings.train_images,
        validation_images=settings.validation_images,
        test_images=settings.test_images,
        turns_per_image=settings.turns_per_image,
        transcribe_items=settings.transcribe_items,
        random_share=settings.random_share,
        random_words=settings.random_words,
        emphasis={str(kind): times for kind, times in settings.emphasis.items()},
    )
    write_lab(folder, seed=settings.seed, size=size, label_noise=settings.label_noise)


def write_micro_sounds(folder: Path, settings: MicroSounds) -> None:
    """Write the sound laboratory."""
    write_sound_lab(folder, settings.seed, SoundLabSize(**settings.model_dump(exclude={"source", "seed"})))


def write_micro_feelings(folder: Path, settings: MicroFeelings) -> None:
    """Write the laboratory of feelings."""
    write_feelings_lab(folder, settings.seed, FeelingsLabSize(**settings.model_dump(exclude={"source", "seed"})))


def benchmark_items(source: BenchmarkSource, folder: Path, profile: str | None = None) -> list[Item]:
    """Items of a benchmark of the data in `folder`, cut to its limit. Raises `InputError` if there are too few for an
    interval, or if answers cannot be scored under `profile`.
    """
    asked = source.mmalign or MMAlign()
    draw = Draw(None if asked.count == "all" else asked.count, asked.seed, asked.crop, asked.symmetric)
    chosen = {"mmalign": draw, "iemocap": (source.iemocap or Iemocap()).sessions}
    own = {source.name: source.own} if source.own is not None else {}
    items = load_asked(source.name, folder / BENCHMARKS, chosen, own, profile)[: source.limit]
    if len({item.cluster for item in items}) < 2:
        what = f"{counted(len(items), 'item')} of one cluster: no interval can be given"
        remedy = "a benchmark needs items about two images at least"
        raise InputError(what, file=folder / BENCHMARKS, record=source.name, remedy=remedy)
    return items


def shown_items(context: StageContext, job: DataJob, file: str, benchmark: BenchmarkSource | None) -> list[Item]:
    """Items of the benchmark, or without one of the item file."""
    return items_of(context, job, file) if benchmark is None else benchmark_items(benchmark, data_folder(context, job))


def media_folder(folder: Path, benchmark: BenchmarkSource | None) -> Path:
    """The folder that media paths of items are relative to."""
    return folder if benchmark is None else folder / BENCHMARKS


def transcribe_instruction(folder: Path) -> str:
    """The typed request for a transcript, used for alignment and afterwards."""
    path = folder / "transcribe.jsonl"
    instructions = {item.instruction for item in read_items(path)}
    if len(instructions) != 1:
        raise InputError(
            f"{counted(len(instructions), 'different instruction')}, one is needed to ask for a transcript", file=path
        )
    return instructions.pop()
