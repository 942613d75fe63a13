"""The building blocks of all recipe tables: a strict base class and common types."""

from __future__ import annotations

import difflib
import re
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, Final, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, JsonValue, model_validator
from pydantic_core import PydanticCustomError

from earwise.io.limits import MAX_COUNT, MAX_SEED

Count = Annotated[int, Field(ge=1, le=MAX_COUNT)]
Seed = Annotated[int, Field(ge=0, le=MAX_SEED)]
Share = Annotated[float, Field(ge=0, le=1)]
Session = Annotated[int, Field(ge=1, le=5)]
"""One of IEMOCAP's five sessions."""
Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]*$")]


@dataclass(frozen=True)
class NamesModel:
    """Marks a setting that names a model: a local folder must contain one of these files."""

    files: tuple[str, ...] = ("config.json",)
    hub: bool = True
    """Whether it may also be the id of a model on the hub."""
    kind: Literal["chat", "encoder", "tokenizer", "ears"] = "chat"
    """What is checked in a folder before the first stage works: config and weights; for a model that generates (`chat`)
    also tokenizer, template and processors; only the tokenizer (`tokenizer`); or ears that earwise wrote.
    """


MODEL: Final = NamesModel()
ENCODER: Final = NamesModel(kind="encoder")
"""A model that only hears or speaks."""
TOKENIZER: Final = NamesModel(kind="tokenizer")


def ordered(pair: tuple[float, float]) -> tuple[float, float]:
    """`pair`, if it is in order."""
    if pair[0] > pair[1]:
        raise ValueError(f"the range [{pair[0]:g}, {pair[1]:g}] ends before it begins")
    return pair


def unique(values: tuple[Any, ...]) -> tuple[Any, ...]:
    """`values`, if they are distinct."""
    if doubled := [value for value in values if values.count(value) > 1]:
        raise ValueError(f"{doubled[0]!r} is listed twice")
    return values


def address(url: str) -> str:
    """`url`, if it is an address without a key. It is recorded, so an address that may contain one is refused without
    being shown.
    """
    try:
        parts = urlsplit(url)
        whole = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        whole = False
    if whole and not ("@" in parts.netloc or parts.query or parts.fragment):
        return url
    what = "has user, password or query, which would be recorded" if whole else "is no http or https address"
    raise PydanticCustomError("unshown", "{what}", {"what": what, "remedy": "put the key into a variable, api_key_env"})


def variable(name: str) -> str:
    """`name`, if it is that of an environment variable. Anything else may be the key itself, and is refused without
    being shown.
    """
    if re.fullmatch(r"[A-Z_][A-Z0-9_]{0,63}", name):
        return name
    what = "is not the name of an environment variable (capital letters, digits and _)"
    raise PydanticCustomError("unshown", "{what}", {"what": what, "remedy": "put the key into one and name it here"})


def _frozen(value: Any) -> Any:
    return tuple(map(_frozen, value)) if isinstance(value, list) else value


Address = Annotated[str, AfterValidator(address)]
"""Address of a server."""
Variable = Annotated[str, AfterValidator(variable)]
"""Name of the environment variable with a key; keys never appear in a recipe."""
Range = Annotated[tuple[float, float], AfterValidator(ordered)]


Precision = Literal["float32", "bfloat16"]
AskedPrecision = Literal["auto", "float32", "bfloat16"]


class Settings(BaseModel):
    """Base of all tables: unknown keys are errors, values are not coerced, instances are immutable."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False, defer_build=True)

    speed_only: ClassVar[frozenset[str]] = frozenset()
    """Fields that change only speed or the frequency of writing, never a result: they repeat no stage."""

    @model_validator(mode="before")
    @classmethod
    def _read_table(cls, data: Any) -> Any:
        """Suggest the nearest key for an unknown one, and turn lists into tuples, because settings are immutable."""
        if not isinstance(data, dict):
            return data
        for key in data:
            if key not in cls.model_fields:
                near = difflib.get_close_matches(str(key), cls.model_fields, n=1, cutoff=0.5)
                known = f"did you mean {near[0]!r}?" if near else f"known keys: {', '.join(cls.model_fields)}"
                raise PydanticCustomError("unknown_key", "unknown key", {"key": str(key), "known": known})
        return {key: _frozen(value) for key, value in data.items()}

    def for_stage(self) -> dict[str, JsonValue]:
        """The settings that decide a result, as JSON, for a stage's fingerprint."""
        return {
            name: _for_stage(getattr(self, name)) for name in type(self).model_fields if name not in self.speed_only
        }


def _for_stage(value: Any) -> JsonValue:
    if isinstance(value, Settings):
        return value.for_stage()
    if isinstance(value, tuple):
        return [_for_stage(part) for part in value]
    return {key: _for_stage(part) for key, part in value.items()} if isinstance(value, dict) else value
