"""What `[likelihood]` and `[evaluate.recogniser]` need of the other tables."""

from __future__ import annotations

from collections.abc import Iterator

from earwise.recipe.evaluate import Evaluate, Likelihood
from earwise.recipe.model import BASE
from earwise.recipe.recipe import Recipe
from earwise.views import TRANSCRIPT_VIEWS


def likelihood_disagreements(recipe: Recipe) -> Iterator[tuple[str, str]]:
    """Pairs of a dotted key and what is wrong with it."""
    settings, evaluate = recipe.likelihood, recipe.evaluate
    if evaluate is not None and evaluate.recogniser is not None:
        yield from _recogniser(recipe, evaluate)
    if settings is None:
        return
    if recipe.speech is None:
        yield "speech", "missing table, which [likelihood] needs"
    if evaluate is None:
        yield "evaluate", "missing table, which [likelihood] needs"
    else:
        yield from _names(recipe, settings, evaluate)
    if recipe.model is not None and recipe.model.decoder == "full":
        yield "likelihood", "compares with the base, whose weights model.decoder = 'full' changes"


def _recogniser(recipe: Recipe, evaluate: Evaluate) -> Iterator[tuple[str, str]]:
    if recipe.speech is None:
        yield "speech", "missing table, which evaluate.recogniser needs"
    if not TRANSCRIPT_VIEWS & {*evaluate.every_view}:
        known = " or ".join(sorted(TRANSCRIPT_VIEWS))
        yield "evaluate.recogniser", f"no view shows its transcripts: add {known} to evaluate.views"


def _names(recipe: Recipe, settings: Likelihood, evaluate: Evaluate) -> Iterator[tuple[str, str]]:
    asked = evaluate.benchmarks if settings.benchmarks == "all" else settings.benchmarks
    for name in asked:
        if name not in evaluate.benchmarks:
            yield "likelihood.benchmarks", f"'{name}' is not among evaluate.benchmarks"
        elif evaluate.text_view not in evaluate.asked(name):
            yield (
                "evaluate.views",
                f"'{name}' is not asked under {evaluate.text_view}, whose answers [likelihood] takes",
            )
    for name in () if settings.models == "all" else settings.models:
        if name != BASE and name not in recipe.evaluated:
            yield "likelihood.models", f"'{name}' is not among evaluate.models"
