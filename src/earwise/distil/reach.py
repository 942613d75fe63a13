"""Checks that gradients reach everything that is trained.

A sound that the model silently ignores is then found at the first step. A part of the model must have a non-zero
gradient in the first step that can teach it. For the ears, this is a step with clips in the student's view and a loss
of a term that reads this view.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final, NamedTuple, Protocol, runtime_checkable

import torch
from torch import Tensor, nn
from torch.distributed.tensor import DTensor
from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from earwise.errors import EarwiseError
from earwise.models.omni import OmniModel

EARS: Final = "ears"
DECODER: Final = "decoder"
LEAST_LOSS: Final = 1e-6
"""A smaller loss may be rounding: a student that equals its teacher has nothing to learn."""


class Heard(NamedTuple):
    """The clips of a micro-batch, and how much of them the pass of a term contains."""

    clips: int
    """Clips and sounds of the samples under the student's view."""
    positions: int
    """Tokens of the pass that represent clips."""


@runtime_checkable
class Hearing(Protocol):
    """A batch whose samples may contain clips."""

    def heard(self, term: str) -> Heard:
        """Of the samples that `term` learns from."""


class TrainedPart(NamedTuple):
    """A trained part of the model."""

    name: str
    parameters: list[nn.Parameter]
    reads: str
    """What can teach it: `ears` clips, `decoder` any term that reads the decoder's states, else the term of this name.
    """


def trained_parts(model: nn.Module) -> list[TrainedPart]:
    """The trained parts of `model`, without overlap."""
    if not isinstance(model, OmniModel):
        return _trained((name, [*child.parameters()], DECODER) for name, child in model.named_children())
    # The learned marks around a clip are left out: not every term reads them.
    ears = [*model.ears.named_children()] if model.ears is not None else []
    parts = [(f"{EARS}.{name}", [*child.parameters()], EARS) for name, child in ears]
    parts += [(f"the module of {name}", [*aid.parameters()], name) for name, aid in model.aids.items()]
    if model.lora is not None:
        parts.append(("LoRA", [*model.lora.parameters()], DECODER))
    taken = {id(p) for _, parameters, _ in parts for p in parameters}
    rest = [p for p in model.base.parameters() if id(p) not in taken]
    return _trained([*parts, ("the decoder" if model.decoder is not None else "the base", rest, DECODER)])


class ReachCheck(TrainerCallback):
    """Raises `EarwiseError` before the first update that leaves out something that is trained.

    Args:
        model: the model that is trained.
    """

    def __init__(self, model: nn.Module) -> None:
        self._model = model
        self._pending: list[TrainedPart] | None = None
        """Parts without a gradient so far. Listed at the first step, because engines of several processes replace
        parameters before it.
        """
        self._taught: set[str] = set()

    @property
    def settled(self) -> bool:
        """Whether every part has had a gradient."""
        return self._pending == []

    def see(self, batch: Any, terms: Sequence[Any], values: Mapping[str, Tensor]) -> None:
        """Note what a micro-batch can teach. Raises `EarwiseError` if its samples have clips, but no token of the pass
        represents a clip.
        """
        for term in terms:
            heard = batch.heard(term.name) if isinstance(batch, Hearing) else Heard(0, 0)
            if heard.clips and not heard.positions:
                raise EarwiseError(
                    f"the samples of {term.name} have {heard.clips} clips, but no token of the model's input stands "
                    "for any of them: the sound would be ignored"
                )
            if term.weight and float(values[term.name].detach().abs().sum()) > LEAST_LOSS:
                self._taught.add(term.name)
                if heard.clips:
                    self._taught.add(EARS)
                reads = getattr(term, "reads", None)  # None: an objective of its own, such as `grpo`
                if reads is None or reads.of_decoder:
                    self._taught.add(DECODER)

    def on_pre_optimizer_step(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: object
    ) -> TrainerControl:
        """Check the gradients until every part has had one."""
        pending = trained_parts(self._model) if self._pending is None else self._pending
        if pending:
            taught, reached = self._of_all_processes(pending, args.device)
            for part, is_taught, is_reached in zip(pending, taught, reached, strict=True):
                if is_taught and not is_reached:
                    raise EarwiseError(
                        f"step {state.global_step + 1} does not reach {part.name}: its gradient is zero, although the "
                        "step's loss is not; it would never learn"
                    )
            self._taught.clear()
        self._pending = [part for part, done in zip(pending, reached if pending else [], strict=True) if not done]
        return control

    def _of_all_processes(self, pending: Sequence[TrainedPart], device: torch.device) -> tuple[list[bool], list[bool]]:
        """For each part: whether the step can teach it, and whether it has a gradient, on any process."""
        taught = [part.reads in self._taught for part in pending]
        reached = [any(map(_has_gradient, part.parameters)) for part in pending]
        if torch.distributed.is_available() and torch.distributed.is_initialized():
            both = torch.tensor([taught, reached], dtype=torch.int, device=device)
            torch.distributed.all_reduce(both, op=torch.distributed.ReduceOp.MAX)
            taught, reached = ([bool(flag) for flag in row] for row in both.tolist())
        return taught, reached


def _has_gradient(parameter: nn.Parameter) -> bool:
    gradient = parameter.grad
    if gradient is None:
        return False
    return bool((gradient.to_local() if isinstance(gradient, DTensor) else gradient).any())


def _trained(named: Iterable[tuple[str, list[nn.Parameter], str]]) -> list[TrainedPart]:
    parts = [TrainedPart(name, [p for p in parameters if p.requires_grad], reads) for name, parameters, reads in named]
    return [part for part in parts if part.parameters]
