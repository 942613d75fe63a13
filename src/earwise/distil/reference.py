"""The weights at the start of a training run, swapped in for a moment. Only the trained weights are copied."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn
from torch.distributed.tensor import DTensor

from earwise.distil.sharding import laid_out_as, reshard
from earwise.errors import EarwiseError


class Reference:
    """A copy of the trained parameters of `model`, taken now; the rest of the reference is the model itself. Create it
    when `requires_grad` is final. A resumed training run creates it before it reads its checkpoint, so that the
    reference stays the original one.
    """

    def __init__(self, model: nn.Module) -> None:
        self._model = model
        self._kept = {name: p.detach().clone() for name, p in model.named_parameters() if p.requires_grad}
        if not self._kept:
            raise EarwiseError("nothing is trained, so there is no reference: set requires_grad first")

    def check(self) -> None:
        """Raise `EarwiseError` if other parameters are trained than those that were copied."""
        trained = {name for name, p in self._model.named_parameters() if p.requires_grad}
        if other := sorted(trained ^ {*self._kept}):
            raise EarwiseError(f"{other[0]} was switched between trained and frozen after the reference was made")

    @contextmanager
    def swapped_in(self) -> Iterator[None]:
        """A context in which the model has the reference's weights and no gradients."""
        reshard(self._model)
        parameters = dict(self._model.named_parameters())
        own = {name: _kept_apart(parameters[name]) for name in self._kept}
        try:
            for name, value in self._kept.items():
                self._kept[name] = value = _placed_as(value, parameters[name])
                _put(value, parameters[name])
            torch.clear_autocast_cache()  # it holds casts of the weights that were just swapped out
            with torch.no_grad():
                yield
        finally:
            reshard(self._model)  # FSDP2 would go on with what it gathered of the reference
            for name, data in own.items():
                _put(data, parameters[name])
            torch.clear_autocast_cache()


def _kept_apart(parameter: nn.Parameter) -> Tensor:
    """The parameter's weights, safe from swapping: the shards of FSDP2 are overwritten in place, so they are copied."""
    return parameter.detach().clone() if isinstance(parameter, DTensor) else parameter.data


def _placed_as(value: Tensor, parameter: nn.Parameter) -> Tensor:
    """`value` on the parameter's device, sharded like the parameter."""
    if isinstance(parameter, DTensor) and not isinstance(value, DTensor):
        return laid_out_as(value, parameter)
    return value.to(parameter.device)


def _put(value: Tensor, parameter: nn.Parameter) -> None:
    if isinstance(parameter, DTensor):
        with torch.no_grad():
            parameter.copy_(value)
    else:
        parameter.data = value
