"""A fake run folder with the numbers, curves, pictures and clips that a real run leaves behind."""

from __future__ import annotations

import hashlib
import json
import math
import random
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
from PIL import Image, ImageDraw

from earwise.records import SAMPLE_RATE_HZ, Clip, Item
from earwise.report.items import Answer, ShownItem

MODELS = {"aligned": 18.6, "sft": 74.6, "self_kd": 75.2, "self_kd_layers": 86.6}
BENCHMARKS = {"all": 1200, "micro_mme": 480, "micro_realworldqa": 300, "micro_textvqa": 220, "micro_chartqa": 200}
KINDS = ("existence", "count", "attribute", "position", "relation", "reading")
VOICES = ("en-gb+m3", "en-gb-scotland+f2", "en-us+klatt4", "en-029+f5", "en-gb-x-rp+m7", "en-us+steph")
TYPED = 95.0


def view(score: float, n: int, **rates: float | None) -> dict[str, Any]:
    """A view's entry with a binomial interval."""
    half = 196 * math.sqrt(max(score * (100 - score), 1) / 1e4 / n)
    return {"score": score, "ci95": [score - half, score + half], "invalid_rate": 0.0, "yes_rate": None, **rates}


def result(spoken: float, n: int, shift: float) -> dict[str, Any]:
    """One model on one benchmark."""
    typed, spoken = min(TYPED + shift, 99.0), max(spoken + shift, 1.0)
    gap = typed - spoken
    views = {
        "image_text": view(typed, n, yes_rate=0.512),
        "image_speech": view(spoken, n, invalid_rate=0.3 / (1 + spoken), yes_rate=0.47),
        "image_transcript": view(71.3 + shift, n, invalid_rate=0.004, yes_rate=0.49),
        "text_only": view(44.0 + shift / 2, n, yes_rate=0.63),
    }
    kinds = {
        kind: {"image_text": min(typed + 3 - i, 100), "image_speech": max(spoken + 6 - 3 * i, 0), "n": n // len(KINDS)}
        for i, kind in enumerate(KINDS)
    }
    p = 1e-6 if gap > 2 else 0.4
    return {"n": n, "views": views, "gap": {"value": gap, "ci95": [gap - 1.4, gap + 1.6], "p": p}, "kinds": kinds}


def summary() -> dict[str, Any]:
    """A full summary: four models, five benchmarks, comparisons, voices and an ablation."""
    shifts = dict(zip(BENCHMARKS, (0.0, 2.1, 1.2, -3.4, -1.8), strict=True))
    models = {
        model: {name: result(spoken, n, shifts[name]) for name, n in BENCHMARKS.items()}
        for model, spoken in MODELS.items()
    }
    pairs = (("self_kd_layers", "sft", 12.0, 9.8, 14.2, 1e-9), ("self_kd", "sft", 0.6, -1.3, 2.4, 0.553))
    return {
        "recipe": "quickstart",
        "seed": 0,
        "seeds": [0],
        "models": models,
        "comparisons": [
            {"a": a, "b": b, "benchmark": bench, "view": "image_speech", "value": v, "ci95": [lo, hi], "p": p, "n": n}
            for a, b, v, lo, hi, p in pairs
            for bench, n in (("all", 1200), ("micro_mme", 480))
        ],
        "voices": {
            "train": 120,
            "test": list(VOICES),
            "per_voice": {
                model: {voice: {"score": max(spoken + 4 - 2 * i, 0), "n": 200} for i, voice in enumerate(VOICES)}
                for model, spoken in MODELS.items()
            },
        },
        "timings_s": {"data": 21.4, "clips": 48.2, "align": 95.0, "sft": 120.3, "self_kd": 131.9, "evaluate": 61.0},
        "versions": {"earwise": "0.1.0", "torch": "2.13.0", "transformers": "5.23.0", "python": "3.11.9"},
        "ablation": {
            f"alpha {alpha}": {
                "micro": {"score": 82 + 4 * alpha, "ci95": [80.4 + 4 * alpha, 83.6 + 4 * alpha], "n": 1200},
                "other voices": {"score": 79 + 3 * alpha, "ci95": [77 + 3 * alpha, 81 + 3 * alpha], "n": 900},
            }
            for alpha in (0.0, 0.25, 0.5, 0.75, 1.0)
        },
    }


def write_run(folder: Path, data: dict[str, Any] | None = None) -> Path:
    """Write `summary.json`, `run.json`, `recipe.json` and the training curves; returns the folder."""
    folder.mkdir(parents=True, exist_ok=True)
    files = {
        "summary.json": data if data is not None else summary(),
        "run.json": {
            "recipe": "quickstart",
            "attempts": [
                {
                    "command": ["earwise", "run", "recipes/quickstart.toml"],
                    "platform": {"system": "Linux-6.1-x86_64", "machine": "x86_64"},
                    "revision": "4f1c2d9a8b7e6f5d4c3b2a190817263544536271",
                    "diff": "diff-0123456789ab.patch",
                }
            ],
        },
        "recipe.json": {
            "name": "quickstart",
            "seed": 0,
            "train": {"sft": {"data": "train", "terms": [{"type": "sft", "weight": 1.0}]}},
        },
    }
    for name, content in files.items():
        (folder / name).write_text(json.dumps(content))
    for stage, terms in {"align": (), "sft": ("sft",), "self_kd_layers": ("sft", "logits", "layers")}.items():
        write_metrics(folder / "stages" / stage / "metrics.jsonl", terms)
    return folder


def write_metrics(path: Path, terms: tuple[str, ...], steps: int = 240) -> None:
    """A noisy falling loss, one line per step."""
    noise = random.Random(path.parent.name)
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w") as file:
        for step in range(1, steps + 1):
            scale = 0.3 + 6 * math.exp(-step / 40)
            values = {term: scale / (2 + i) * noise.uniform(0.8, 1.2) for i, term in enumerate(terms)}
            loss = sum(values.values()) or scale * noise.uniform(0.85, 1.15)
            numbers = {"loss": loss, **{f"terms/{term}": value for term, value in values.items()}, "lr": 2e-3}
            file.write(json.dumps({"step": step, **numbers}) + "\n")


def write_picture(path: Path, seed: int, size: int = 96) -> Path:
    """A picture of coloured shapes."""
    rng = random.Random(seed)
    image = Image.new("RGB", (size, size), "#f2efe8")
    draw = ImageDraw.Draw(image)
    for _ in range(4):
        x, y, r = rng.randrange(10, size - 30), rng.randrange(10, size - 30), rng.randrange(10, 20)
        shape = rng.choice((draw.ellipse, draw.rectangle))
        shape((x, y, x + r, y + r), fill=rng.choice(("#c0392b", "#2c6fbb", "#2e8b57", "#e0a800")))
    image.save(path)
    return path


def write_clip(path: Path, item: str, spoken: str, seed: int, seconds: float = 2.5) -> Clip:
    """A humming clip with a speech-like envelope and its record."""
    time = np.arange(int(seconds * SAMPLE_RATE_HZ)) / SAMPLE_RATE_HZ
    wave = np.sin(2 * np.pi * (110 + 7 * seed) * time) * (0.5 + 0.5 * np.sin(2 * np.pi * 3 * time)) ** 2
    samples = (12_000 * wave).astype(np.int16)
    soundfile.write(path, samples, SAMPLE_RATE_HZ)
    return Clip(
        item=item, spoken=spoken, form_version="1", engine="espeak-ng 1.52", voice=VOICES[seed % len(VOICES)],
        rate=165.0, pitch=50.0, seed=seed, path=path.name, num_samples=len(samples),
        sha256=hashlib.sha256(samples).hexdigest(),
    )  # fmt: skip


QUESTIONS = (
    ("existence", "Is there a red circle in the picture?", "yes", "no"),
    ("count", "How many green squares are there?", "3", "2"),
    ("attribute", "What colour is the largest shape?", "blue", "green"),
    ("position", "Which shape is in the top left corner?", "red square", "red circle"),
    ("relation", "Is the blue circle left of the yellow square?", "no", "yes"),
    ("reading", "What word is printed below the shapes?", "mango", "tango"),
)


def shown_items(folder: Path, count: int = 18, question: str | None = None) -> list[ShownItem]:
    """Items with pictures, clips and answers of all models under all views; `question` replaces every question."""
    folder.mkdir(parents=True, exist_ok=True)
    shown = []
    for i in range(count):
        kind, text, gold, other = QUESTIONS[i % len(QUESTIONS)]
        text = question or text
        item = Item(
            id=f"scene-{i // 3:04d}/q{i % 3}", source=list(BENCHMARKS)[1 + i % 4], question=text, answers=(gold,),
            choices=(gold, other) if kind == "position" else (), cluster=f"scene-{i // 3:04d}", kind=kind,
            suffix="Answer with a single word." if i % 2 else "",
        )  # fmt: skip
        clip = write_clip(folder / f"{i}.wav", item.id, text.rstrip("?").lower(), i)
        picture = write_picture(folder / f"{i}.png", i // 3)
        shown.append(ShownItem(item, picture, clip, folder / f"{i}.wav", make_answers(i, gold, other, text)))
    return shown


def make_answers(i: int, gold: str, other: str, question: str) -> dict[str, dict[str, Answer]]:
    """Answers that get better from model to model; the first one fails to answer now and then."""
    right, wrong = Answer(gold, 1.0, False), Answer(other, 0.0, False)
    heard = question.lower().replace("circle", "cycle")
    answers = {}
    for rank, model in enumerate(MODELS):
        spoken = right if (i + rank) % 5 < rank + 1 else wrong
        if rank == 0 and i % 4 == 0:
            spoken = Answer("the the the the", 0.0, True)
        answers[model] = {
            "image_text": wrong if i % 9 == 8 else right,
            "image_speech": spoken,
            "image_transcript": (right if i % 3 else wrong)._replace(heard=heard),
            "text_only": Answer("yes", 0.5, False) if i % 7 == 3 else (wrong if i % 2 else right),
        }
    return answers
