"""What stage `verify` depends on."""

from __future__ import annotations

from pathlib import Path

from earwise.recipe.recipe import Recipe
from earwise.stages.declared.data import NAME as DATA
from earwise.stages.declared.deferred import Deferred
from earwise.stages.declared.traces import NAME as DRAWN
from earwise.stages.declared.traces import generator_inputs
from earwise.work.run import Stage

NAME = "verify"


def stage(recipe: Recipe) -> Stage:
    """The stage of `[verify]`."""
    assert recipe.verify is not None
    known = Path(recipe.verify.known)
    return Stage(
        name=NAME,
        work=Deferred("verify.work", (recipe,)),
        settings=recipe.verify.for_stage(),
        needs=(DATA, DRAWN),
        inputs=(*generator_inputs(recipe.verify.checker), *([known] if known.is_file() else [])),
    )
