"""Training samples of stage `base`: pools of the picture laboratory, or item files with shares."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

import numpy as np

from earwise.data.descriptions import FILE as DESCRIPTIONS
from earwise.data.items import read_items
from earwise.distil.schedule import draw, group_by_length, mix, shortest_first
from earwise.errors import InputError
from earwise.micro.lab import spoken_words
from earwise.models.sample import Sample, Turn
from earwise.recipe.base import BasePhase
from earwise.records import View
from earwise.stages.descriptions import with_descriptions
from earwise.stages.samples import conversations, sample_items
from earwise.views import DESCRIBED_VIEWS

Say = Callable[[str], None]

_COPIES_PER_CONVERSATION = 3
_CLOSED = frozenset({"yes", "no", "a", "b", "c", "d", "A", "B", "C", "D"})


class Pools(Protocol):
    """The source of a phase's conversations."""

    def order(self, phase: BasePhase, seed: int) -> tuple[list[Sample], np.ndarray]:
        """All samples of a phase, and the (steps x batch,) indices in drawing order."""


@dataclass(frozen=True)
class Scenes:
    """The kinds of conversations in the picture laboratory."""

    questions: list[Sample]
    scans: list[Sample]
    copies: list[Sample]

    @classmethod
    def read(cls, folder: Path, say: Say) -> Scenes:
        """Read conversations about images, requests to name everything in one, and texts to copy, three at a time."""
        single = sample_items(read_items(folder / "transcribe.jsonl"), folder, None, say)
        turns = [turn for sample in single for turn in sample.turns]
        size = _COPIES_PER_CONVERSATION
        return cls(
            conversations(read_items(folder / "train.jsonl"), folder),
            conversations(read_items(folder / "scan.jsonl"), folder),
            [Sample(tuple(turns[n : n + size])) for n in range(0, len(turns), size)],
        )

    def order(self, phase: BasePhase, seed: int) -> tuple[list[Sample], np.ndarray]:
        """Questions, scans and copies by their shares."""
        count = num_draws(phase)
        questions = self._questions(phase, random.Random(seed))
        copies = [_drawn_out(copy, phase, random.Random(f"{seed}/{n}")) for n, copy in enumerate(self.copies)]
        samples = [*questions, *self.scans, *copies]
        order = draw(len(questions), count, seed)
        # The share of scans among everything but copies.
        seeing = phase.scan_share / (1 - phase.copy_share) if phase.copy_share < 1 else 0.0
        order = mix(order, len(questions) + draw(len(self.scans), count, seed + 1), seeing, seed + 1)
        offset = len(questions) + len(self.scans)
        return samples, mix(order, offset + draw(len(copies), count, seed + 2), phase.copy_share, seed + 2)

    def _questions(self, phase: BasePhase, rng: random.Random) -> list[Sample]:
        scan_of = {scan.image: scan.turns for scan in self.scans}
        asked = []
        for whole in self.questions:
            sample = _asked(whole, phase, rng)
            if sample is None:
                continue
            along = scan_of[sample.image] if sample.independent and rng.random() < phase.scan_along else ()
            asked.append(replace(sample, turns=sample.turns + along))
        return asked


@dataclass(frozen=True)
class Files:
    """Conversations by item file."""

    by_name: dict[str, list[Sample]]

    @classmethod
    def read(cls, folder: Path, phase: BasePhase, view: View, say: Say) -> Files:
        """Read one conversation per cluster of the phase's files, with what `view` shows."""
        by_name = {}
        for name in phase.files:
            items = read_items(folder / f"{name}.jsonl")
            by_name[name] = conversations(items, folder, views=(view,), say=say)
            if view in DESCRIBED_VIEWS:
                by_name[name] = with_descriptions(by_name[name], folder / DESCRIPTIONS)
        return cls(by_name)

    def order(self, phase: BasePhase, seed: int) -> tuple[list[Sample], np.ndarray]:
        """The files by their shares, exact up to rounding, in a shuffled order."""
        samples: list[Sample] = []
        drawn: list[np.ndarray] = []
        edges = np.rint(np.cumsum([0.0, *phase.files.values()]) * num_draws(phase)).astype(int)
        for number, (name, count) in enumerate(zip(phase.files, np.diff(edges).tolist(), strict=True)):
            rng = random.Random(f"{seed}/{name}")
            asked = [one for whole in self.by_name[name] if (one := _asked(whole, phase, rng)) is not None]
            if not asked:
                remedy = "name other kinds, or leave out open_only"
                raise InputError("no item is asked in this phase", file=f"{name}.jsonl", remedy=remedy)
            if name in phase.dialogues:
                asked = [replace(one, independent=False) for one in asked]
            drawn.append(len(samples) + draw(len(asked), count, seed + number))
            samples += asked
        return samples, np.random.default_rng(seed).permutation(np.concatenate(drawn))


def num_draws(phase: BasePhase) -> int:
    """Conversations drawn in a phase, including repeats."""
    return phase.steps * phase.batch_size * phase.accumulate


def by_length(order: np.ndarray, lengths: np.ndarray, phase: BasePhase, seed: int) -> np.ndarray:
    """`order`, arranged by the samples' `lengths` as the phase requires."""
    if phase.shortest_first:
        order = shortest_first(order, lengths)
    if phase.group_by_length:
        order = group_by_length(order, lengths, phase.batch_size * phase.accumulate, seed)
    return order


def sample_length(sample: Sample, audio_tokens: Callable[[int], int] | None) -> int:
    """Words of a sample, plus tokens of its sound; images and frames all have one size."""
    words = sum(len(turn.text.split()) + len(turn.item.answers[0].split()) for turn in sample.turns)
    words += len((sample.turns[0].description or "").split())
    heard = audio_tokens(sample.sound.num_samples) if sample.sound is not None and audio_tokens is not None else 0
    return words + heard


def _asked(sample: Sample, phase: BasePhase, rng: random.Random) -> Sample | None:
    """`sample` with the turns that this phase asks, as a dialogue or independently; None without any."""
    turns = tuple(turn for turn in sample.turns if _is_asked(turn, phase))
    return replace(sample, turns=turns, independent=rng.random() < phase.independent) if turns else None


def _is_asked(turn: Turn, phase: BasePhase) -> bool:
    wanted = not phase.kinds or turn.item.kind in phase.kinds
    return wanted and not (phase.open_only and turn.item.answers[0] in _CLOSED)


def _drawn_out(copy: Sample, phase: BasePhase, rng: random.Random) -> Sample:
    """`copy`, in a share of the cases stretched. A model that only sees stretched words takes a word that really occurs
    twice for one.
    """
    return stretched(copy, phase.stretch, rng) if rng.random() < phase.stretch_share else copy


def stretched(copy: Sample, most: int, rng: random.Random) -> Sample:
    """`copy` with every word of its texts repeated 1 to `most` times; the answers stay."""
    if most == 1:
        return copy
    turns = []
    for turn in copy.turns:
        drawn_out = [word for word in spoken_words(turn.text).split() for _ in range(rng.randint(1, most))]
        turns.append(replace(turn, text=" ".join(drawn_out)))
    return replace(copy, turns=tuple(turns))
