"""A small data folder as a user would have it: PNG images, item files, a benchmark of one's own and an MME file."""

import base64
import io
import json
from pathlib import Path

from PIL import Image, ImageDraw
from tiny_recipe import MODEL, NAMED_VOICES

COLORS = ("red", "blue", "green")

RECIPE = (
    """\
name = "own"
[data]
source = "folder"
path = "own"
"""
    + NAMED_VOICES
    + MODEL
    + """\
[align]
steps = 1
batch_size = 3
lr = 1e-3
[training]
steps = 1
batch_size = 6
lr = 1e-3
[train.sft]
terms = [{ type = "sft", weight = 1.0 }]
[evaluate]
benchmarks = ["colors", "mme"]
views = ["image_text", "image_speech"]
batch_size = 4
max_new_tokens = 2
[report]
"""
)


def write_data_folder(folder: Path) -> None:
    """Three images, 6 training items, 3 items to write down, and the benchmarks `colors` (3 items) and `mme` (4)."""
    benchmarks = folder / "benchmarks"
    for images in (folder / "images", benchmarks / "images"):
        images.mkdir(parents=True)
        for color in COLORS:
            (images / f"{color}.png").write_bytes(png(color))
    write_lines(folder / "train.jsonl", [item(f"t{n}", color) for n, color in enumerate(COLORS * 2)])
    heard = ("the red star", "a blue ring", "one green box")
    repeat = [
        {"id": f"s{n}", "source": "own", "question": words, "answers": [words], "cluster": f"s{n}"}
        for n, words in enumerate(heard)
    ]
    write_lines(folder / "transcribe.jsonl", [{**row, "instruction": "Repeat the speech:"} for row in repeat])
    choices = [{**item(f"b{n}", color), "choices": [color, "black"]} for n, color in enumerate(COLORS)]
    write_lines(benchmarks / "colors.jsonl", choices)
    rows = ["index\timage\timage_path\tquestion\tanswer\tcategory"]
    for n in range(4):
        shown, asked = COLORS[n // 2], COLORS[n % 2]
        image = base64.b64encode(png(shown)).decode()
        answer = "Yes" if shown == asked else "No"
        rows.append(f"{n}\t{image}\tcolor/{shown}.png\tIs it {asked}? Please answer yes or no.\t{answer}\tcolor")
    (benchmarks / "MME.tsv").write_text("\n".join(rows) + "\n")


def item(name: str, color: str) -> dict[str, object]:
    return {
        "id": name,
        "source": "own",
        "question": "What color is it?",
        "answers": [color],
        "image": f"images/{color}.png",
        "cluster": color,
    }


def write_lines(path: Path, rows: list[dict[str, object]]) -> None:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))


def change_line(path: Path, number: int, **fields: object) -> None:
    """Lay `fields` over the JSON of one line, counted from 0."""
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    rows[number] |= fields
    write_lines(path, rows)


def png(color: str) -> bytes:
    image = Image.new("RGB", (64, 64), "white")
    ImageDraw.Draw(image).rectangle((16, 16, 48, 48), fill=color)
    content = io.BytesIO()
    image.save(content, "PNG")
    return content.getvalue()
