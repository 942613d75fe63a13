"""What stage `answers` depends on, and which stage writes the item files that trainings learn from."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from pydantic import JsonValue

from earwise.models.shipped import model_folder
from earwise.recipe.model import BASE
from earwise.recipe.recipe import Recipe
from earwise.recipe.teach import Answers
from earwise.recipe.train import WRITTEN_BY
from earwise.stages.declared.base import base_stage_needed
from earwise.stages.declared.data import NAME as DATA
from earwise.stages.declared.deferred import Deferred
from earwise.stages.declared.descriptions import descriptions_needed
from earwise.stages.declared.models import model_check
from earwise.work.run import Stage

WRITTEN: Final = "written"
"""Item file of the stage `answers`."""


def writer_stage(name: str, recipe: Recipe, seed: int) -> str | None:
    """The stage that writes the item file `name`; None for one of the data folder.

    A base that is trained from nothing is another one for each seed, and so are its answers.
    """
    writer = WRITTEN_BY.get(name)
    return f"seed{seed}/{writer}" if name == WRITTEN and recipe.base is not None else writer


def stage(recipe: Recipe, seed: int) -> Stage:
    """The stage of `[answers]`; of seed `seed` where each seed has a base of its own."""
    settings = recipe.answers
    assert settings is not None
    name = writer_stage(WRITTEN, recipe, seed)
    assert name is not None
    return Stage(
        name=name,
        work=Deferred("answers.work", (recipe,)),
        check=model_check(recipe),
        settings={**settings.for_stage(), "base": _base(recipe, settings)},
        seed=seed if recipe.base is not None else 0,  # nothing else of the answers depends on a training's seed
        needs=(DATA, *descriptions_needed(recipe, [settings.view]), *base_stage_needed(recipe, seed)),
        inputs=_local_model(recipe, settings),
    )


def _base(recipe: Recipe, settings: Answers) -> JsonValue:
    """What decides the base's answers: not its ears, as the view is typed."""
    if recipe.model is None or settings.model != BASE:
        return None
    of = recipe.model.for_stage()
    return {key: of[key] for key in ("base", "revision", "family", "dtype", "trust_remote_code")}


def _local_model(recipe: Recipe, settings: Answers) -> tuple[Path, ...]:
    """A model in a folder may change under its name."""
    name = settings.model if settings.model != BASE or recipe.model is None else recipe.model.base
    path = Path(model_folder(name))
    return (path,) if name != BASE and path.is_dir() else ()
