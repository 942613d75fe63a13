"""What stage `data` does with public corpora: mix their conversations and write item files, with links to the media."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from earwise.data.drops import Drops
from earwise.data.items import write_items
from earwise.data.llava import CONVERSATION
from earwise.data.mixture import Mixture
from earwise.data.parts import OpenPart, open_part, part_files, part_name
from earwise.data_settings import CorporaData, IemocapPart, TrainPool, TranscribePool
from earwise.errors import InputError
from earwise.evaluation_settings import Iemocap
from earwise.manifest import link
from earwise.records import Item
from earwise.run import StageContext
from earwise.settings import Recipe
from earwise.store import write_atomic

MEDIA = "media"
"""Folder with one link for each part, to where its media are."""
DROPS = "dropped.json"
"""What was left out: pool -> part -> reason -> how many."""


def pools(source: CorporaData) -> dict[str, TrainPool | TranscribePool]:
    """The item files that a recipe asks for, by name."""
    names = ("train", "validation", "replay", "transcribe")
    given: dict[str, TrainPool | TranscribePool | None] = {name: getattr(source, name) for name in names}
    return {name: pool for name, pool in given.items() if pool is not None}


def input_files(source: CorporaData) -> tuple[Path, ...]:
    """Everything outside the run that decides which items there are."""
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


@dataclass(frozen=True)
class OpenPool:
    """A pool whose parts have been opened, in the order in which it is read."""

    parts: tuple[OpenPart, ...]
    mixture: Mixture[tuple[Item, ...]]

    def items(self) -> Iterator[Item]:
        """Every item, in order. What is drawn again has a number behind its id: it is spoken by another voice."""
        for position in range(len(self.mixture)):
            again = self.mixture.draw(position).again
            for item in self.mixture[position]:
                yield _renamed(item, f"~{again}") if again else item


def open_pool(name: str, pool: TrainPool | TranscribePool, seed: int, folder: Path) -> OpenPool:
    """Open the parts of a pool; audio that is stored inside them will be written below `folder`.

    Raises `InputError` for a part of which nothing can be used.
    """
    instruction = pool.instruction if isinstance(pool, TranscribePool) else ""
    opened = tuple(
        open_part(
            part,
            media=f"{MEDIA}/{part_name(part)}",
            extracted=folder / "extracted" / part_name(part),
            seed=seed,
            instruction=instruction,
        )
        for part in pool.parts
    )
    sources = [part.conversations for part in opened]
    weights = [part.weight for part in pool.parts]
    try:
        mixture = Mixture(sources, weights, seed, exhausted=pool.exhausted, length=pool.items)
    except InputError as error:
        raise InputError(error.what, record=f"data.{name}.items", remedy=error.remedy) from None
    return OpenPool(opened, mixture)


def write_corpora(context: StageContext, source: CorporaData) -> None:
    """Write the item files of all pools, the links to their media, and what was left out."""
    folder, dropped = context.folder, {}
    (folder / MEDIA).mkdir(exist_ok=True)
    if source.benchmarks is not None:
        link(folder / "benchmarks", Path(source.benchmarks).resolve())
    for name, pool in pools(source).items():
        opened = open_pool(name, pool, source.seed, folder)
        for part in opened.parts:
            link(folder / MEDIA / part.name, part.media.resolve())
        total = len(opened.mixture)
        write_items(folder / f"{name}.jsonl", context.track(opened.items(), total, f"data: {name}"))
        dropped[name] = {part.name: part.conversations.drops.counts for part in opened.parts}
        for part in opened.parts:
            say_drops(context, f"data: {name}: {part.name}", part.conversations.drops)
    write_atomic(folder / DROPS, json.dumps(dropped, indent=2) + "\n")


def say_drops(context: StageContext, what: str, drops: Drops) -> None:
    """One line for each reason for which something was left out."""
    for line in drops.lines():
        context.say(f"{what}: {line}")


def _renamed(item: Item, ending: str) -> Item:
    meta = dict(item.meta)
    if CONVERSATION in meta:
        meta[CONVERSATION] = f"{meta[CONVERSATION]}{ending}"
    return item.model_copy(update={"id": f"{item.id}{ending}", "meta": meta})
