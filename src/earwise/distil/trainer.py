"""The trainer contains no algorithm: it sums the terms' values and divides once by the response tokens of the whole
step.

Everything else (loop, accumulation, DDP, mixed precision, checkpoints, resume) is `transformers.Trainer`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from types import MappingProxyType
from typing import Any, Protocol, Self, cast, runtime_checkable

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.distributed.fsdp import FSDPModule
from torch.utils.data import Dataset
from transformers import Trainer, TrainerCallback, TrainingArguments
from transformers.trainer import OPTIMIZER_NAME, SCHEDULER_NAME

from earwise.distil.reach import ReachCheck
from earwise.distil.sharding import (
    allow_on_cpus,
    autocast_forward,
    laid_out_as,
    shard_base,
    sharded_state,
    whole,
    whole_state,
)
from earwise.errors import EarwiseError, InputError
from earwise.models.sample import Sample
from earwise.recipe.train import Optimisation
from earwise.work import arithmetic
from earwise.work.ranks import process_count

_WEIGHTS = "trained.safetensors"


class Batch(Protocol):
    """A micro-batch that an objective makes from samples."""

    @property
    def num_responses(self) -> int:
        """Tokens that the losses are divided by."""

    def to(self, device: torch.device | str) -> Self:
        """Move the tensors to `device`."""


class Weighed(Protocol):
    """What the trainer needs of a term."""

    @property
    def name(self) -> str:
        """Its name in the metrics."""

    @property
    def weight(self) -> float:
        """Its weight in the sum."""


class Learnable(Protocol):
    """An objective: makes batches from samples, and losses from batches."""

    @property
    def terms(self) -> Sequence[Weighed]:
        """The terms of the loss."""

    def collate(self, samples: Sequence[Sample]) -> dict[str, Any]:
        """`{"batch": Batch}`"""

    def losses(self, model: nn.Module, batch: Any) -> dict[str, Tensor]:
        """Unweighted values of every term, by name; only their sums matter."""


@runtime_checkable
class Parted(Protocol):
    """A batch of which some terms count only some response tokens."""

    def responses_of(self, term: str) -> int:
        """Tokens on which `term` counts; its logged mean is over these."""


@runtime_checkable
class Stepwise(Protocol):
    """An objective that prepares each optimiser step, and has metrics of its own."""

    def begin(self, step: int, batches: Sequence[Any], rank: int, world: int) -> None:
        """Prepare all micro-batches of optimiser step `step` (from 0) on process `rank` of `world`; called before the
        responses are counted.
        """

    def drain(self) -> dict[str, tuple[float, float]]:
        """Sum and count of every metric since the last call, with the same names on all processes; their ratio is
        logged.
        """


class DistilTrainer(Trainer):
    """Trains the parameters of a model that require gradients, by an objective.

    Args:
        model: the student.
        objective: makes the losses.
        schedule: the samples in drawing order (`Schedule`).
        args: from `training_arguments`.
        on_log: receives (step, metrics) at every log.
        rates: peak learning rates of the parameters whose names begin so, in place of that of `args`.
    """

    loss_is_scaled_for_ga = True  # `compute_loss` divides by the step's token count

    def __init__(
        self,
        model: nn.Module,
        objective: Learnable,
        schedule: Dataset[Sample],
        args: TrainingArguments,
        on_log: Callable[[int, dict[str, float]], None],
        callbacks: Sequence[TrainerCallback] = (),
        rates: Mapping[str, float] = MappingProxyType({}),
    ) -> None:
        self._rates = rates
        self._reach = ReachCheck(model)
        super().__init__(
            model=model,
            args=args,
            train_dataset=schedule,
            data_collator=partial(collated, objective),
            callbacks=[self._reach, *callbacks],
        )
        if self.is_fsdp_enabled:
            shard_base(self.accelerator.state.fsdp_plugin, model)
            autocast_forward(model, self.accelerator)
        self._objective = objective
        self._on_log = on_log
        self._sums = {term.name: 0.0 for term in objective.terms}
        self._tokens = dict.fromkeys(self._sums, 0.0)

    def create_accelerator_and_postprocess(self) -> None:
        """As in `Trainer`, with FSDP2 on CPUs as well."""
        super().create_accelerator_and_postprocess()
        allow_on_cpus(self.accelerator.state)
        self.is_fsdp_enabled = getattr(self.accelerator.state, "fsdp_plugin", None) is not None

    def create_optimizer(self, model: Any = None) -> torch.optim.Optimizer:
        """As in `Trainer`, with groups of their own for parameters that have another rate."""
        fresh = self.optimizer is None
        optimizer = super().create_optimizer(model)
        if fresh and self._rates:
            names = cast(nn.Module, self.model if model is None else model).named_parameters()
            apart = {id(p): rate for name, p in names for start, rate in self._rates.items() if name.startswith(start)}
            optimizer.param_groups[:] = [some for group in optimizer.param_groups for some in _by_rate(group, apart)]
        return optimizer

    def _get_num_items_in_batch(self, batch_samples: list[Any], device: torch.device) -> Tensor | None:
        """Response tokens of the whole optimiser step: over accumulation and over processes."""
        if isinstance(self._objective, Stepwise):
            batches = [inputs["batch"] for inputs in batch_samples]
            self._objective.begin(self.state.global_step, batches, self.args.process_index, self.args.world_size)
        count = torch.tensor(float(sum(b["batch"].num_responses for b in batch_samples)), device=device)
        count = self.accelerator.gather(count).sum() if self.args.world_size > 1 else count
        return count.clamp(min=1)  # a step can have no response at all

    def _prepare_inputs(self, inputs: dict[str, Any]) -> dict[str, Any]:
        return {name: batch.to(self.args.device) for name, batch in inputs.items()}

    def compute_loss(
        self,
        model: nn.Module,
        inputs: dict[str, Any],
        return_outputs: bool = False,
        num_items_in_batch: Tensor | int | None = None,
    ) -> Tensor:
        """Weighted sum of all terms over this micro-batch, divided by the response tokens of the whole step."""
        batch: Batch = inputs["batch"]
        assert isinstance(model, FSDPModule) or not self.is_fsdp_enabled
        count = num_items_in_batch if num_items_in_batch is not None else batch.num_responses
        values = self._objective.losses(model, batch)
        if not self._reach.settled:
            self._reach.see(batch, self._objective.terms, values)
        loss = torch.zeros((), device=self.args.device)
        for term in self._objective.terms:
            total = values[term.name].sum()
            self._sums[term.name] += float(total.detach())
            loss = loss + term.weight * total / count
            self._tokens[term.name] += (
                batch.responses_of(term.name) if isinstance(batch, Parted) else batch.num_responses
            )
        return loss * self.accelerator.num_processes  # DDP averages gradients over processes; this undoes it

    def log(self, logs: dict[str, float], start_time: float | None = None) -> None:
        """Add each term's mean per response token since the last log."""
        if "loss" in logs:
            counted = [*self._sums.values(), *self._tokens.values()]
            totals = torch.tensor(counted, dtype=torch.float64, device=self.args.device)
            if self.args.world_size > 1:
                totals = self.accelerator.reduce(totals)
            for place, name in enumerate(self._sums):
                value, tokens = totals[place].item(), totals[len(self._sums) + place].item()
                logs[f"terms/{name}"] = value / max(tokens, 1)
            self._sums, self._tokens = dict.fromkeys(self._sums, 0.0), dict.fromkeys(self._tokens, 0.0)
            logs |= self._own_numbers()
            if self.is_world_process_zero():
                self._on_log(self.state.global_step, {key: float(value) for key, value in logs.items()})
        super().log(logs, start_time)

    def _own_numbers(self) -> dict[str, float]:
        """Means of the objective's own metrics over all processes, without those that counted nothing."""
        counted = self._objective.drain() if isinstance(self._objective, Stepwise) else {}
        if not counted:
            return {}
        totals = torch.tensor(list(counted.values()), dtype=torch.float64, device=self.args.device)
        if self.args.world_size > 1:
            totals = self.accelerator.reduce(totals)
        return {name: total / count for name, (total, count) in zip(counted, totals.tolist(), strict=True) if count}

    def _save_checkpoint(self, model: nn.Module, trial: Any) -> None:
        """As in `Trainer`, but a full disk is an `InputError`."""
        try:
            super()._save_checkpoint(model, trial)
            self.accelerator.wait_for_everyone()  # each process writes a file of its own
        except (OSError, RuntimeError, SafetensorError) as error:
            what = f"cannot write a checkpoint: {error}"
            raise InputError(
                what, file=str(self.args.output_dir), remedy="make room, then run again to continue"
            ) from error

    def save_model(self, output_dir: str | None = None, _internal_call: bool = False) -> None:
        """Save the trained parameters, without the frozen base."""
        student = cast(nn.Module, self.model)
        trained = {name: whole(p.detach()).clone() for name, p in student.named_parameters() if p.requires_grad}
        if self.args.should_save:
            folder = Path(output_dir or str(self.args.output_dir))
            folder.mkdir(parents=True, exist_ok=True)
            save_file(trained, folder / _WEIGHTS)

    def _load_from_checkpoint(self, resume_from_checkpoint: str, model: nn.Module | None = None) -> None:
        weights = load_file(Path(resume_from_checkpoint) / _WEIGHTS)
        parameters = dict(cast(nn.Module, self.model).named_parameters())
        with torch.no_grad():
            for name, value in weights.items():
                parameters[name].copy_(laid_out_as(value, parameters[name]))

    def _save_optimizer_and_scheduler(self, output_dir: str) -> None:
        if not self.is_fsdp_enabled:
            super()._save_optimizer_and_scheduler(output_dir)
            return
        assert self.optimizer is not None
        assert self.lr_scheduler is not None
        state = whole_state(self.optimizer.state_dict())
        if self.args.should_save:
            torch.save(state, Path(output_dir) / OPTIMIZER_NAME)
            torch.save(self.lr_scheduler.state_dict(), Path(output_dir) / SCHEDULER_NAME)

    def _load_optimizer_and_scheduler(self, checkpoint: str | None) -> None:
        if not self.is_fsdp_enabled or checkpoint is None:
            super()._load_optimizer_and_scheduler(checkpoint)
            return
        assert self.optimizer is not None
        assert self.lr_scheduler is not None
        state = torch.load(Path(checkpoint) / OPTIMIZER_NAME, map_location="cpu", weights_only=True)
        parameters = [p for group in self.optimizer.param_groups for p in group["params"]]
        self.optimizer.load_state_dict(sharded_state(state, parameters))
        self.lr_scheduler.load_state_dict(torch.load(Path(checkpoint) / SCHEDULER_NAME, weights_only=True))


def _by_rate(group: dict[str, Any], apart: Mapping[int, float]) -> Iterator[dict[str, Any]]:
    """A group of parameters, cut by their rates: first those with the rate of the group."""
    for rate in dict.fromkeys((group["lr"], *apart.values())):
        if some := [p for p in group["params"] if apart.get(id(p), group["lr"]) == rate]:
            yield {**group, "params": some, "lr": rate}


def collated(objective: Learnable, samples: Sequence[Sample]) -> dict[str, Any]:
    """`objective.collate`, with unexpected errors reported: a `StopIteration` would end the training as if it was done.
    Raises `EarwiseError` naming the item that cannot be laid out.
    """
    try:
        return objective.collate(samples)
    except EarwiseError:
        raise
    except Exception as error:
        what = f"{_first_that_fails(objective, samples)}: cannot be prepared for training"
        raise EarwiseError(f"{what}: {type(error).__name__}: {error}") from error


def _first_that_fails(objective: Learnable, samples: Sequence[Sample]) -> str:
    """The key of the first sample that fails alone, else the keys of all."""
    for sample in samples:
        try:
            objective.collate([sample])
        except Exception:
            return sample.key
    return ", ".join(sample.key for sample in samples)


def training_arguments(settings: Optimisation, folder: Path, seed: int) -> TrainingArguments:
    """`settings` as arguments of `transformers.Trainer`; checkpoints go to `folder`. Raises `InputError` if the
    processes cannot share a batch evenly.
    """
    processes = process_count()
    if settings.batch_size % processes:
        what = f"a batch of {settings.batch_size} cannot be shared evenly by {processes} processes"
        raise InputError(what, remedy=f"set batch_size to a multiple of {processes}")
    return TrainingArguments(
        output_dir=str(folder),
        max_steps=settings.steps,
        per_device_train_batch_size=settings.batch_size // processes,
        gradient_accumulation_steps=settings.accumulate,
        learning_rate=settings.lr,
        lr_scheduler_type="constant_with_warmup" if settings.schedule == "constant" else settings.schedule,
        warmup_steps=math.ceil(settings.warmup_ratio * settings.steps),
        weight_decay=settings.weight_decay,
        adam_beta2=settings.beta2,
        max_grad_norm=settings.max_grad_norm,
        bf16=arithmetic.resolve(settings.precision) == "bfloat16",
        seed=seed,
        data_seed=seed,
        logging_steps=settings.log_every,
        save_steps=settings.save_every,
        train_sampling_strategy="sequential",  # the order is decided by `Schedule`
        dataloader_num_workers=0,
        dataloader_pin_memory=torch.cuda.is_available(),
        remove_unused_columns=False,
        report_to="none",
        disable_tqdm=True,
        use_cpu=not torch.cuda.is_available(),
    )
