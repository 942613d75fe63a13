"""One training run from start to end: resumes from its last checkpoint, shows progress, writes its metrics."""

from __future__ import annotations

import math
import shutil
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType

from torch import nn
from transformers import PrinterCallback, TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from earwise.distil.checkpoints import Checkpoints
from earwise.distil.parts import PartsObjective
from earwise.distil.schedule import Schedule
from earwise.distil.sharding import gather_trained
from earwise.distil.trackers import PROJECT, trackers
from earwise.distil.trainer import DistilTrainer, Learnable, training_arguments
from earwise.errors import EarwiseError, InputError
from earwise.recipe.train import Optimisation
from earwise.work.metrics import Metrics
from earwise.work.progress import Ticker
from earwise.work.ranks import process_rank


class _Progress(TrainerCallback):
    """Shows the completed steps and the time left."""

    def __init__(self, ticker: Ticker) -> None:
        self._ticker = ticker

    def on_step_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: object
    ) -> TrainerControl:
        self._ticker(state.global_step)
        return control


def fit(
    model: nn.Module,
    objective: Learnable,
    schedule: Schedule,
    settings: Optimisation,
    folder: Path,
    *,
    seed: int,
    rates: Mapping[str, float] = MappingProxyType({}),
    metrics: Metrics,
    what: str,
    save: Callable[[], None] = lambda: None,
    callbacks: Sequence[TrainerCallback] = (),
) -> None:
    """Train all parameters of `model` that require a gradient; `folder` holds the checkpoint until the end.

    `rates` are the peak learning rates of the parameters whose names begin so; all others have that of `settings`.
    `save` writes the result before the last checkpoint is removed, so that a kill in between loses nothing. With
    several processes, each calls this and the first one writes.
    Raises `EarwiseError` if the loss is not finite, if a trained part gets no gradient at the first step that should
    give it one, or if training ends before its last step; `InputError` for what FSDP2 cannot do.
    """
    trainable = sum(p.numel() for p in model.parameters() if p.requires_grad)
    if trainable == 0:
        raise EarwiseError("nothing is trainable")
    checkpoints = Checkpoints(folder)
    resume, step_done = checkpoints.last()
    main = process_rank() == 0
    if main:
        metrics.rewind(step_done)

    def on_log(step: int, numbers: dict[str, float]) -> None:
        metrics(step, **numbers)
        if not all(math.isfinite(value) for name, value in numbers.items() if name.startswith(("loss", "terms/"))):
            raise EarwiseError(f"the loss is not finite after step {step}: try a lower lr or a longer warm-up")

    trainer = DistilTrainer(model, objective, schedule, training_arguments(settings, folder, seed), on_log, rates=rates)
    if trainer.is_fsdp_enabled and isinstance(objective, PartsObjective):
        what = "with parts, processes make different numbers of passes, and FSDP2 needs the same"
        raise InputError(what, file="accelerate's configuration", remedy="train without FSDP")
    trainer.remove_callback(PrinterCallback)
    for tracker in trackers(settings.report_to, metrics.path.parent):
        trainer.add_callback(tracker)
    trainer.args.run_name, trainer.args.project = what, PROJECT
    with Ticker(settings.steps, what, before=step_done) as ticker:
        trainer.add_callback(_Progress(ticker))
        for callback in (checkpoints, *callbacks):
            trainer.add_callback(callback)
        trainer.train(resume_from_checkpoint=str(resume) if resume else None)
    if (done := trainer.state.global_step) != settings.steps:
        raise EarwiseError(f"{what} ended after {done} of {settings.steps} steps: run again to continue")
    gather_trained(model)
    if main:
        save()
        checkpoints.clear()
        shutil.rmtree(folder)
