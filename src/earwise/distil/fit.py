"""One training from start to end: resumes from its last checkpoint, shows progress, writes its numbers."""

from __future__ import annotations

import shutil
from pathlib import Path

from transformers import PrinterCallback, TrainerCallback, TrainerControl, TrainerState, TrainingArguments
from transformers.trainer_utils import get_last_checkpoint

from earwise.distil.objective import Objective
from earwise.distil.schedule import Schedule
from earwise.distil.trainer import DistilTrainer, training_arguments
from earwise.errors import EarwiseError
from earwise.metrics import Metrics
from earwise.models.omni import OmniModel
from earwise.progress import Ticker
from earwise.settings import Optimisation


class _Progress(TrainerCallback):
    """Shows the steps that are done, and how long the rest will take."""

    def __init__(self, ticker: Ticker) -> None:
        self._ticker = ticker

    def on_step_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: object
    ) -> TrainerControl:
        self._ticker(state.global_step)
        return control


def fit(
    model: OmniModel,
    objective: Objective,
    schedule: Schedule,
    settings: Optimisation,
    folder: Path,
    *,
    seed: int,
    metrics: Metrics,
    what: str,
) -> None:
    """Train what requires a gradient in `model`; `folder` holds the checkpoints to resume from and is removed at the
    end.

    Raises `EarwiseError` when the loss stops being a number.
    """
    trainable = sum(p.numel() for p in model.parameters() if p.requires_grad)
    if trainable == 0:
        raise EarwiseError("nothing is trainable")
    resume = get_last_checkpoint(str(folder)) if folder.is_dir() else None
    metrics.rewind(int(Path(resume).name.rpartition("-")[2]) if resume else 0)

    def on_log(step: int, numbers: dict[str, float]) -> None:
        metrics(step, **numbers)

    trainer = DistilTrainer(model, objective, schedule, training_arguments(settings, folder, seed), on_log)
    trainer.remove_callback(PrinterCallback)
    with Ticker(settings.steps, what) as ticker:
        trainer.add_callback(_Progress(ticker))
        trainer.train(resume_from_checkpoint=resume)
    shutil.rmtree(folder, ignore_errors=True)
