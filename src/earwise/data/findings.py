"""The findings of an audit."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Level = Literal["error", "warning"]


@dataclass(frozen=True)
class Finding:
    """An error or a doubt (`warning`) about a record or, if `record` is empty, the whole file."""

    check: str
    level: Level
    record: str
    what: str
