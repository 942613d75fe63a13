"""What holds for each kind of stage: the version of what it computes, and what it can go on from after damage."""

from __future__ import annotations

import fnmatch
import math
from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Final

Keeps = Callable[[str, Collection[str]], bool]
"""Whether a whole file is kept, by its name and the names of the damaged ones."""


def _nothing(name: str, damaged: Collection[str]) -> bool:
    return False


def matching(pattern: str) -> Keeps:
    """Files by name that stand for themselves: the work goes on from them, whatever else of their folder is gone."""
    return lambda name, damaged: fnmatch.fnmatch(name, pattern)


def earlier_phases(name: str, damaged: Collection[str]) -> bool:
    """Phases before the first damaged one are kept, so all are where only the link to the last one is gone."""
    return _phase_of(name) < min(map(_phase_of, damaged))


def _phase_of(name: str) -> float:
    """Number of the phase that a file belongs to: that of what all begin with is -1, the link comes after all."""
    place = name.partition("/")[0]
    return int(place.removeprefix("phase")) if place.startswith("phase") else -1 if place == "start" else math.inf


@dataclass(frozen=True)
class Kind:
    """Of the stages with one verb."""

    version: int = 1
    """To be raised by hand when the same recipe, seed and inputs would give another result than before: finished stages
    of this kind then start over, and what needs them.
    """
    keeps: Keeps = _nothing
    """What is kept of a finished stage that lost files, because its work continues from it; by default all starts over.
    """


KINDS: Final[dict[str, Kind]] = {
    "data": Kind(version=2),
    "speech": Kind(version=2, keeps=matching("*.wav")),  # named by all that decides them; their lists are made again
    "gate": Kind(version=2, keeps=matching("*/heard.jsonl")),
    "descriptions": Kind(keeps=matching("responses.jsonl")),
    "traces": Kind(version=3, keeps=matching("responses.jsonl")),
    "verify": Kind(keeps=matching("responses.jsonl")),
    "base": Kind(keeps=earlier_phases),
    "encoder": Kind(),
    "answers": Kind(version=3, keeps=matching("answers.jsonl")),
    "align": Kind(version=2),
    "train": Kind(version=3),
    "evaluate": Kind(version=3),
    "attention": Kind(version=2, keeps=matching("rows.jsonl")),
    "report": Kind(),
}
"""By verb. Version 2: what is read of files, said in clips, made of texts and scored as one form. Version 3, and 2 of
attention: how frames of a video stand in a prompt, and written forms in answers that name one of several (CHANGELOG).
"""


def kind_of(verb: str) -> Kind:
    """What holds for the stages of a verb."""
    return KINDS.get(verb, Kind())
