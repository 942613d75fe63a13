"""The collapse guard stops a policy that drifts, loses its entropy or stops giving valid answers."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping

from earwise.errors import EarwiseError
from earwise.recipe.terms import Guard


class CollapseGuard:
    """Compares means over the last `window` steps with the bounds of `[...].guard`. A resumed training run begins with
    an empty window. Each process guards its own completions.
    """

    def __init__(self, settings: Guard) -> None:
        self._settings = settings
        self._seen: deque[Mapping[str, float]] = deque(maxlen=settings.window)

    def __call__(self, step: int, numbers: Mapping[str, float]) -> None:
        """Take the numbers of step `step`, counted from 1. Raises `EarwiseError` naming the number that is out of
        bounds, and the remedy.
        """
        self._seen.append(numbers)
        if len(self._seen) < self._settings.window:
            return
        bounds = self._settings
        self._compare(step, "kl", "the KL to the reference", bounds.max_kl, "raise beta or lower lr", above=True)
        self._compare(
            step,
            "entropy",
            "the entropy",
            bounds.min_entropy,
            "lower lr, or raise beta or the temperature",
            above=False,
        )
        self._compare(
            step, "invalid", "the share of invalid answers", bounds.max_invalid,
            "reward the format, lower lr, or allow more tokens", above=True,
        )  # fmt: skip

    def _compare(self, step: int, name: str, what: str, bound: float | None, remedy: str, *, above: bool) -> None:
        values = [numbers[name] for numbers in self._seen if name in numbers]
        if bound is None or not values:
            return
        mean = sum(values) / len(values)
        if (mean > bound) if above else (mean < bound):
            raise EarwiseError(
                f"the policy collapses: {what} is {mean:.3g} over the last {len(self._seen)} steps, after step {step}, "
                f"{'above' if above else 'below'} {bound:g}: {remedy}"
            )
