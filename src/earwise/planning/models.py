"""The models that a recipe names, and whether those that are folders on this disk are there: seen before any stage."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from earwise.errors import InputError
from earwise.models.shipped import model_folder
from earwise.recipe.model import BASE
from earwise.recipe.recipe import Recipe
from earwise.recipe.table import NamesModel, Settings
from earwise.recipe.terms import SELF, SNAPSHOT

_HUB_ID = re.compile(r"\w[\w.-]*(/\w[\w.-]*)?")


@dataclass(frozen=True)
class NamedModel:
    """A model as a recipe names it."""

    key: str
    """Dotted key of the setting."""
    name: str
    """The folder, which is given for a shipped model too, or the hub id."""
    revision: str | None
    marked: NamesModel

    @property
    def is_local(self) -> bool:
        """Whether it must be a folder: it lies on this disk, or no model of the hub can have such a name."""
        return Path(self.name).exists() or not self.marked.hub or not _HUB_ID.fullmatch(self.name)


def named_models(recipe: Recipe) -> list[NamedModel]:
    """Every model that the recipe names, in the order of its tables; none that it trains itself."""
    return list(_named_in(recipe, ""))


def check_models(recipe: Recipe) -> None:
    """Raise `InputError` for a model that must be a folder and is none, or that lacks what its kind of folder holds.

    Nothing is opened.
    """
    for model in named_models(recipe):
        if model.is_local:
            _check_folder(model)


def _check_folder(model: NamedModel) -> None:
    folder, files = Path(model.name), model.marked.files
    remedy = f"give a folder that holds {' or '.join(files)}{', or a hub id' if model.marked.hub else ''}"
    if not folder.exists():
        raise InputError("no such model folder", file=folder, record=model.key, remedy=remedy)
    if not folder.is_dir():
        raise InputError("not a model folder", file=folder, record=model.key, remedy=remedy)
    if not any((folder / name).is_file() for name in files):
        raise InputError(f"model folder without {files[0]}", file=folder, record=model.key, remedy=remedy)


def _named_in(value: Any, key: str) -> Iterator[NamedModel]:
    """The models that are named in `value`, the recipe's value at `key`."""
    if isinstance(value, Settings):
        for name, field in type(value).model_fields.items():
            inner, at = getattr(value, name), f"{key}.{name}".lstrip(".")
            marked = next((one for one in field.metadata if isinstance(one, NamesModel)), None)
            if marked is None or not isinstance(inner, str):
                yield from _named_in(inner, at)
            elif inner not in (BASE, SELF, SNAPSHOT):
                yield NamedModel(at, model_folder(inner), getattr(value, "revision", None), marked)
    elif isinstance(value, tuple | dict):
        for entry, inner in value.items() if isinstance(value, dict) else enumerate(value):
            yield from _named_in(inner, f"{key}.{entry}")
