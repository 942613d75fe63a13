"""What can be found wrong with a recipe's models before hours are spent on data and speech."""

from __future__ import annotations

from pathlib import Path

from transformers import AutoConfig

from earwise.errors import InputError
from earwise.models.families import _adapter, _check_folder, model_folder
from earwise.settings import BASE, Recipe


def check_base(recipe: Recipe) -> None:
    """Raise `InputError` for a base that is nowhere, has no weights or has no family; nothing is loaded but its
    configuration.
    """
    settings = recipe.model
    if settings is None or settings.base == BASE:
        return
    base = model_folder(settings.base)
    _check_folder(Path(base))
    try:
        config = AutoConfig.from_pretrained(
            base, revision=settings.revision, trust_remote_code=settings.trust_remote_code
        )
    except OSError:
        what = "no such model folder, and no model of that name on the hub or in its cache"
        raise InputError(what, file=base, remedy="give a folder, or a hub id while the hub can be reached") from None
    _adapter(settings.family, config.model_type, base)
