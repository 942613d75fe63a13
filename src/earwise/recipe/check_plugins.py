"""Plugins with the name of a built-in kind: a recipe with this name would be ambiguous."""

from __future__ import annotations

from collections.abc import Iterator

from earwise.io import plugins
from earwise.recipe.model import FAMILIES, FAMILY_GROUP
from earwise.recipe.recipe import Recipe
from earwise.recipe.speech import ENGINES, EngineSettings
from earwise.recipe.terms import TERMS, TermSettings


def plugin_disagreements(recipe: Recipe) -> Iterator[tuple[str, str]]:
    """Keys of the recipe whose built-in kind is also registered by an installed package."""
    engines = {key: engine.type for key, engine in _engines(recipe)}
    terms = {key: term.type for key, term in _terms(recipe)}
    family = {"model.family": recipe.model.family} if recipe.model is not None else {}
    yield from _doubled(EngineSettings.registry, ENGINES.built_in, engines)
    yield from _doubled(TermSettings.registry, TERMS.built_in, terms)
    yield from _doubled(FAMILY_GROUP, tuple(FAMILIES), family)


def _doubled(group: str, built_in: tuple[str, ...], named: dict[str, str]) -> Iterator[tuple[str, str]]:
    installed = {*plugins.names(group)} & {*built_in} if named else set()
    for key, kind in named.items():
        if kind in installed:
            package = plugins.origin(group, kind)
            yield key, f"{kind!r} is built in, and {package} registers it, too: update or uninstall {package}"


def _engines(recipe: Recipe) -> Iterator[tuple[str, EngineSettings]]:
    if recipe.speech is not None:
        yield "speech.engine.type", recipe.speech.engine
        for number, other in enumerate(recipe.speech.others):
            yield f"speech.others.{number}.engine.type", other.engine
    for name, condition in recipe.conditions.items():
        if condition.engine is not None:
            yield f"conditions.{name}.engine.type", condition.engine


def _terms(recipe: Recipe) -> Iterator[tuple[str, TermSettings]]:
    for name, train in recipe.train.items():
        keys = [f"train.{name}.parts.{part}" for part in train.parts] or [f"train.{name}"]
        for key, part in zip(keys, train.each, strict=True):
            for number, term in enumerate(part.terms):
                yield f"{key}.terms.{number}.type", term
