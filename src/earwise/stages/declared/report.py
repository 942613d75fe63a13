"""What stage `report` depends on."""

from __future__ import annotations

from collections.abc import Sequence

from earwise.recipe.recipe import Recipe
from earwise.report.summary import PAGE, SUMMARY
from earwise.stages.declared.deferred import Deferred
from earwise.work.run import Stage

NAME = "report"


def stage(recipe: Recipe, before: Sequence[str]) -> Stage:
    """The last stage: needs all others, whose times it reports."""
    assert recipe.evaluate is not None
    return Stage(
        name=NAME,
        work=Deferred("report.work", (recipe,)),
        settings={
            "report": recipe.report.for_stage() if recipe.report else {},
            "guards": recipe.guards.for_stage() if recipe.guards else {},
            "text_view": recipe.evaluate.text_view,
            "speech_view": recipe.evaluate.speech_view,
            **({"views_of": {n: list(v) for n, v in own.items()}} if (own := recipe.evaluate.views_of) else {}),
        },
        needs=tuple(before),
        outputs=(SUMMARY, PAGE),
    )
