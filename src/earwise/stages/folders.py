"""The folders of models that a recipe names, opened before the first stage works. Imports without torch."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from earwise.answers_settings import Answers
from earwise.base_settings import Base
from earwise.errors import InputError
from earwise.gate_settings import Asr
from earwise.model_folders import check_ears_folder, check_model_folder
from earwise.model_settings import BASE, Model, PretrainedEars
from earwise.models.shipped import model_folder
from earwise.schema import Settings
from earwise.settings import Recipe
from earwise.speech_settings import HuggingFaceEngine
from earwise.term_settings import TaughtTerm, TeacherServer
from earwise.traces_settings import LocalModel
from earwise.training_settings import Encoder

STORED_STATES = "cache.json"
"""In a folder of a teacher's stored states, which may be named in place of the teacher."""


def check_folders(recipe: Recipe) -> None:
    """Raise `InputError` for the first folder of a model or of ears that cannot be loaded; hub ids are left alone."""
    for key, name, chat in _named(recipe, ""):
        folder = Path(model_folder(name))
        if folder.exists() and not (folder / STORED_STATES).is_file():
            _of(key, check_model_folder, folder, chat=chat)
    for key, name in _ears(recipe, ""):
        _of(key, check_ears_folder, Path(name))


def _of(key: str, check: Any, folder: Path, **how: bool) -> None:
    try:
        check(folder, **how)
    except InputError as error:
        record = f"{error.record} of {key}" if error.record is not None else key
        raise InputError(error.what, file=error.file, record=record, remedy=error.remedy) from None


def _named(value: Any, key: str) -> Iterator[tuple[str, str, bool]]:
    """Key and name of each model that a recipe names, and whether it is talked to."""
    match value:
        case Model() if value.base != BASE:
            yield f"{key}.base", value.base, True
        case Answers() if value.model != BASE:
            yield f"{key}.model", value.model, True
        case LocalModel():
            yield f"{key}.model", value.model, True
        case PretrainedEars():
            yield f"{key}.path", value.path, False
        case Asr() | HuggingFaceEngine():
            yield f"{key}.model", value.model, False
        case Base() if value.tower is not None:
            yield f"{key}.tower", value.tower, False
        case Encoder() if value.start is not None:
            yield f"{key}.start", value.start, False
        case TaughtTerm() if not isinstance(value.teacher, TeacherServer) and value.teacher not in ("self", "snapshot"):
            yield f"{key}.teacher", value.teacher, True
    for at, inner in _inside(value, key):
        yield from _named(inner, at)


def _ears(value: Any, key: str) -> Iterator[tuple[str, str]]:
    if isinstance(value, LocalModel) and value.ears is not None:
        yield f"{key}.ears", value.ears
    for at, inner in _inside(value, key):
        yield from _ears(inner, at)


def _inside(value: Any, key: str) -> Iterator[tuple[str, Any]]:
    """What is inside a recipe's value, with its dotted key."""
    if isinstance(value, Settings):
        pairs = [(name, getattr(value, name)) for name in type(value).model_fields]
    elif isinstance(value, dict):
        pairs = list(value.items())
    else:
        pairs = [(str(n), one) for n, one in enumerate(value)] if isinstance(value, tuple) else []
    for name, inner in pairs:
        yield f"{key}.{name}".lstrip("."), inner
