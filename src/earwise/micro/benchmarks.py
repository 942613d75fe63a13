"""Micro benchmarks in the formats of the public files, for the same readers.

TSV files follow VLMEvalKit (index, base64 image, question, answer, ...), ARO files follow Yuksekgonul et al. 2023
(true and false caption with a box). Every picture comes from the test split and is used by one benchmark.
"""

from __future__ import annotations

import base64
import csv
import json
import random
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from pathlib import Path
from typing import TypeVar

from earwise.micro import questions
from earwise.micro.questions import Turn
from earwise.micro.scenes import IMAGE_SIZE, Chart, Picture, Scene, draw_picture, png_bytes, render

T = TypeVar("T")
Row = Sequence[object]
Check = Callable[..., Turn | None]

MME_CATEGORIES: dict[str, Check] = {
    "existence": questions.existence,
    "count": questions.count_check,
    "position": questions.relation_check,
    "color": questions.color_check,
    "OCR": questions.reading_check,
}
"""Category of MME -> its question. Each picture has one with answer yes and one with answer no."""

SHARES = {"mme": 0.30, "realworldqa": 0.15, "textvqa": 0.15, "chartqa": 0.15, "relation": 0.125, "attribution": 0.125}
"""Each benchmark's share of the test pictures."""

ANNOTATORS = 10
"""Answers per question in TextVQA; here they all agree."""


class _Source:
    """New test pictures from one random source."""

    def __init__(self, rng: random.Random, seen: set[Picture]) -> None:
        self.rng, self.seen = rng, seen

    def scene(self) -> Scene:
        picture = draw_picture("test", self.rng, self.seen, chart=False)
        assert isinstance(picture, Scene)
        return picture

    def chart(self) -> Chart:
        picture = draw_picture("test", self.rng, self.seen, chart=True)
        assert isinstance(picture, Chart)
        return picture

    def png(self, picture: Picture) -> bytes:
        return png_bytes(render(picture, self.rng))

    def base64(self, picture: Picture) -> str:
        return base64.b64encode(self.png(picture)).decode("ascii")

    def about(self, form: Callable[[Scene, random.Random], T | None]) -> tuple[Scene, T]:
        """A scene that allows a question of this form, and the question."""
        while True:
            scene = self.scene()
            made = form(scene, self.rng)
            if made is not None:
                return scene, made


def write_benchmarks(folder: Path, images: int, rng: random.Random, seen: set[Picture]) -> None:
    """Write `MME.tsv`, `RealWorldQA.tsv`, `TextVQA_VAL.tsv`, `ChartQA_TEST.tsv` and the two ARO files into `folder`.

    `SHARES` divides the `images` test pictures; pictures in `seen` are not used again.
    """
    folder.mkdir(parents=True, exist_ok=True)
    source = _Source(rng, seen)
    count = {name: round(share * images) for name, share in SHARES.items()}
    _write_tsv(folder / "MME.tsv", "index image image_path question answer category", _mme(source, count["mme"]))
    choice_columns = "index image question A B C D answer category"
    _write_tsv(folder / "RealWorldQA.tsv", choice_columns, _realworldqa(source, count["realworldqa"]))
    _write_tsv(folder / "TextVQA_VAL.tsv", "index image question answer", _textvqa(source, count["textvqa"]))
    _write_tsv(folder / "ChartQA_TEST.tsv", "index image question answer split", _chartqa(source, count["chartqa"]))
    (folder / "images").mkdir(exist_ok=True)
    _write_aro(folder, "relation", count["relation"], source)
    _write_aro(folder, "attribution", count["attribution"], source)


def _mme(source: _Source, images: int) -> Iterable[Row]:
    categories = list(MME_CATEGORIES)
    for number in range(images):
        category = categories[number % len(categories)]
        check = MME_CATEGORIES[category]
        scene, right = source.about(partial(check, truth=True))
        wrong = check(scene, source.rng, truth=False)
        assert wrong is not None
        image = source.base64(scene)
        for place, turn in enumerate((right, wrong)):
            question = f"{turn.question} Please answer yes or no."
            answer = turn.answer.capitalize()
            yield 2 * number + place, image, f"{category}/{number:04d}.png", question, answer, category


def _realworldqa(source: _Source, images: int) -> Iterable[Row]:
    for number in range(images):
        scene, turn = source.about(questions.choice_word)
        options = (*turn.choices, "", "")[:4]
        yield number, source.base64(scene), turn.question, *options, turn.answer, "choice"


def _textvqa(source: _Source, images: int) -> Iterable[Row]:
    for number in range(images):
        scene, turn = source.about(questions.reading_open)
        yield number, source.base64(scene), turn.question, repr([turn.answer] * ANNOTATORS)


def _chartqa(source: _Source, images: int) -> Iterable[Row]:
    """Half of the questions read one value (`test_augmented`), half compare (`test_human`), as in ChartQA."""
    for number in range(images):
        chart = source.chart()
        split, forms = (("test_augmented", ("height",)), ("test_human", ("extreme", "compare")))[number % 2]
        turn = questions.ask_chart(chart, source.rng, source.rng.choice(forms))
        yield number, source.base64(chart), turn.question, turn.answer, split


def _write_aro(folder: Path, name: str, images: int, source: _Source) -> None:
    cases = []
    for number in range(images):
        case: dict[str, object] = {"image_path": f"{name}-{number:04d}.png"}
        if name == "relation":
            scene, (true, false, relation) = source.about(questions.caption_relation)
            case["relation_name"] = relation
        else:
            scene, (true, false, colors) = source.about(questions.caption_attribution)
            case["attributes"] = list(colors)
        case |= {"bbox_x": 0, "bbox_y": 0, "bbox_w": IMAGE_SIZE, "bbox_h": IMAGE_SIZE}
        case |= {"true_caption": true, "false_caption": false}
        (folder / "images" / str(case["image_path"])).write_bytes(source.png(scene))
        cases.append(case)
    (folder / f"visual_genome_{name}.json").write_text(json.dumps(cases, indent=1) + "\n", encoding="utf-8")


def _write_tsv(path: Path, columns: str, rows: Iterable[Row]) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, delimiter="\t", lineterminator="\n")
        writer.writerow(columns.split())
        writer.writerows(rows)
