"""Files of what was added to a base: a description in JSON, and weights."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from safetensors.torch import save_file
from torch import Tensor

from earwise.errors import InputError

EARS = "ears.json"


def save_tensors(tensors: Mapping[str, Tensor], path: Path) -> None:
    """Write a safetensors file and, if needed, its folder. Raises `InputError` when the disk is full."""
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        save_file({name: value.contiguous() for name, value in tensors.items()}, path)
    except SafetensorError as error:
        raise InputError(f"cannot write: {error}", file=path, remedy="make room, then run again") from error


def save_description(description: Mapping[str, Any], path: Path) -> None:
    """Write a JSON object."""
    path.write_text(json.dumps(description, indent=2) + "\n", encoding="utf-8")


def read_description(folder: Path, name: str = EARS) -> dict[str, Any]:
    """Read what `save_description` wrote: of ears, `base`, `revision` and, if they are the base's own, `own`."""
    if not (folder / name).is_file():
        raise InputError(f"no {name}", file=folder, remedy="give a folder that save_ears wrote")
    description: dict[str, Any] = json.loads((folder / name).read_text(encoding="utf-8"))
    return description
