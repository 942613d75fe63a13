"""Loads models of transformers completely or not at all. Otherwise a tensor that is missing in a checkpoint would be
initialised randomly without an error.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from earwise.errors import InputError

_ONLY_IN_TRAINING: Final = ("masked_spec_embed",)
"""Tensors that are missing in published checkpoints and only used in training (Wav2Vec2's noise)."""


def load_whole(model_class: Any, name: str, **options: Any) -> Any:
    """`model_class.from_pretrained(name, **options)`, with every tensor from the checkpoint. Tensors that are tied to
    others, or computed from the config, may be absent. Raises `InputError` naming the folder and a tensor that is
    missing or has another shape than in the config.
    """
    model, info = model_class.from_pretrained(name, output_loading_info=True, ignore_mismatched_sizes=True, **options)
    for key, found, expected in sorted(info["mismatched_keys"], key=str):
        what = f"{key!r} has the shape {tuple(found)}, but the config says {tuple(expected)}"
        raise InputError(what, file=name, remedy="give a checkpoint whose config and weights belong together")
    missing = sorted(key for key in info["missing_keys"] if not key.endswith(_ONLY_IN_TRAINING))
    if missing:
        remedy = "give the whole checkpoint, of the model in its config"
        raise InputError(f"no weights for {_some(missing)}", file=name, remedy=remedy)
    return model


def fill(module: Any, tensors: Mapping[str, Any], file: Path) -> None:
    """`module.load_state_dict(tensors)`, where `tensors` were read from `file`. Raises as `check_tensors`."""
    check_tensors(module.state_dict(), tensors, file)
    module.load_state_dict(tensors)


def check_tensors(expected: Mapping[str, Any], found: Mapping[str, Any], file: Path) -> None:
    """Raise `InputError` naming `file` and a tensor that is missing, unexpected, or of another shape."""
    remedy = "copy the whole folder again"
    if missing := sorted(expected.keys() - found.keys()):
        raise InputError(f"no weights for {_some(missing)}", file=file, remedy=remedy)
    for name, tensor in found.items():
        if name not in expected:
            raise InputError(f"{name!r} belongs to another model", file=file, remedy=remedy)
        if tensor.shape != expected[name].shape:
            what = f"{name!r} has the shape {tuple(tensor.shape)}, and should have {tuple(expected[name].shape)}"
            raise InputError(what, file=file, remedy=remedy)


def _some(names: list[str]) -> str:
    return f"{names[0]!r}" + (f" and {len(names) - 1} more tensors" if len(names) > 1 else "")
