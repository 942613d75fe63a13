"""Trackers that follow a training run, through the callbacks of transformers."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Final

from transformers import TrainerCallback
from transformers.integrations import TensorBoardCallback, TrackioCallback, WandbCallback

from earwise.errors import InputError
from earwise.recipe.train import Tracker

PROJECT: Final = "earwise"
"""Under which trackers file the runs."""
TENSORBOARD: Final = ".tensorboard"
"""Folder of event files beside `metrics.jsonl`. It is hidden, because its content is no result of the stage."""
_PACKAGES: Final[dict[Tracker, tuple[str, ...]]] = {
    "tensorboard": ("tensorboard", "tensorboardX"),
    "wandb": ("wandb",),
    "trackio": ("trackio",),
}
"""Any of these is needed."""


def trackers(names: Sequence[Tracker], folder: Path) -> Iterator[TrainerCallback]:
    """The callbacks of `names`; `folder` is that of `metrics.jsonl`. Raises `InputError` for a missing package."""
    for name in names:
        packages = _PACKAGES[name]
        if not any(find_spec(package) for package in packages):
            what = f"report_to {name!r} needs the package {packages[0]!r}"
            raise InputError(what, remedy=f"pip install {packages[0]}, or leave it out of report_to")
        if name == "tensorboard":
            callback = TensorBoardCallback()
            callback.logging_dir = str(folder / TENSORBOARD)
            yield callback
        else:
            yield WandbCallback() if name == "wandb" else TrackioCallback()
