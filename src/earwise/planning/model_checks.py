"""What can be found wrong with a recipe's models before hours are spent on data and speech."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from earwise.errors import InputError, about
from earwise.models.families import adapter_for, check_folder
from earwise.models.shipped import model_folder
from earwise.planning.models import named_models
from earwise.recipe.model import BASE, PretrainedEars
from earwise.recipe.recipe import Recipe
from earwise.stages.configs import check_tower, model_config, model_type

_CHECKED: Final = ("model.base", "model.ears.path", "base.tower")
"""What `check_model` looks at more closely."""


def check_all_models(recipe: Recipe) -> None:
    """As `check_model`, and raise `InputError` for any other named model that is neither a folder nor on the hub."""
    check_model(recipe)
    for model in named_models(recipe):
        if not model.is_local and model.key not in _CHECKED:
            with about(model.key):
                model_type(model.name, model.revision, trust_remote_code=False)


def check_model(recipe: Recipe) -> None:
    """Raise `InputError` for a base that is nowhere, has no weights or has no family, and for ears that are nowhere.

    So for the Whisper checkpoint that a base's hearing starts from. Nothing is loaded but configurations.
    """
    if recipe.base is not None and recipe.base.tower is not None:
        check_tower(recipe.base.tower)
    settings = recipe.model
    if settings is None:
        return
    if settings.base != BASE:
        base = model_folder(settings.base)
        check_folder(Path(base))
        found = model_type(base, settings.revision, trust_remote_code=settings.trust_remote_code)
        adapter_for(settings.family, found, base)
    if isinstance(settings.ears, PretrainedEars):
        config = model_config(model_folder(settings.ears.path), settings.ears.revision, trust_remote_code=False)
        _check_frozen_layers(recipe, getattr(config, "encoder_layers", None))


def _check_frozen_layers(recipe: Recipe, layers: int | None) -> None:
    """Raise `InputError` where more layers of the encoder are to be frozen than the `layers` that it has."""
    for key, table in (("align", recipe.align), ("training", recipe.training)):
        frozen = table.frozen_layers if table is not None else 0
        if frozen != "all" and layers is not None and frozen > layers:
            what = f"{frozen} layers cannot be frozen: the encoder has {layers}"
            raise InputError(what, record=f"{key}.frozen_layers", remedy="freeze fewer, or 'all'")
