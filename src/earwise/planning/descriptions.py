"""Descriptions that a plan shows: nothing is asked."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from earwise.data.descriptions import FILE
from earwise.models.sample import Sample
from earwise.recipe.recipe import Recipe
from earwise.recipe.teach import ByModel
from earwise.stages.descriptions import carried, with_descriptions


def planned_descriptions(
    recipe: Recipe, samples: Sequence[Sample], folder: Path, say: Callable[[str], None]
) -> list[Sample]:
    """`samples` with descriptions, for a plan: nothing is asked, so texts of full length stand for those of a model."""
    settings = recipe.descriptions
    if settings is None:
        return with_descriptions(samples, folder / FILE)
    if isinstance(settings, ByModel):
        say(f"no sound is described yet: texts of {settings.max_tokens} words stand for descriptions")
        longest = " ".join(["sound"] * settings.max_tokens)
        texts = {sample.key: longest for sample in samples}
    else:
        texts = {sample.key: carried(settings, sample.turns[0].item)[0] for sample in samples}
    return [
        replace(sample, turns=tuple(replace(turn, description=texts[sample.key]) for turn in sample.turns))
        for sample in samples
        if texts[sample.key]
    ]
