"""Stages `train.NAME` of `[choose]`: the training that did best on held-out questions goes on.

The held-out questions are those of `[training.select]`; neither test items nor another seed's results are looked at.

choice.json    what was chosen, and the percentage of right answers of each training
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Final

from earwise.recipe.recipe import Recipe
from earwise.stages import training
from earwise.stages.declared.training import train_stage
from earwise.stages.selection import tried
from earwise.work.run import StageContext
from earwise.work.store import read_json, write_atomic

CHOICE: Final = "choice.json"


def work(context: StageContext, recipe: Recipe, name: str) -> None:
    """Choose the best of the trainings and train it further."""
    choice = recipe.choose[name]
    stages = {one: train_stage(recipe, one, context.seed).name for one in choice.of}
    right = {one: held_out(context.folder_of(stages[one])) for one in choice.of}
    chosen = max(right, key=lambda one: right[one])  # the first of equals
    write_atomic(context.folder / CHOICE, json.dumps({"chosen": chosen, "held_out": right}, indent=1) + "\n")
    context.say(f"{name}: {chosen} is best on held-out questions, {right[chosen]:.1f} %, and goes on")
    going_on = recipe.train[chosen].model_copy(update={"start": chosen, "steps": choice.steps})
    training.train(context, recipe.model_copy(update={"train": {**recipe.train, name: going_on}}), name)


def held_out(folder: Path) -> float:
    """Percentage of the held-out questions that the weights a training left answer right."""
    return max(tried(folder).values())


def choices(context: StageContext, recipe: Recipe) -> dict[str, dict[str, Any]]:
    """`{NAME: {SEED: {"chosen", "held_out": {TRAINING: percent}}}}`: what `summary.json` says of the choices."""
    return {
        name: {str(seed): read_json(context.folder_of(f"seed{seed}/train.{name}") / CHOICE) for seed in recipe.seeds}
        for name in recipe.choose
    }
