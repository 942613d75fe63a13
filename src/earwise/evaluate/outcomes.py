"""Names that results carry, for whoever reads results without computing any."""

from __future__ import annotations

from typing import Final, Literal

OVERALL: Final = "all"
"""All items of all benchmarks together, as if they were one."""

Verdict = Literal["better", "no difference", "worse"]
"""How a model did beside another, by the interval of their difference."""
