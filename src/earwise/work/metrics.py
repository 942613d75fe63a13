"""`metrics.jsonl`: numbers by step, one line each, consistent with a resumed training run."""

from __future__ import annotations

import json
import math
from pathlib import Path

from earwise.work.store import write_atomic


class Metrics:
    """Writer of one `metrics.jsonl`; call it with a step and its numbers. A line is written immediately, so that a
    report can be made during a run. An incomplete line of a killed process is dropped when the file is opened again.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        if path.exists() and not path.read_bytes().endswith(b"\n"):
            self.rewind(math.inf)

    def __call__(self, step: int, **numbers: float) -> None:
        """Append one line. JSON has no number for infinity and NaN, so these become strings."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        values = {name: value if math.isfinite(value) else str(float(value)) for name, value in numbers.items()}
        with self.path.open("a", encoding="utf-8") as file:
            file.write(json.dumps({"step": step, **values}) + "\n")

    def rewind(self, step: float) -> None:
        """Drop damaged lines, and those after `step`, which the resumed training run writes again."""
        if self.path.exists():
            kept = [line for line in _whole_lines(self.path) if _step(line) <= step]
            write_atomic(self.path, "".join(f"{line}\n" for line in kept))


def _whole_lines(path: Path) -> list[str]:
    return path.read_text(encoding="utf-8", errors="replace").split("\n")[:-1]


def _step(line: str) -> float:
    """The step of a line; NaN, which no comparison accepts, for a damaged line."""
    try:
        return float(json.loads(line)["step"])
    except (ValueError, KeyError, TypeError):
        return math.nan
