"""Write a laboratory: pictures, questions with two annotations, transcription items and public-format benchmarks."""

from __future__ import annotations

import random
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from earwise.micro.benchmarks import write_benchmarks
from earwise.micro.questions import Turn, ask, scan
from earwise.micro.scenes import Picture, Split, draw_picture, png_bytes, render
from earwise.micro.words import VOCABULARY
from earwise.records import Item
from earwise.store import write_jsonl

REPEAT_INSTRUCTION = "Repeat the speech:"
"""Typed before the words that are to be repeated: alignment by transcription, and the copy turns of the base model."""

LONGEST_STRING = 24
"""Words in the longest random string of the transcription items; the longest question has fewer."""

FORMAT_REQUEST = "Please answer yes or no."
"""Closes every question of MME's public file; some transcription items end with it, so that it too can be spoken."""


@dataclass(frozen=True)
class LabSize:
    """How much to write. Items = pictures x turns; benchmarks have about 1.3 items per test picture."""

    train_images: int = 1_700
    validation_images: int = 100
    test_images: int = 1_000
    turns_per_image: int = 6
    transcribe_items: int = 6_000


def write_lab(folder: Path, *, seed: int = 0, size: LabSize = LabSize(), label_noise: float = 0.0) -> None:
    """Write a laboratory into `folder`; the same arguments give the same bytes.

    Files: `train.jsonl` (house annotator), `train_other.jsonl` (the same ids and questions, the other annotator's
    answers, a share `label_noise` of them wrong), `validation.jsonl`, `test.jsonl` (both house, test scenes: a fifth as
    many pictures as the benchmarks), `scan.jsonl` (one `scan` per training picture, with which a base model learns to
    see), `transcribe.jsonl` (text only), `images/`, and `benchmarks/` (see `benchmarks`).
    Scenes of different splits are disjoint, whatever their seeds: what a picture shows decides its split.
    """
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "images").mkdir(exist_ok=True)
    seen: set[Picture] = set()
    train = _write_split(folder, "train", size.train_images, size.turns_per_image, seed, seen)
    _write_split(folder, "validation", size.validation_images, size.turns_per_image, seed, seen)
    _write_split(folder, "test", size.test_images // 5, size.turns_per_image, seed, seen)
    other = _other_answers(train, label_noise, random.Random(f"{seed}/noise"))
    write_jsonl(folder / "train_other.jsonl", other)
    write_jsonl(folder / "transcribe.jsonl", _transcribe_items(train, size.transcribe_items, seed))
    write_benchmarks(folder / "benchmarks", size.test_images, random.Random(f"{seed}/benchmarks"), seen)


def spoken_words(text: str) -> str:
    """The words of a text as an ear would write them: lower case, no punctuation."""
    return " ".join(re.findall(r"[a-z]+", text.lower()))


def _write_split(
    folder: Path, split: Split, images: int, turns: int, seed: int, seen: set[Picture]
) -> list[tuple[Item, Turn]]:
    """Write a split's pictures and its item file; returns the items with the turns they were made from."""
    rng = random.Random(f"{seed}/{split}")
    written, scans = [], []
    for index in range(images):
        picture = draw_picture(split, rng, seen)
        (folder / f"images/{split}-{index:06d}.png").write_bytes(png_bytes(render(picture, rng)))
        for number, turn in enumerate(ask(picture, rng, turns)):
            written.append((_item(split, index, str(number), turn), turn))
        scans.append(_item(split, index, "scan", scan(picture)))
    write_jsonl(folder / f"{split}.jsonl", (item for item, _ in written))
    if split == "train":
        write_jsonl(folder / "scan.jsonl", scans)
    return written


def _item(split: Split, image: int, name: str, turn: Turn) -> Item:
    return Item(
        id=f"{split}-{image:06d}-{name}",
        source=f"micro_{split}",
        question=turn.question,
        answers=(turn.answer,),
        choices=turn.choices,
        image=f"images/{split}-{image:06d}.png",
        cluster=f"{split}-{image:06d}",
        kind=turn.kind,
    )


def _other_answers(written: list[tuple[Item, Turn]], label_noise: float, rng: random.Random) -> Iterator[Item]:
    """The other annotator's items; a wrong label is the answer that such a question got about another picture."""
    answers: dict[tuple[str, str], list[str]] = {}
    for _, turn in written:
        answers.setdefault(_sort(turn), []).append(turn.other)
    for item, turn in written:
        wrong = rng.random() < label_noise
        pool = [answer for answer in rng.choices(answers[_sort(turn)], k=16) if answer != turn.other] if wrong else []
        answer = pool[0] if pool else turn.other
        yield item.model_copy(update={"answers": (answer,), "meta": {"wrong_label": answer != turn.other}})


def _sort(turn: Turn) -> tuple[str, str]:
    return turn.kind, turn.form


def _transcribe_items(written: list[tuple[Item, Turn]], count: int, seed: int) -> Iterator[Item]:
    """Words to repeat: three fifths are questions of every kind, one in ten of them with a format request, the rest
    random strings of the vocabulary, so that hearing cannot lean on grammar.
    """
    rng = random.Random(f"{seed}/transcribe")
    for index in range(count):
        if rng.random() < 0.6:
            item, turn = rng.choice(written)
            text, kind = turn.text, item.kind
            if rng.random() < 0.1:
                text = f"{text} {FORMAT_REQUEST}"
        else:
            text, kind = " ".join(rng.choices(VOCABULARY, k=rng.randint(1, LONGEST_STRING))), "words"
        words = spoken_words(text)
        yield Item(
            id=f"transcribe-{index:06d}",
            source="micro_transcribe",
            question=words,
            answers=(words,),
            cluster=f"transcribe-{index:06d}",
            kind=kind,
            instruction=REPEAT_INSTRUCTION,
        )
