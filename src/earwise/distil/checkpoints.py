"""Checkpoints beside which a training may be killed: only a whole one is resumed from, and the last whole one stays.

`transformers.Trainer` writes a checkpoint file by file, and takes whatever folder has the highest number. Here a marker
inside it, written last and removed first, says that a checkpoint is whole, and how large each of its files is.
"""

from __future__ import annotations

import json
import logging
import shutil
from pathlib import Path

from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from earwise.work.manifest import listed, sync
from earwise.work.store import write_atomic

_WHOLE = "whole"

log = logging.getLogger(__name__)


class Checkpoints(TrainerCallback):
    """Marks the checkpoints in `folder` and keeps one of them."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def last(self) -> tuple[Path | None, int]:
        """The newest whole checkpoint and its step; (None, 0) if there is none."""
        whole = [path.parent for path in self._folder.glob(f"checkpoint-*/{_WHOLE}") if _is_whole(path.parent)]
        newest = max(whole, key=_step, default=None)
        return newest, _step(newest) if newest is not None else 0

    def clear(self, keep: Path | None = None) -> None:
        """Remove all checkpoints but `keep`, whole or not."""
        for path in self._folder.glob("checkpoint-*"):
            if path != keep:
                (path / _WHOLE).unlink(missing_ok=True)
                shutil.rmtree(path)

    def on_step_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: object
    ) -> TrainerControl:
        """Log what was summed up since the last log: a checkpoint does not hold it."""
        control.should_log = control.should_log or control.should_save
        return control

    def on_save(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: object
    ) -> TrainerControl:
        """Mark the checkpoint that was just written; the ones before it are not needed any more."""
        if state.is_world_process_zero:
            written = self._folder / f"checkpoint-{state.global_step}"
            _mark(written)
            self.clear(keep=written)
        return control


def _step(checkpoint: Path) -> int:
    return int(checkpoint.name.rpartition("-")[2])


def _mark(checkpoint: Path) -> None:
    """Say that a checkpoint is whole, once all of it is on the disk."""
    files, _, folders = listed(checkpoint)
    for name in (*files, *folders, ".."):
        sync(checkpoint / name)
    sizes = {name: (checkpoint / name).stat().st_size for name in files}
    write_atomic(checkpoint / _WHOLE, json.dumps(sizes, indent=1) + "\n")


def _is_whole(checkpoint: Path) -> bool:
    """Whether every file of a marked checkpoint has the size that it had; the log says which one has not."""
    try:
        sizes = json.loads((checkpoint / _WHOLE).read_bytes() or b"{}")
        for name, size in sizes.items():
            if (checkpoint / name).stat().st_size != size:
                raise ValueError(f"{name} has another size")
    except (ValueError, AttributeError, OSError) as error:
        log.warning("%s: is damaged and not resumed from: %s", checkpoint, error)
        return False
    return True
