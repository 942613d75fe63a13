"""Checks of `[conditions]` against the tables of their clips and models."""

from __future__ import annotations

from collections.abc import Iterator

from earwise.recipe.model import BASE
from earwise.recipe.recipe import Recipe
from earwise.recipe.speech import Condition, Speech
from earwise.views import SPOKEN_VIEWS


def condition_disagreements(recipe: Recipe) -> Iterator[tuple[str, str]]:
    """Every dotted key of `[conditions]` that contradicts another table, with the reason."""
    if not recipe.conditions:
        return
    for table in ("speech", "evaluate"):
        if getattr(recipe, table) is None:
            yield table, "missing table, which [conditions] needs"
    if recipe.speech is None or recipe.evaluate is None:
        return
    if not SPOKEN_VIEWS & {*recipe.evaluate.every_view}:
        yield "conditions", "change how questions are spoken, but no view of evaluate.views speaks"
    for name, condition in recipe.conditions.items():
        yield from _names(recipe, f"conditions.{name}", condition)
        yield from _clips(recipe.speech, f"conditions.{name}", condition)


def _names(recipe: Recipe, key: str, condition: Condition) -> Iterator[tuple[str, str]]:
    """Models and benchmarks must be evaluated."""
    assert recipe.evaluate is not None
    for one in condition.benchmarks if condition.benchmarks != "all" else ():
        if one not in recipe.evaluate.benchmarks:
            yield f"{key}.benchmarks", f"'{one}' is not among evaluate.benchmarks"
        elif not SPOKEN_VIEWS & {*recipe.evaluate.asked(one)}:
            yield f"{key}.benchmarks", f"'{one}' is asked under no view that speaks"
    for one in condition.models if condition.models != "all" else ():
        if one not in (BASE, *recipe.evaluated):
            yield f"{key}.models", f"'{one}' is not among evaluate.models"


def _clips(speech: Speech, key: str, condition: Condition) -> Iterator[tuple[str, str]]:
    """Clips must differ from those of `[speech]`, and another engine needs voices of its own."""
    if condition.engine not in (None, speech.engine) and condition.voices is None:
        yield f"{key}.voices", "missing: another engine does not have the voices of [speech]"
    own = (condition.voices, condition.rates_wpm, condition.pitches, condition.perturb)
    same = condition.engine in (None, speech.engine) and all(value is None for value in own)
    if same and speech.test_perturb is None:
        yield key, "its clips are those of [speech]: give it an engine, voices, rates_wpm, pitches or perturb"
