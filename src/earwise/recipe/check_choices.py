"""Checks of `[choose]` against the training runs that it chooses from."""

from __future__ import annotations

from collections.abc import Iterator

from earwise.recipe.model import ALIGNED, BASE
from earwise.recipe.recipe import Recipe


def choice_disagreements(recipe: Recipe) -> Iterator[tuple[str, str]]:
    """Every dotted key of `[choose]` that contradicts another table, with the reason."""
    for name, choice in recipe.choose.items():
        key = f"choose.{name}"
        if name in (BASE, ALIGNED, "all", *recipe.train):
            yield key, f"'{name}' is the name of another model: choose another name"
        unknown = [one for one in choice.of if one not in recipe.train]
        if unknown:
            known = ", ".join(recipe.train) or "there is none"
            yield f"{key}.of", f"no training is named '{unknown[0]}': choose from {known}"
        views = dict.fromkeys(recipe.train[one].view for one in choice.of if one in recipe.train)
        if len(views) > 1:
            yield f"{key}.of", f"trainings of several views ({', '.join(views)}) are not compared on held-out questions"
        if recipe.training is None or recipe.training.select is None:
            yield "training.select", f"missing table, which {key} needs: it asks the held-out questions"
