"""What stage `base` depends on."""

from __future__ import annotations

from pathlib import Path

from earwise.models.shipped import model_folder
from earwise.recipe.base import Base
from earwise.recipe.model import BASE
from earwise.recipe.recipe import Recipe
from earwise.stages.declared.data import NAME as DATA
from earwise.stages.declared.deferred import Deferred
from earwise.stages.declared.models import model_check
from earwise.work.run import Stage


def stage(recipe: Recipe, seed: int) -> Stage:
    """The stage of `[base]`."""
    assert recipe.base is not None
    return Stage(
        name=f"seed{seed}/{BASE}",
        work=Deferred("base.work", (recipe,)),
        check=model_check(recipe),
        settings=recipe.base.for_stage(),
        inputs=_inputs(recipe.base),
        seed=seed,
        needs=(DATA,),
        processes="one",
        precision=tuple(phase.precision for phase in recipe.base.phases),
    )


def _inputs(settings: Base) -> tuple[Path, ...]:
    """The tower's folder, where it is on this disk: when it changes, the base is stale."""
    folder = Path(model_folder(settings.tower)) if settings.tower is not None else None
    return (folder,) if folder is not None and folder.is_dir() else ()


def base_stage_needed(recipe: Recipe, seed: int) -> tuple[str, ...]:
    """The base stage, if the recipe trains its base."""
    return (f"seed{seed}/{BASE}",) if recipe.base is not None else ()
