"""Checkpoints of a training run that may be killed at any time: it resumes from the newest complete one.

`transformers.Trainer` writes a checkpoint file by file, and resumes from the folder with the highest number. Here a
marker file in the folder says that the checkpoint is complete, and how large each file is. It is written last and
removed first.
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
    """Marks the checkpoints in `folder` as complete, and keeps only the newest."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def last(self) -> tuple[Path | None, int]:
        """The newest complete checkpoint and its step; (None, 0) if there is none."""
        whole = [path.parent for path in self._folder.glob(f"checkpoint-*/{_WHOLE}") if _is_whole(path.parent)]
        newest = max(whole, key=_step, default=None)
        return newest, _step(newest) if newest is not None else 0

    def clear(self, keep: Path | None = None) -> None:
        """Remove all checkpoints except `keep`."""
        for path in self._folder.glob("checkpoint-*"):
            if path != keep:
                (path / _WHOLE).unlink(missing_ok=True)
                shutil.rmtree(path)

    def on_step_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: object
    ) -> TrainerControl:
        """Log before a checkpoint is saved: the sums since the last log are not part of it."""
        control.should_log = control.should_log or control.should_save
        return control

    def on_save(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: object
    ) -> TrainerControl:
        """Mark the new checkpoint and remove the older ones."""
        if state.is_world_process_zero:
            written = self._folder / f"checkpoint-{state.global_step}"
            _mark(written)
            self.clear(keep=written)
        return control


def _step(checkpoint: Path) -> int:
    return int(checkpoint.name.rpartition("-")[2])


def _mark(checkpoint: Path) -> None:
    """Mark a checkpoint as complete, after its files are on the disk."""
    files, _, folders = listed(checkpoint)
    for name in (*files, *folders, ".."):
        sync(checkpoint / name)
    sizes = {name: (checkpoint / name).stat().st_size for name in files}
    write_atomic(checkpoint / _WHOLE, json.dumps(sizes, indent=1) + "\n")


def _is_whole(checkpoint: Path) -> bool:
    """Whether every file of a marked checkpoint still has its size; a warning names the file that has not."""
    try:
        sizes = json.loads((checkpoint / _WHOLE).read_bytes() or b"{}")
        for name, size in sizes.items():
            if (checkpoint / name).stat().st_size != size:
                raise ValueError(f"{name} has another size")
    except (ValueError, AttributeError, OSError) as error:
        log.warning("%s: this checkpoint is damaged and is not used: %s", checkpoint, error)
        return False
    return True
