"""What the stages of `[attention]` depend on: one for each seed, and one that pools them."""

from __future__ import annotations

from earwise.recipe.model import BASE
from earwise.recipe.recipe import Recipe
from earwise.stages.declared.base import base_stage_needed
from earwise.stages.declared.data import NAME as DATA
from earwise.stages.declared.data import iemocap_settings, mmalign_settings, own_files
from earwise.stages.declared.deferred import Deferred
from earwise.stages.declared.evaluation import stage_name as evaluation_of
from earwise.stages.declared.models import model_check
from earwise.stages.declared.speech import NAME as SPEECH
from earwise.stages.declared.training import local_inputs, model_stage
from earwise.work.run import Stage

NAME, RESULT = "attention", "attention.json"


def stage(recipe: Recipe, seed: int) -> Stage:
    """Rows of every analysed model of one seed, and their summary."""
    assert recipe.attention is not None
    assert recipe.evaluate is not None
    own = [model_stage(recipe, name, seed) for name in analysed_models(recipe)]
    return Stage(
        name=stage_name(seed),
        work=Deferred("attention.work", (recipe,)),
        check=model_check(recipe),
        settings={
            **recipe.attention.for_stage(),
            "models": list(analysed_models(recipe)),
            "benchmarks": list(analysed_benchmarks(recipe)),
            "limit": recipe.evaluate.limit,
            "mmalign": mmalign_settings(recipe),
            **iemocap_settings(recipe),
            "suffix": recipe.evaluate.suffix,
            "model": recipe.model.for_stage() if recipe.model else None,
        },
        seed=seed,
        needs=(
            DATA,
            *([SPEECH] if recipe.speech else []),
            *base_stage_needed(recipe, seed),
            *(name for name in own if name),
            *([evaluation_of(BASE, seed)] if recipe.attention.response == "base" else []),
        ),
        inputs=(*(local_inputs(recipe) if recipe.model else ()), *own_files(recipe)),
    )


def pooled_stage(recipe: Recipe) -> Stage:
    """The summary of all seeds together, beside the run's `summary.json`."""
    assert recipe.attention is not None
    return Stage(
        name=NAME,
        work=Deferred("attention.pool", (recipe,)),
        settings={"baseline": baseline(recipe), "views": list(recipe.attention.views)},
        needs=tuple(stage_name(seed) for seed in recipe.seeds),
        outputs=(RESULT,),
    )


def stage_name(seed: int) -> str:
    """The stage that measures the models of one seed."""
    return f"seed{seed}/{NAME}"


def analysed_models(recipe: Recipe) -> tuple[str, ...]:
    """The base first, then the models that are compared with it."""
    assert recipe.attention is not None
    named = recipe.models if recipe.attention.models == "all" else recipe.attention.models
    return (BASE, *(name for name in named if name != BASE))


def analysed_benchmarks(recipe: Recipe) -> tuple[str, ...]:
    """The benchmarks whose questions are looked at."""
    assert recipe.attention is not None
    assert recipe.evaluate is not None
    return recipe.evaluate.benchmarks if recipe.attention.benchmarks == "all" else recipe.attention.benchmarks


def baseline(recipe: Recipe) -> str | None:
    """The model that the others are compared with: the one that is named, else the first training."""
    assert recipe.attention is not None
    trained = [name for name in recipe.train if name in analysed_models(recipe)]
    return recipe.attention.baseline or next(iter(trained), None)
