"""What stage `descriptions` depends on."""

from __future__ import annotations

from collections.abc import Collection

from pydantic import JsonValue

from earwise.recipe.recipe import Recipe
from earwise.recipe.teach import ByModel
from earwise.records import View
from earwise.stages.declared.data import NAME as DATA
from earwise.stages.declared.data import iemocap_settings, mmalign_settings, own_files
from earwise.stages.declared.deferred import Deferred
from earwise.stages.declared.traces import generator_inputs
from earwise.views import DESCRIBED_VIEWS
from earwise.work.run import Stage

NAME = "descriptions"


def stage(recipe: Recipe) -> Stage:
    """The stage of `[descriptions]`."""
    settings = recipe.descriptions
    assert settings is not None
    asked: dict[str, JsonValue] = {}
    if benchmarks_are_described(recipe) and recipe.evaluate is not None:
        asked = {
            "benchmarks": list(recipe.evaluate.benchmarks),
            "limit": recipe.evaluate.limit,
            "mmalign": mmalign_settings(recipe),
            **iemocap_settings(recipe),
        }
    return Stage(
        name=NAME,
        work=Deferred("descriptions.work", (recipe,)),
        settings={**settings.for_stage(), **asked},
        needs=(DATA,),
        inputs=(
            *(generator_inputs(settings.model) if isinstance(settings, ByModel) else ()),
            *(own_files(recipe) if asked else ()),
        ),
    )


def descriptions_needed(recipe: Recipe, views: Collection[View]) -> tuple[str, ...]:
    """The stage that describes sounds, for a stage that shows `views`, if one of them needs it and there is one."""
    return (NAME,) if recipe.descriptions is not None and DESCRIBED_VIEWS & {*views} else ()


def benchmarks_are_described(recipe: Recipe) -> bool:
    """Whether a view of `[evaluate]` shows descriptions."""
    return recipe.evaluate is not None and bool(DESCRIBED_VIEWS & {*recipe.evaluate.every_view})
