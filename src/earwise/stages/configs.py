"""Model configurations, read without weights: whether a model exists, and its type."""

from __future__ import annotations

from transformers import AutoConfig, PreTrainedConfig

from earwise.errors import InputError
from earwise.models.families import refuse_remote_code
from earwise.models.shipped import model_folder


def check_tower(tower: str) -> None:
    """Raise `InputError` if a `base.tower` does not exist or is not a Whisper checkpoint."""
    name = model_folder(tower)
    found = model_type(name, None, trust_remote_code=False)
    if found != "whisper":
        what = f"base.tower: a model of the type {found!r} cannot be the tower of a base that hears"
        raise InputError(what, file=name, remedy="name a Whisper checkpoint, as `whisper-micro`")


def model_type(name: str, revision: str | None, *, trust_remote_code: bool) -> str:
    """`model_type` in the configuration of a folder or hub id."""
    return str(model_config(name, revision, trust_remote_code=trust_remote_code).model_type)


def model_config(name: str, revision: str | None, *, trust_remote_code: bool) -> PreTrainedConfig:
    """The configuration of a folder or hub id. Raises `InputError` if there is no usable one."""
    refuse_remote_code(name, revision)
    try:
        config: PreTrainedConfig = AutoConfig.from_pretrained(
            name, revision=revision, trust_remote_code=trust_remote_code
        )
    except ValueError as error:
        raise InputError(f"its configuration cannot be used: {str(error).partition('.')[0]}", file=name) from None
    except OSError:
        what = "no such model folder, and no model of that name on the hub or in its cache"
        raise InputError(what, file=name, remedy="give a folder, or a hub id while the hub can be reached") from None
    return config
