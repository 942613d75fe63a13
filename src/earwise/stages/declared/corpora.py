"""Public corpora as `[data]` names them: pools, the files that decide what is in them, and what must agree."""

from __future__ import annotations

from pathlib import Path

from earwise.errors import InputError
from earwise.recipe.data import CorporaData, IemocapPart, TrainPool, TranscribePool
from earwise.recipe.evaluate import Iemocap
from earwise.recipe.recipe import Recipe


def pools(source: CorporaData) -> dict[str, TrainPool | TranscribePool]:
    """The item files that a recipe asks for, by name."""
    names = ("train", "validation", "replay", "transcribe")
    given: dict[str, TrainPool | TranscribePool | None] = {name: getattr(source, name) for name in names}
    return {name: pool for name, pool in given.items() if pool is not None}


def input_files(source: CorporaData) -> tuple[Path, ...]:
    """Everything outside the run that decides which items there are."""
    # Readers of media take a moment to import, and no other source of items needs them here.
    from earwise.data.parts import part_files

    listed = [file for pool in pools(source).values() for part in pool.parts for file in part_files(part)]
    return (*dict.fromkeys(listed), *([Path(source.benchmarks)] if source.benchmarks else []))


def check_pools(recipe: Recipe, source: CorporaData, used: list[str]) -> None:
    """Raise `InputError` if a training reads an item file that no pool makes."""
    if missing := [name for name in used if name not in pools(source)]:
        raise InputError(f"missing table, a training reads {missing[0]!r}", record=f"data.{missing[0]}")
    if recipe.evaluate is not None and source.benchmarks is None:
        raise InputError("missing, [evaluate] reads the benchmarks there", record="data.benchmarks")
    _check_sessions(recipe, source)


def _check_sessions(recipe: Recipe, source: CorporaData) -> None:
    """A session of IEMOCAP has its own two speakers, so who learns from it is not tested on it."""
    if recipe.evaluate is None or "iemocap" not in recipe.evaluate.benchmarks:
        return
    tested = (recipe.evaluate.iemocap or Iemocap()).sessions
    for name, pool in pools(source).items():
        for part in pool.parts:
            if isinstance(part, IemocapPart) and (both := sorted({*part.sessions} & {*tested})):
                what = f"session {both[0]} of IEMOCAP is learned from, and tested by [evaluate]"
                raise InputError(what, record=f"data.{name}.parts", remedy="leave it out of sessions here or there")
