"""What can be found wrong with a recipe's models before hours are spent on data and speech."""

from __future__ import annotations

from pathlib import Path

from transformers import AutoConfig

from earwise.errors import InputError
from earwise.model_settings import BASE, PretrainedEars
from earwise.models.families import adapter_for, check_folder, refuse_remote_code
from earwise.models.shipped import model_folder
from earwise.settings import Recipe


def check_model(recipe: Recipe) -> None:
    """Raise `InputError` for a base that is nowhere, has no weights or has no family, and for ears that are nowhere.

    Nothing is loaded but configurations.
    """
    settings = recipe.model
    if settings is None:
        return
    if settings.base != BASE:
        base = model_folder(settings.base)
        check_folder(Path(base))
        model_type = _model_type(base, settings.revision, trust_remote_code=settings.trust_remote_code)
        adapter_for(settings.family, model_type, base)
    if isinstance(settings.ears, PretrainedEars):
        _model_type(model_folder(settings.ears.path), settings.ears.revision, trust_remote_code=False)


def _model_type(name: str, revision: str | None, *, trust_remote_code: bool) -> str:
    refuse_remote_code(name, revision)
    try:
        config = AutoConfig.from_pretrained(name, revision=revision, trust_remote_code=trust_remote_code)
    except ValueError as error:
        raise InputError(f"its configuration cannot be used: {str(error).partition('.')[0]}", file=name) from None
    except OSError:
        what = "no such model folder, and no model of that name on the hub or in its cache"
        raise InputError(what, file=name, remedy="give a folder, or a hub id while the hub can be reached") from None
    return str(config.model_type)
