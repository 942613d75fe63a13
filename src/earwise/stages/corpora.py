"""The part of stage `data` for public corpora: mixes their conversations and writes item files, with links to the
media.
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from earwise.data.broken_media import MediaCheck
from earwise.data.drops import Drops
from earwise.data.items import write_items
from earwise.data.llava import CONVERSATION
from earwise.data.mixture import Mixture
from earwise.data.parts import OpenPart, open_part, part_name
from earwise.errors import InputError
from earwise.recipe.data import CorporaData, Pool, TrainPool
from earwise.records import Item
from earwise.work.job import StageContext
from earwise.work.manifest import link
from earwise.work.store import write_atomic

MEDIA = "media"
"""Folder with one link per part to its media."""
DROPS = "dropped.json"
"""Counts of left-out records: pool -> part -> reason -> count."""


@dataclass(frozen=True)
class OpenPool:
    """A pool with opened parts, in reading order."""

    parts: tuple[OpenPart, ...]
    mixture: Mixture[tuple[Item, ...]]
    media: MediaCheck

    def items(self) -> Iterator[Item]:
        """Every item, in order. A repeated draw adds a number to the id, so that another voice speaks it."""
        return itertools.chain.from_iterable(self.conversations())

    def conversations(self) -> Iterator[tuple[Item, ...]]:
        """The items of each of the `len(mixture)` draws; a draw may hold several items or none."""
        for position in range(len(self.mixture)):
            again = self.mixture.draw(position).again
            yield tuple(_renamed(item, f"~{again}") if again else item for item in self.conversation(position))

    def conversation(self, position: int) -> tuple[Item, ...]:
        """The items of one draw; none, and counted, if one of their files is broken."""
        items = self.mixture[position]
        for item in items:
            if (broken := self.media.broken(item)) is not None:
                drops = self.parts[self.mixture.draw(position).source].conversations.drops
                drops.add(broken.reason, f"{item.meta.get('record', item.id)}: {broken.path.removeprefix(MEDIA + '/')}")
                return ()
        return items


def open_pool(name: str, pool: Pool, seed: int, folder: Path) -> OpenPool:
    """Open the parts of a pool: `folder` gets links to their media, and later the audio stored inside them. Raises
    `InputError` for a part without usable records.
    """
    instruction = "" if isinstance(pool, TrainPool) else pool.instruction
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
    (folder / MEDIA).mkdir(parents=True, exist_ok=True)
    for part in opened:
        link(folder / MEDIA / part.name, part.media.resolve())
    return OpenPool(opened, mixture, MediaCheck(folder))


def write_corpora(context: StageContext, source: CorporaData) -> list[MediaCheck]:
    """Write the item files of all pools, the links to their media, and the counts of left-out records. Returns the
    media checks, so that no file is checked twice.
    """
    folder, dropped, checks = context.folder, {}, []
    if source.benchmarks is not None:
        link(folder / "benchmarks", Path(source.benchmarks).resolve())
    for name, pool in source.pools.items():
        opened = open_pool(name, pool, source.seed, folder)
        checks.append(opened.media)
        drawn = context.track(opened.conversations(), len(opened.mixture), f"data: {name}")
        write_items(folder / f"{name}.jsonl", itertools.chain.from_iterable(drawn))
        dropped[name] = {part.name: part.conversations.drops.counts for part in opened.parts}
        for part in opened.parts:
            say_drops(context, f"data: {name}: {part.name}", part.conversations.drops)
    write_atomic(folder / DROPS, json.dumps(dropped, indent=2) + "\n")
    return checks


def say_drops(context: StageContext, what: str, drops: Drops) -> None:
    """Print one line for each reason."""
    for line in drops.lines():
        context.say(f"{what}: {line}")


def _renamed(item: Item, ending: str) -> Item:
    meta = dict(item.meta)
    if CONVERSATION in meta:
        meta[CONVERSATION] = f"{meta[CONVERSATION]}{ending}"
    return item.model_copy(update={"id": f"{item.id}{ending}", "meta": meta})
