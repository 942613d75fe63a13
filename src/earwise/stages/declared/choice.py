"""What the stages `train.NAME` of `[choose]` depend on."""

from __future__ import annotations

from earwise.recipe.recipe import Recipe
from earwise.stages.declared.deferred import Deferred
from earwise.stages.declared.models import model_check
from earwise.stages.declared.training import train_stage
from earwise.work.run import Stage


def stage(recipe: Recipe, name: str, seed: int) -> Stage:
    """One choice of `[choose]`. It depends on whatever any of its trainings depends on."""
    choice = recipe.choose[name]
    each = [train_stage(recipe, one, seed) for one in choice.of]
    needs = [needed for one in each for needed in (*one.needs, one.name)]
    inputs = [path for one in each for path in one.inputs]
    return Stage(
        name=f"seed{seed}/train.{name}",
        work=Deferred("choice.work", (recipe, name)),
        check=model_check(recipe),
        settings={**choice.for_stage(), "trainings": [one.settings for one in each]},
        seed=seed,
        needs=tuple(dict.fromkeys(needs)),
        inputs=tuple(dict.fromkeys(inputs)),
        processes="all",
        precision=each[0].precision,
    )
