"""A fake study: alphas under two regimes, three seeds, MMAlign, yes-rates, and the recipe that asks for it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import report_fixture as fixture

SEEDS = [0, 1, 2]
COLUMNS = {"mme": 600, "realworldqa": 150, "textvqa": 150, "chartqa_human": 75, "chartqa_augmented": 75}
MMALIGN = {"mmalign_relation": 125, "mmalign_attribute": 125}
TYPED = 96.0
SCORES = {
    "aligned": 30.0,
    "gold_alpha_0": 60.0, "gold_alpha_25": 61.0, "gold_alpha_50": 62.0, "gold_alpha_75": 66.0, "gold_alpha_100": 64.0,
    "gold_layers": 80.0,
    "other_alpha_0": 40.0, "other_alpha_25": 45.0, "other_alpha_50": 50.0, "other_alpha_75": 58.0,
    "other_alpha_100": 55.0, "other_layers": 75.0,
}  # fmt: skip


def terms(name: str) -> list[dict[str, Any]]:
    """The objective that a training's name stands for."""
    if name.endswith("layers"):
        return [{"type": "logits", "weight": 1.0}, {"type": "layers", "weight": 20.0}]
    alpha = int(name.rpartition("_")[2]) / 100
    kept = ({"type": "logits", "weight": alpha}, {"type": "sft", "weight": 1 - alpha})
    return [term for term in kept if term["weight"]]


def recipe(published: str | None = "self_kd") -> dict[str, Any]:
    """What `recipe.json` says of the trainings and of the report."""
    trained = [name for name in SCORES if name != "aligned"]
    return {
        "name": "self_kd_micro",
        "data": {"source": "micro"},
        "train": {
            name: {
                "start": "aligned",
                "data": "train_other" if name.startswith("other") else "train",
                "view": "image_speech",
                "terms": terms(name),
            }
            for name in trained
        },
        "report": {"items": 56, "ablation": trained, "published": published},
    }


def view(score: float, n: int, **extra: Any) -> dict[str, Any]:
    """A view's entry with each seed's score around the mean."""
    return {**fixture.view(score, n), "by_seed": [score - 1, score, score + 1], **extra}


def result(name: str, spoken: float, n: int) -> dict[str, Any]:
    """One model on one benchmark."""
    yes = {"yes_rate": 0.51, "yes_ci95": [0.47, 0.55]} if name == "mme" else {}
    more = {"yes_rate": 0.62, "yes_ci95": [0.58, 0.66], "invalid_rate": 0.02} if name == "mme" else {}
    entry: dict[str, Any] = {
        "n": n,
        "views": {"image_text": view(TYPED, n, **yes), "image_speech": view(spoken, n, **more)},
        "gap": {
            "value": TYPED - spoken, "ci95": [TYPED - spoken - 3, TYPED - spoken + 3], "p": 1e-9,
            "by_seed": [TYPED - spoken + 1, TYPED - spoken, TYPED - spoken - 1],
        },
        "kinds": {},
    }  # fmt: skip
    if name == "mean":
        entry["columns"] = list(COLUMNS)
    if name == "mme":
        entry["yes_truth"] = {"share": 0.5, "n": n}
    if name in MMALIGN:
        entry["kinds"] = {
            "left of": {"image_text": 98.0, "image_speech": spoken, "n": 30},
            "above": {"image_text": 97.0, "image_speech": spoken - 2, "n": 8},
        }
        entry["kind_ci95"] = {"left of": {"image_text": [94.0, 100.0], "image_speech": [spoken - 9, spoken + 9]}}
    return entry


def comparison(a: str, b: str, benchmark: str, n: int) -> dict[str, Any]:
    """Model `a` minus model `b` with an interval of three points either way."""
    value = SCORES[a] - SCORES[b]
    each = [
        {"seed": seed, "value": value + seed - 1, "ci95": [value - 5, value + 5], "p": 0.01, "by_seed": [value],
         "only_first": 102, "only_second": 80}
        for seed in SEEDS
    ]  # fmt: skip
    return {
        "a": a, "b": b, "benchmark": benchmark, "view": "image_speech", "n": n, "value": value,
        "ci95": [value - 3, value + 3], "p": 0.012, "by_seed": [value - 1, value, value + 1], "each_seed": each,
    }  # fmt: skip


def summary() -> dict[str, Any]:
    """The summary of the study."""
    sizes = {**COLUMNS, **MMALIGN, "mean": sum(COLUMNS.values()), "all": 1300}
    models = {model: {name: result(name, spoken, n) for name, n in sizes.items()} for model, spoken in SCORES.items()}
    base = {name: {**result(name, 0.0, n), "gap": None} for name, n in sizes.items()}
    for entry in base.values():
        entry["views"] = {"image_text": entry["views"]["image_text"]}
    pairs = [
        (name, f"{name.split('_')[0]}_alpha_0") for name in SCORES if name != "aligned" and not name.endswith("alpha_0")
    ]
    return {
        "recipe": "self_kd_micro",
        "seed": 0,
        "seeds": SEEDS,
        "models": {"base": base, **models},
        "comparisons": [comparison(a, b, name, n) for name, n in sizes.items() for a, b in pairs],
        "ablation": {
            name: {
                bench: {"score": SCORES[name], "ci95": [SCORES[name] - 2, SCORES[name] + 2], "n": n}
                for bench, n in sizes.items()
            }
            for name in SCORES
            if name != "aligned"
        },
        "timings_s": {"data": 20.0, "evaluate": 61.0},
        "versions": {"earwise": "0.1.0"},
    }


def write_study(folder: Path, data: dict[str, Any] | None = None, settings: dict[str, Any] | None = None) -> Path:
    """A run folder with the study's summary and recipe; returns it."""
    fixture.write_run(folder, summary() if data is None else data)
    (folder / "recipe.json").write_text(json.dumps(recipe() if settings is None else settings))
    return folder


def shown_items(folder: Path, count: int = 12) -> list[fixture.ShownItem]:
    """Items with the answers of all models of the study: the fixture's four models under the study's names."""
    shown = []
    for one in fixture.shown_items(folder, count):
        known = list(one.answers.values())
        answers = {name: known[n % len(known)] for n, name in enumerate(SCORES)}
        shown.append(fixture.ShownItem(one.item, one.image_path, one.clip, one.clip_path, answers))
    return shown
