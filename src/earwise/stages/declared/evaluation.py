"""What the stages `evaluate.MODEL` depend on, and which views a model answers itself."""

from __future__ import annotations

from earwise.recipe.model import BASE, NativeEars
from earwise.recipe.recipe import Recipe
from earwise.records import View
from earwise.stages.declared.base import base_stage_needed
from earwise.stages.declared.data import NAME as DATA
from earwise.stages.declared.data import own_files
from earwise.stages.declared.deferred import Deferred
from earwise.stages.declared.descriptions import descriptions_needed
from earwise.stages.declared.models import model_check
from earwise.stages.declared.speech import NAME as SPEECH
from earwise.stages.declared.training import local_inputs, model_stage
from earwise.views import is_heard
from earwise.work.run import Stage


def stages(recipe: Recipe, seed: int) -> list[Stage]:
    """One stage for the base, whose typed answers all models share, and one for each model that hears."""
    named = [BASE, *(name for name in recipe.evaluated if name != BASE)]
    return [_stage(recipe, name, seed) for name in named if asked_views(recipe, name)]


def stage_name(name: str, seed: int) -> str:
    """The stage that evaluates model `name`."""
    return f"seed{seed}/evaluate.{name}"


def asked_views(recipe: Recipe, name: str) -> tuple[View, ...]:
    """The views that model `name` answers itself.

    While the base is frozen its typed answers are those of every model with ears, so it alone is asked; LoRA and
    a decoder that is trained change them. A base that hears by itself is asked by speech, too.
    """
    assert recipe.evaluate is not None
    model = recipe.model
    views = list(recipe.evaluate.every_view)
    native = isinstance(model.ears, NativeEars) if model is not None else recipe.base is not None and recipe.base.hears
    if name == BASE and not native:
        views = [view for view in views if not is_heard(view)]
    elif name != BASE and not (model is not None and model.trains_decoder):
        views = [view for view in views if is_heard(view)]
    if recipe.evaluate.cascade != "all" and name not in recipe.evaluate.cascade:
        views = [view for view in views if view != "image_transcript"]
    return tuple(views)


def _stage(recipe: Recipe, name: str, seed: int) -> Stage:
    assert recipe.evaluate is not None
    own = model_stage(recipe, name, seed)
    return Stage(
        name=stage_name(name, seed),
        work=Deferred("evaluation.work", (recipe, name)),
        check=model_check(recipe),
        settings={
            **recipe.evaluate.for_stage(),
            "models": name,
            "cascade": None,
            "views": list(asked_views(recipe, name)),
            "model": recipe.model.for_stage() if recipe.model else None,
        },
        seed=seed,
        needs=(
            DATA,
            *([SPEECH] if recipe.speech else []),
            *descriptions_needed(recipe, recipe.evaluate.every_view),
            *base_stage_needed(recipe, seed),
            *([own] if own else []),
        ),
        inputs=(*(local_inputs(recipe) if recipe.model else ()), *own_files(recipe)),
    )
