"""Numbers over steps: `metrics.jsonl`, one line per step, which stays in step with a training that is resumed."""

from __future__ import annotations

import json
import math
from pathlib import Path

from earwise.work.store import write_atomic


class Metrics:
    """Writer of one `metrics.jsonl`; call it with a step and the numbers of that step.

    A line is written at once, so that a report can be made from a run that is under way. What a killed process left
    unfinished is dropped when the file is opened again.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        if path.exists() and not path.read_bytes().endswith(b"\n"):
            self.rewind(math.inf)

    def __call__(self, step: int, **numbers: float) -> None:
        """Append one line; a number that is not finite is kept as the word for it, since JSON has none."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        values = {name: value if math.isfinite(value) else str(float(value)) for name, value in numbers.items()}
        with self.path.open("a", encoding="utf-8") as file:
            file.write(json.dumps({"step": step, **values}) + "\n")

    def rewind(self, step: float) -> None:
        """Drop the lines beyond `step`, which a training that resumes from there writes anew, and damaged ones."""
        if self.path.exists():
            kept = [line for line in _whole_lines(self.path) if _step(line) <= step]
            write_atomic(self.path, "".join(f"{line}\n" for line in kept))


def _whole_lines(path: Path) -> list[str]:
    return path.read_text(encoding="utf-8", errors="replace").split("\n")[:-1]


def _step(line: str) -> float:
    """The step of a line; no number, which is at or below none, where the line is damaged."""
    try:
        return float(json.loads(line)["step"])
    except (ValueError, KeyError, TypeError):
        return math.nan
