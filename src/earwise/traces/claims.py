"""Splits a chain of reasoning into claims that can be judged separately."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Final

Splitter = Callable[[str], list[str]]
"""Splits a chain into its claims, in order. A laboratory with a grammar of chains has its own."""

_ENDS: Final = re.compile(r"(?<=[.!?])\s+|\s*[;\n]+\s*")
_BULLET: Final = re.compile(r"^(?:[-*•]|\d{1,2}[.)])\s+")


def sentences(reasoning: str) -> list[str]:
    """Each sentence, part between semicolons and line is a claim; list marks are taken off, repeats left out."""
    lines = (_BULLET.sub("", line.strip()) for line in reasoning.splitlines())
    claims = (claim.strip() for line in lines for claim in _ENDS.split(line))
    return list(dict.fromkeys(claim for claim in claims if any(map(str.isalnum, claim))))
