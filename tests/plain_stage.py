"""A stage whose name, settings and work a test gives, for tests of the run itself."""

from __future__ import annotations

import fnmatch
from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from earwise.work.job import StageContext


@dataclass(frozen=True, kw_only=True)
class Stage:
    """All that a `Run` asks of a job. `inputs` are paths, `needs` names."""

    name: str
    work: Callable[[StageContext], None]
    settings: dict[str, Any]
    seed: int = 0
    needs: tuple[str, ...] = ()
    paths: tuple[Path, ...] = ()
    outputs: tuple[str, ...] = ()
    check: tuple[Callable[[], None], ...] = ()
    processes: Literal["main", "all", "one"] = "main"
    precision: tuple[Any, ...] = ()
    version: int = 1
    reuses: bool = False
    goes_on_from: str = ""
    keeping: Callable[[str, Collection[str]], bool] | None = field(default=None)

    @property
    def verb(self) -> str:
        """`train` for `seed0/train.sft`."""
        return self.name.rpartition("/")[2].partition(".")[0]

    @property
    def group(self) -> str:
        """Its name."""
        return self.name

    @property
    def inputs(self) -> dict[str, Path]:
        """By their paths."""
        return {str(path): path for path in self.paths}

    def keeps(self, name: str, damaged: Collection[str]) -> bool:
        """As `Job.keeps`."""
        if self.keeping is not None:
            return self.keeping(name, damaged)
        return fnmatch.fnmatch(name, self.goes_on_from)
