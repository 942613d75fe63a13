"""The folders of models that a recipe names, opened before the first stage works. Imports without torch."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from earwise.errors import InputError
from earwise.models.folders import check_ears_folder, check_model_folder, check_tokenizer_folder
from earwise.planning.models import NamedModel, named_models
from earwise.recipe.recipe import Recipe

STORED_STATES: Final = "cache.json"
"""In a folder of a teacher's stored states, which may be named in place of the teacher."""


def check_folders(recipe: Recipe) -> None:
    """Raise `InputError` for the first folder of a model or of ears that cannot be loaded; hub ids are left alone."""
    for model in named_models(recipe):
        if model.is_local and not (Path(model.name) / STORED_STATES).is_file():
            try:
                _check(model)
            except InputError as error:
                record = f"{error.record} of {model.key}" if error.record is not None else model.key
                raise InputError(error.what, file=error.file, record=record, remedy=error.remedy) from None


def _check(model: NamedModel) -> None:
    folder = Path(model.name)
    match model.marked.kind:
        case "ears":
            check_ears_folder(folder)
        case "tokenizer":
            check_tokenizer_folder(folder)
        case kind:
            check_model_folder(folder, chat=kind == "chat")
