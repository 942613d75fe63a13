"""Every key of a recipe with another value that it can have, and the jobs that then depend on something else."""

from __future__ import annotations

import functools
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

from earwise.errors import InputError
from earwise.planning.compile import compile_recipe
from earwise.recipe.read import load_recipe
from earwise.recipe.recipe import Recipe
from earwise.recipe.table import Settings


def keys(value: Any, key: str = "", annotation: Any = None) -> Iterator[tuple[str, Any, Any]]:
    """Dotted key, value and annotation of every setting, also of those that the recipe does not write."""
    if isinstance(value, Settings):
        for name, field in type(value).model_fields.items():
            yield from keys(getattr(value, name), f"{key}.{name}".lstrip("."), field.annotation)
    elif isinstance(value, dict):
        for name, inner in value.items():
            yield from keys(inner, f"{key}.{name}")
    elif isinstance(value, tuple) and value and isinstance(value[0], Settings):
        for number, inner in enumerate(value):
            yield from keys(inner, f"{key}.{number}")
    else:
        yield key, value, annotation


def other_values(value: Any, annotation: Any) -> Iterator[Any]:
    """Values of the same kind; most keys take one of them."""
    yield from (word for word in _words(annotation) if word != value)
    if isinstance(value, bool):
        yield not value
    elif isinstance(value, int):
        yield from (value + 1, 2 * value, max(1, value - 1), 4 * value)
    elif isinstance(value, float):
        yield from (value * 0.5, value * 1.01, value + 0.01, 0.25, 0.5)
    elif isinstance(value, str):
        yield f"{value}x"
    elif value is None:
        yield from (1, 2, 0.5, "x", True)
    elif isinstance(value, tuple) and value:
        yield from ([*value[:-1]], [*value[1:]], [*reversed(value)]) if len(value) > 1 else ()
        yield [inner + 1 if isinstance(inner, int | float) else f"{inner}x" for inner in value]


def _words(annotation: Any) -> Iterator[Any]:
    inner = get_args(annotation)
    if get_origin(annotation) is Literal:
        yield from inner
    else:
        for one in inner:
            yield from _words(one)


def _toml(value: Any) -> str:
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(_toml, value))}]"
    return json.dumps(value)


def depends(recipe: Recipe) -> dict[str, tuple[str, str]]:
    """By name of each job its kind, and what it depends on itself, beside what the stages that it needs leave."""
    return {
        job.name: (
            type(job).__name__,
            json.dumps([job.settings, job.seed, sorted(job.inputs), sorted(job.needs)], sort_keys=True),
        )
        for job in compile_recipe(recipe)
    }


@functools.cache
def changed(path: Path) -> tuple[tuple[str, dict[str, str]], ...]:
    """Key, and by name the kind of each job that depends on something else, appears or goes, when the key has another
    value. Keys for which no other value is found are left out.
    """
    return tuple(_changed(path))


def _changed(path: Path) -> Iterator[tuple[str, dict[str, str]]]:
    recipe = load_recipe(path)
    before = depends(recipe)
    swept = [*recipe.train][:2]  # the keys of one training run are those of all
    for key, value, annotation in keys(recipe):
        if key.startswith("train.") and key.split(".")[1] not in swept:
            continue
        for other in other_values(value, annotation):
            try:
                again = load_recipe(path, [f"{key}={_toml(other)}"])
                after = depends(again)
            except InputError:
                continue
            if again != recipe:
                both = {**before, **after}
                unlike = [name for name in both if before.get(name) != after.get(name)]
                yield key, {name: both[name][0] for name in unlike}
                break
