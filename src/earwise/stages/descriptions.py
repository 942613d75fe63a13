"""Stages `descriptions/FILE`: the sounds of items as text, for models that only read; and samples with these texts.

descriptions.jsonl               the description of each sound
left_out.json                    items without a description, and why
responses.jsonl                  with `by = "model"`: every answer of the model
counts.json                      described and left out, by reason; tokens and cost
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

from earwise.data.cota import parse_cota
from earwise.data.descriptions import FILE, Description, read_descriptions
from earwise.errors import InputError
from earwise.io.messages import counted
from earwise.models.sample import Sample
from earwise.recipe.scale import Scale
from earwise.recipe.teach import ByCaption, ByMeta, ByModel
from earwise.records import Item
from earwise.stages.data import data_folder, media_folder, shown_items, sound_of
from earwise.stages.jobs.teach import DescriptionsJob
from earwise.stages.scale import pool_of
from earwise.stages.traces import COUNTS, RESPONSES, spent, write_counts
from earwise.traces.describe import listen
from earwise.traces.opening import open_client, price_of
from earwise.work.job import StageContext
from earwise.work.store import read_json, write_atomic, write_jsonl

LEFT_OUT = "left_out.json"
NO_SOUND: Final = "the item has no sound"

Told = tuple[str, str]
"""A description (may be empty), and the reason for an empty one."""


def work(context: StageContext, job: DescriptionsJob) -> None:
    """Describe the sounds of the job's item file or benchmark."""
    items = shown_items(context, job.data, job.file, job.benchmark)
    describe(context, job, items, media_folder(data_folder(context, job.data), job.benchmark))


def describe(context: StageContext, job: DescriptionsJob, items: Sequence[Item], folder: Path) -> None:
    """Describe the sounds of `items`, whose media are in `folder`; write descriptions and counts to the stage's folder.
    Raises `InputError` if nothing could be described.
    """
    settings, counts = job.settings_of, dict[str, Any]()
    if isinstance(settings, ByModel):
        tell, source, counts["model"] = _by_model(context, settings, items, folder, job.scale)
    else:
        tell = partial(carried, settings)
        source = "CAPTION of the answer" if isinstance(settings, ByCaption) else "transcript and tags of the item"
    told = {item.id: tell(item) for item in items}
    left_out = {item: reason for item, (text, reason) in told.items() if not text}
    described = [Description(item=item, text=text, source=source) for item, (text, _) in told.items() if text]
    write_jsonl(context.folder / FILE, described)
    write_atomic(context.folder / LEFT_OUT, json.dumps(left_out, indent=1, ensure_ascii=False) + "\n")
    reasons = dict(Counter(left_out.values()).most_common())
    write_counts(context, counts | {"described": len(described), "left_out": reasons})
    why = f", {_in_words(reasons)}" if reasons else ""
    context.say(f"descriptions: {job.file}: {counted(len(described), 'sound is', 'sounds are')} described{why}")
    if not described:
        what, remedy = f"no sound of {job.file!r} could be described", f"{_in_words(reasons)}; see {COUNTS}"
        raise InputError(what, file=folder, remedy=remedy)


def _in_words(reasons: Mapping[str, int]) -> str:
    """`2 left out (the item has no sound 2)`."""
    return f"{sum(reasons.values())} left out ({', '.join(f'{reason} {count}' for reason, count in reasons.items())})"


def _by_model(
    context: StageContext, settings: ByModel, items: Sequence[Item], folder: Path, scale: Scale | None
) -> tuple[Callable[[Item], Told], str, dict[str, Any]]:
    """Ask once about each distinct sound. Returns the lookup, the source's name and the costs."""
    sounds: dict[Path, str] = {}
    for item in items:
        path = sound_of(item, folder)
        if path is not None:
            sounds.setdefault(path, item.id)
    with open_client(settings.model, context.folder / RESPONSES, pool_of(scale, runs_model=True)) as client:
        heard = listen(client, sounds, settings.request, settings.max_tokens)
        source = f"{client.engine.model}, greedily"
        cut = sum(response is not None and response.finish_reason == "length" for response, _ in heard.values())
        took = {"sounds": len(sounds), "cut_off": cut, **spent(client, price_of(settings.model))}
    if cut:
        context.say(f"descriptions: {cut} end where max_tokens = {settings.max_tokens} cut them off")

    def tell(item: Item) -> Told:
        path = sound_of(item, folder)
        if path is None:
            return "", NO_SOUND
        response, failure = heard[path]
        if response is None:
            return "", failure
        text = response.text.strip()
        return text, "" if text else "the model said nothing"

    return tell, source, took


def carried(settings: ByCaption | ByMeta, item: Item) -> Told:
    """The description that `item` itself has, or why it has none. Raises `InputError` for meta of another type."""
    if isinstance(settings, ByCaption):
        parsed = parse_cota(item.answers[0])
        return parsed.caption or "", "" if parsed.caption else f"no caption: {parsed.outcome.reason}"
    transcript, listed = (item.meta.get(key) for key in (settings.transcript, settings.tags))
    tags = listed if isinstance(listed, list) else [] if listed is None else [listed]
    named = [tag for tag in tags if isinstance(tag, str)]
    if not isinstance(transcript, str | None) or len(named) < len(tags):
        what = f"meta {settings.transcript!r} is a text, {settings.tags!r} a text or a list of texts"
        raise InputError(what, record=item.id, remedy="write them so, or name other keys")
    lines = [f'Speech: "{transcript.strip()}"'] if transcript and transcript.strip() else []
    lines += [f"Sounds: {', '.join(named)}"] if named else []
    return "\n".join(lines), "" if lines else "neither transcript nor tags"


def described(
    context: StageContext, job: DescriptionsJob | None, samples: Sequence[Sample], folder: Path
) -> list[Sample]:
    """`samples` with descriptions: those of the job, or without a job those of the file in `folder`."""
    if job is None:
        return with_descriptions(samples, folder / FILE)
    own = context.folder_of(job)
    return with_descriptions(samples, own / FILE, read_json(own / LEFT_OUT), context.say)


def with_descriptions(
    samples: Iterable[Sample],
    path: Path,
    left_out: Mapping[str, str] = MappingProxyType({}),
    say: Callable[[str], None] = lambda _: None,
) -> list[Sample]:
    """`samples` with the descriptions in file `path`, as the view `description_text` shows them.

    Every turn gets its own item's description; a conversation needs that of its first turn. A trace (ITEM#NUMBER) gets
    that of its item. Items of `left_out` are left out, and counted by reason.

    Raises `InputError` naming the first other sample without a description, because silently leaving it out would
    change which items are compared; also if nothing is left.
    """
    texts = read_descriptions(path)
    shown: list[Sample] = []
    gone: Counter[str] = Counter()
    for sample in samples:
        name = _item_of(sample.key, texts, left_out)
        if name in left_out:
            gone[left_out[name]] += 1
            continue
        if name not in texts:
            remedy = "describe its sound, or leave the item out of the data"
            raise InputError("no description of this item", file=path, record=sample.key, remedy=remedy)
        names = [_item_of(turn.item.id, texts, left_out) for turn in sample.turns]
        turns = tuple(
            replace(turn, description=texts.get(item)) for turn, item in zip(sample.turns, names, strict=True)
        )
        shown.append(replace(sample, turns=turns))
    if gone:
        say(f"items without a description: {_in_words(dict(gone.most_common()))}")
    if gone and not shown:
        raise InputError("no item has a description", file=path, remedy=_in_words(dict(gone.most_common())))
    return shown


def _item_of(name: str, *known: Mapping[str, str]) -> str:
    """The id under which an item is described: its own, or for a trace that of its item."""
    return name if any(name in one for one in known) else name.rpartition("#")[0] or name
