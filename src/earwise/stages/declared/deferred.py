"""What a stage does, by name: imported when the stage starts, so that a plan needs neither torch nor transformers."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from typing import Any


@dataclass(frozen=True)
class Deferred:
    """A function of a module in `earwise.stages`, and what it is called with.

    `Deferred("training.train", (recipe, name))(context)` is `earwise.stages.training.train(context, recipe, name)`; the
    module is imported by the call. Two of them are equal if they would do the same.
    """

    name: str
    """`MODULE.FUNCTION`."""
    arguments: tuple[Any, ...] = ()
    """Stand behind those of the call."""

    def function(self) -> Callable[..., None]:
        """The function itself; imports its module."""
        module, _, name = self.name.rpartition(".")
        # Stages show their own progress, so no bar of transformers is wanted; it reads this when it is imported.
        os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")
        function: Callable[..., None] = getattr(import_module(f"earwise.stages.{module}"), name)
        return function

    def __call__(self, *given: Any) -> None:
        """Import the function and call it; `given` stand before its arguments."""
        self.function()(*given, *self.arguments)
