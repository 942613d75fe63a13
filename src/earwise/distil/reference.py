"""The weights at the start of a training, swapped in for a moment: only what is trained is kept twice."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import nn

from earwise.errors import EarwiseError


class Reference:
    """A copy of the trained parameters of `model`, taken now.

    Whatever is trained (ears, LoRA, a whole decoder), the rest of the reference is the model itself. Make it when
    `requires_grad` is set as it will be trained. A training that resumes makes it before its checkpoint is read, so
    that the reference stays the first one.
    """

    def __init__(self, model: nn.Module) -> None:
        self._model = model
        self._kept = {name: p.detach().clone() for name, p in model.named_parameters() if p.requires_grad}
        if not self._kept:
            raise EarwiseError("nothing is trained, so there is no reference: set requires_grad first")

    def check(self) -> None:
        """Raise `EarwiseError` where other parameters are trained than those that were copied."""
        trained = {name for name, p in self._model.named_parameters() if p.requires_grad}
        if other := sorted(trained ^ {*self._kept}):
            raise EarwiseError(f"{other[0]} was switched between trained and frozen after the reference was made")

    @contextmanager
    def swapped_in(self) -> Iterator[None]:
        """Inside, the model is the reference and nothing has a gradient; the student's weights come back after it."""
        parameters = dict(self._model.named_parameters())
        own = {name: parameters[name].data for name in self._kept}
        try:
            for name, value in self._kept.items():
                self._kept[name] = value = value.to(own[name].device)
                parameters[name].data = value
            torch.clear_autocast_cache()  # it holds casts of the weights that were just swapped out
            with torch.no_grad():
                yield
        finally:
            for name, data in own.items():
                parameters[name].data = data
            torch.clear_autocast_cache()
