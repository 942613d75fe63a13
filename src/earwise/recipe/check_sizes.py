"""Checks of products of sizes: the drawing order of a training run is computed before it begins."""

from __future__ import annotations

from collections.abc import Iterator

from earwise.io.limits import MAX_COUNT
from earwise.recipe.recipe import Recipe
from earwise.recipe.train import Optimisation


def size_disagreements(recipe: Recipe) -> Iterator[tuple[str, str]]:
    """The dotted key of each training run that would draw too many items, with the number."""
    for key, one in _trainings(recipe):
        drawn = one.steps * one.batch_size * one.accumulate
        if drawn > MAX_COUNT:
            yield f"{key}.steps", f"{drawn:,} items would be drawn, at most {MAX_COUNT:,} can be: take fewer steps"


def _trainings(recipe: Recipe) -> Iterator[tuple[str, Optimisation]]:
    if recipe.encoder is not None:
        yield "encoder", recipe.encoder
    if recipe.align is not None:
        yield "align", recipe.align
    for number, phase in enumerate(recipe.base.phases if recipe.base is not None else ()):
        yield f"base.phases.{number}", phase
    if recipe.training is not None:
        for name in recipe.train:
            yield f"train.{name}", recipe.optimisation(name)
