"""What an audit has to say."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Level = Literal["error", "warning"]


@dataclass(frozen=True)
class Finding:
    """One thing wrong (`error`) or to be doubted (`warning`) about a record or, where that is empty, the whole file."""

    check: str
    level: Level
    record: str
    what: str
