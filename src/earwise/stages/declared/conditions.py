"""What the stages of `[conditions]` depend on: clips of each condition, and the models that answer them."""

from __future__ import annotations

from earwise.recipe.recipe import Recipe
from earwise.records import View
from earwise.stages.declared.base import base_stage_needed
from earwise.stages.declared.data import NAME as DATA
from earwise.stages.declared.data import iemocap_settings, mmalign_settings, own_files
from earwise.stages.declared.deferred import Deferred
from earwise.stages.declared.evaluation import asked_views
from earwise.stages.declared.models import model_check
from earwise.stages.declared.speech import speaks_suffix
from earwise.stages.declared.training import local_inputs, model_stage
from earwise.views import is_spoken
from earwise.work.run import Stage


def clip_stage_name(condition: str) -> str:
    """The stage that makes the clips of a condition."""
    return f"speech.{condition}"


def clip_stage(recipe: Recipe, name: str) -> Stage:
    """The stage that makes the clips of condition `name`."""
    assert recipe.speech is not None
    assert recipe.evaluate is not None
    settings = recipe.conditions[name].for_stage()
    del settings["models"]  # who answers does not decide what is said
    return Stage(
        name=clip_stage_name(name),
        work=Deferred("conditions.speak", (recipe, name)),
        check=model_check(recipe),
        settings={
            **settings,
            "speech": {**recipe.speech.for_stage(), "perturb": None, "test_perturb": None},
            "benchmarks": list(spoken_benchmarks(recipe, name)),
            "limit": recipe.evaluate.limit,
            "mmalign": mmalign_settings(recipe),
            **iemocap_settings(recipe),
            "speak_suffix": speaks_suffix(recipe),
        },
        needs=(DATA,),
        inputs=own_files(recipe),
    )


def stages(recipe: Recipe, seed: int) -> list[Stage]:
    """One stage for each condition and model that is to answer under it."""
    return [_stage(recipe, name, model, seed) for name in recipe.conditions for model in answering_models(recipe, name)]


def stage_name(condition: str, model: str, seed: int) -> str:
    """The stage in which a model answers under a condition."""
    return f"seed{seed}/conditions/{condition}/evaluate.{model}"


def _stage(recipe: Recipe, name: str, model: str, seed: int) -> Stage:
    assert recipe.evaluate is not None
    own = model_stage(recipe, model, seed)
    return Stage(
        name=stage_name(name, model, seed),
        work=Deferred("conditions.answer", (recipe, name, model)),
        check=model_check(recipe),
        settings={
            **recipe.evaluate.for_stage(),
            "models": model,
            "cascade": None,
            "views": list(spoken_views(recipe, model)),
            "benchmarks": list(spoken_benchmarks(recipe, name)),
            "model": recipe.model.for_stage() if recipe.model else None,
        },
        seed=seed,
        needs=(DATA, clip_stage_name(name), *base_stage_needed(recipe, seed), *([own] if own else [])),
        inputs=(*(local_inputs(recipe) if recipe.model else ()), *own_files(recipe)),
    )


def spoken_views(recipe: Recipe, model: str) -> tuple[View, ...]:
    """The views that change with the clips: those under which the question is heard."""
    return tuple(view for view in asked_views(recipe, model) if is_spoken(view))


def answering_models(recipe: Recipe, name: str) -> list[str]:
    """The models that answer under condition `name`: those that are asked anything by ear."""
    asked = recipe.conditions[name].models
    return [model for model in (recipe.evaluated if asked == "all" else asked) if spoken_views(recipe, model)]


def spoken_benchmarks(recipe: Recipe, name: str) -> tuple[str, ...]:
    """The benchmarks that are spoken anew under condition `name`."""
    assert recipe.evaluate is not None
    named = recipe.conditions[name].benchmarks
    heard = [one for one in recipe.evaluate.benchmarks if any(is_spoken(view) for view in recipe.evaluate.asked(one))]
    return tuple(one for one in heard if named == "all" or one in named)
