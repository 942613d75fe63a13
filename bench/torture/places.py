"""Folders with small models and data, in which commands are tried."""

from __future__ import annotations

import shutil
from pathlib import Path

from commands import PROJECT  # noqa: F401 - puts the tests' helpers on the path
from data_folder import RECIPE, write_data_folder

from earwise.micro.build import write_tiny


class Places:
    """Makes a fresh folder for each try; constant files are made once and linked."""

    def __init__(self, root: Path) -> None:
        self.root = root
        root.mkdir(parents=True, exist_ok=True)
        if not (root / "vlm").exists():
            write_tiny(root / "vlm", family="internvl")
        self._count = 0

    def fresh(self, recipe: str = RECIPE) -> Path:
        """A folder with `own.toml`, the data folder `own` and the model `vlm`."""
        self._count += 1
        place = self.root / f"try{self._count}"
        shutil.rmtree(place, ignore_errors=True)
        write_data_folder(place / "own")
        (place / "own.toml").write_text(recipe)
        (place / "vlm").symlink_to(self.root / "vlm")
        return place

    def done(self, place: Path) -> None:
        """Remove a place."""
        shutil.rmtree(place, ignore_errors=True)
