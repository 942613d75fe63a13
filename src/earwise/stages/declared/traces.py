"""What stage `traces` depends on, and the folders of models that generate text."""

from __future__ import annotations

from pathlib import Path

from earwise.models.shipped import model_folder
from earwise.recipe.recipe import Recipe
from earwise.recipe.teach import Generator, LocalModel
from earwise.stages.declared.data import NAME as DATA
from earwise.stages.declared.deferred import Deferred
from earwise.work.run import Stage

NAME = "traces"


def stage(recipe: Recipe) -> Stage:
    """The stage of `[traces]`."""
    assert recipe.traces is not None
    return Stage(
        name=NAME,
        work=Deferred("traces.work", (recipe,)),
        settings=recipe.traces.for_stage(),
        needs=(DATA,),
        inputs=generator_inputs(recipe.traces.teacher),
    )


def generator_inputs(settings: Generator) -> tuple[Path, ...]:
    """Folders on this disk that a generator's weights are in: when they change, so do its answers."""
    if not isinstance(settings, LocalModel):
        return ()
    named = (Path(model_folder(settings.model)), *([Path(settings.ears)] if settings.ears else []))
    return tuple(path for path in named if path.is_dir())
