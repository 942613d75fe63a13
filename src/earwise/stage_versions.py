"""Which version of its own computation each kind of stage is at. Raise a number by hand when the same recipe, seed and
inputs would give another result than before: finished stages of that kind, and what needs them, then start over.
"""

from __future__ import annotations

from typing import Final

VERSIONS: Final[dict[str, int]] = {
    "data": 1,
    "speech": 1,
    "gate": 1,
    "descriptions": 1,
    "traces": 1,
    "verify": 1,
    "base": 1,
    "encoder": 1,
    "answers": 1,
    "align": 1,
    "train": 1,
    "evaluate": 1,
    "attention": 1,
    "report": 1,
}
"""By the verb of the stage."""


def version_of(verb: str) -> int:
    """The version of a kind of stage, 1 for one that has never changed."""
    return VERSIONS.get(verb, 1)
