"""Logs of learning from reward: metrics summed between logs, and some answers in full."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from earwise.work.store import write_atomic


class Meter:
    """Sums and counts of named numbers. All names exist from the start, so that processes can add up theirs."""

    def __init__(self, names: Sequence[str]) -> None:
        self._names = list(names)
        self._held: dict[str, tuple[float, float]] = {}
        self.clear()

    def add(self, name: str, values: Iterable[float]) -> None:
        """Count `values` under `name`."""
        total, count = self._held[name]
        for value in values:
            total, count = total + float(value), count + 1
        self._held[name] = total, count

    def means(self) -> dict[str, float]:
        """The mean of every number that was counted."""
        return {name: total / count for name, (total, count) in self._held.items() if count}

    def drain(self) -> dict[str, tuple[float, float]]:
        """Sum and count of every number, counted or not; then clear."""
        held = dict(self._held)
        self.clear()
        return held

    def clear(self) -> None:
        """Forget what was counted."""
        self._held = dict.fromkeys(self._names, (0.0, 0.0))


class AnswerLog:
    """Writer of `samples.jsonl`: one line per answer, with the step after which it was logged."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __call__(self, step: int, answers: Iterable[Mapping[str, Any]]) -> None:
        """Append `answers` at once."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with self.path.open("a", encoding="utf-8") as file:
            file.write("".join(json.dumps({"step": step, **one}, ensure_ascii=False) + "\n" for one in answers))

    def rewind(self, step: int) -> None:
        """Drop the lines after `step`, and an incomplete last line: a resumed training run writes them again."""
        if self.path.exists():
            lines = self.path.read_text(encoding="utf-8").split("\n")[:-1]
            write_atomic(self.path, "".join(f"{line}\n" for line in lines if json.loads(line)["step"] <= step))
