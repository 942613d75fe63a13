"""Models that come with the package."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path

SHIPPED = Path(str(files("earwise"))) / "micro" / "models"
"""Folder of these models."""
TRAINING = "training.json"
"""Describes the training of a shipped encoder. Its training voices must not become test voices."""


def model_folder(name: str) -> str:
    """The folder of a shipped model; any other `name` (a folder or a hub id) is returned unchanged."""
    shipped = SHIPPED / name
    return str(shipped) if name and shipped.is_dir() else name
