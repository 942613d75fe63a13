"""Write a laboratory: pictures, questions with two annotations, transcription items and public-format benchmarks."""

from __future__ import annotations

import random
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from earwise.data.asr import INSTRUCTION
from earwise.micro.benchmarks import write_benchmarks
from earwise.micro.questions import Turn, ask, scan
from earwise.micro.scenes import Picture, draw_picture, png_bytes, render
from earwise.micro.splits import Split
from earwise.micro.words import VOCABULARY
from earwise.records import Item
from earwise.work.store import write_jsonl

REPEATS = 200
"""Strings in the benchmark `repeat`."""

FORMAT_REQUEST = "Please answer yes or no."
"""The end of every question of MME's public file. Some transcription items have it, so that ears learn to hear it."""


@dataclass(frozen=True)
class LabSize:
    """Amounts to write. There are pictures x turns items; benchmarks have about 1.3 items per test picture."""

    train_images: int = 1_700
    validation_images: int = 100
    test_images: int = 1_000
    turns_per_image: int = 6
    transcribe_items: int = 6_000
    random_share: float = 0.4
    """Share of random strings of words among the transcription items; the others are questions of every kind."""
    random_words: int = 24
    """Words of the longest random string; a question has at most 24."""
    emphasis: Mapping[str, float] = field(default_factory=dict)
    """Factors on the frequency of kinds of questions about training and validation scenes."""


def write_lab(folder: Path, *, seed: int = 0, size: LabSize = LabSize(), label_noise: float = 0.0) -> None:
    """Write a laboratory into `folder`; the same arguments give the same bytes.

    Files: `train.jsonl` (house annotator), `train_other.jsonl` (the same ids and questions, the other annotator's
    answers, a share `label_noise` of them wrong), `validation.jsonl`, `scan.jsonl` (one `scan` per training picture,
    from which a base model learns to see), `transcribe.jsonl` (text only) and `images/`. `benchmarks/` has files in
    public formats (see `benchmarks`) and two item files: `questions.jsonl`, every kind of question about a fifth as
    many test pictures, and `repeat.jsonl`, strings that are not in `transcribe.jsonl`. Scenes of different splits are
    disjoint for all seeds.
    """
    benchmarks = folder / "benchmarks"
    for place in (folder, benchmarks):
        (place / "images").mkdir(parents=True, exist_ok=True)
    seen: set[Picture] = set()
    rng = random.Random(f"{seed}/train")
    train, scans = _write_pictures(
        folder, "train", "train", size.train_images, size.turns_per_image, rng, seen, size.emphasis
    )
    write_jsonl(folder / "scan.jsonl", scans)
    turns, rng = size.turns_per_image, random.Random(f"{seed}/validation")
    _write_pictures(folder, "validation", "validation", size.validation_images, turns, rng, seen, size.emphasis)
    rng = random.Random(f"{seed}/questions")
    _write_pictures(benchmarks, "questions", "test", size.test_images // 5, turns, rng, seen)
    other = _other_answers(train, label_noise, random.Random(f"{seed}/noise"))
    write_jsonl(folder / "train_other.jsonl", other)
    heard: set[str] = set()
    whole = replace(
        size, transcribe_items=REPEATS, random_share=LabSize.random_share, random_words=LabSize.random_words
    )
    for path, wanted in ((folder / "transcribe.jsonl", size), (benchmarks / "repeat.jsonl", whole)):
        write_jsonl(path, _repeat_items(train, path.stem, wanted, random.Random(f"{seed}/{path.stem}"), heard))
    write_benchmarks(benchmarks, size.test_images, random.Random(f"{seed}/benchmarks"), seen)


def spoken_words(text: str) -> str:
    """The words of a text as in a transcript: lower case, no punctuation."""
    return " ".join(re.findall(r"[a-z]+", text.lower()))


def _write_pictures(
    folder: Path,
    name: str,
    split: Split,
    images: int,
    turns: int,
    rng: random.Random,
    seen: set[Picture],
    emphasis: Mapping[str, float] = {},
) -> tuple[list[tuple[Item, Turn]], list[Item]]:
    """Write `NAME.jsonl` and its pictures; returns the items with their turns, and the scans."""
    written, scans = [], []
    for index in range(images):
        picture = draw_picture(split, rng, seen)
        cluster = f"{name}-{index:06d}"
        (folder / "images" / f"{cluster}.png").write_bytes(png_bytes(render(picture, rng)))
        for number, turn in enumerate(ask(picture, rng, turns, emphasis)):
            written.append((_item(name, cluster, str(number), turn), turn))
        scans.append(_item(name, cluster, "scan", scan(picture)))
    write_jsonl(folder / f"{name}.jsonl", (item for item, _ in written))
    return written, scans


def _item(source: str, cluster: str, number: str, turn: Turn) -> Item:
    return Item(
        id=f"{cluster}-{number}",
        source=source,
        question=turn.question,
        answers=(turn.answer,),
        choices=turn.choices,
        image=f"images/{cluster}.png",
        cluster=cluster,
        kind=turn.kind,
    )


def _other_answers(written: list[tuple[Item, Turn]], label_noise: float, rng: random.Random) -> Iterator[Item]:
    """The other annotator's items. A wrong label is the answer to a similar question about another picture."""
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


def _repeat_items(
    written: list[tuple[Item, Turn]], name: str, size: LabSize, rng: random.Random, heard: set[str]
) -> Iterator[Item]:
    """Words to repeat: questions of every kind, one in ten with a format request, and random strings of the vocabulary,
    so that ears cannot rely on grammar. The words of each differ from those in `heard`, and are added to it.
    """
    strings: list[tuple[str, str]] = []
    words: list[str] = []
    while len(strings) < size.transcribe_items:
        if rng.random() < 1 - size.random_share:
            item, turn = rng.choice(written)
            text, kind = turn.text, item.kind
            if rng.random() < 0.1:
                text = f"{text} {FORMAT_REQUEST}"
        else:
            text, kind = " ".join(rng.choices(VOCABULARY, k=rng.randint(1, size.random_words))), "words"
        if spoken_words(text) not in heard:
            strings.append((text, kind))
            words.append(spoken_words(text))
    heard.update(words)
    for index, (text, kind) in enumerate(strings):
        yield Item(
            id=f"{name}-{index:06d}",
            source=name,
            question=text,
            answers=(words[index],),
            cluster=f"{name}-{index:06d}",
            kind=kind,
            instruction=INSTRUCTION,
        )
