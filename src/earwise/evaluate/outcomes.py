"""Names in results, importable without the code that computes them."""

from __future__ import annotations

from typing import Final, Literal

OVERALL: Final = "all"
"""All items of all benchmarks, as one benchmark."""

Verdict = Literal["better", "no difference", "worse"]
"""A comparison of two models, from the interval of their difference."""
