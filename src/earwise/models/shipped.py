"""Models that come with the package."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path

SHIPPED = Path(str(files("earwise"))) / "micro" / "models"
"""Their folder."""
TRAINING = "training.json"
"""File beside a shipped encoder that tells how it was trained: its speakers cannot be test voices any more."""


def model_folder(name: str) -> str:
    """The folder of a model that comes with the package, or `name` as it is: a folder or a hub id."""
    shipped = SHIPPED / name
    return str(shipped) if name and shipped.is_dir() else name
