"""Stage `descriptions`: the sounds of items as text, for models that only read; and samples with these texts.

FILE/descriptions.jsonl               what is said of each sound of the item file FILE
FILE/left_out.json                    items without a description, and why
benchmarks/NAME/...                   the same of a benchmark, where it is asked by description
responses.jsonl                       with `by = "model"`: every answer of the model, as it came
counts.json                           described and left out, by reason; tokens and cost
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

from earwise.data.cota import parse_cota
from earwise.data.descriptions import FILE, Description, read_descriptions
from earwise.data.items import read_items
from earwise.data.media import resolve
from earwise.data.video import sound_file
from earwise.errors import InputError, about
from earwise.io.messages import counted
from earwise.models.sample import Sample
from earwise.recipe.recipe import Recipe
from earwise.recipe.scale import Scale
from earwise.recipe.teach import ByCaption, ByMeta, ByModel, Descriptions
from earwise.records import Item
from earwise.stages.data import benchmark_items
from earwise.stages.declared.data import NAME as DATA
from earwise.stages.declared.data import data_folder
from earwise.stages.declared.descriptions import NAME, benchmarks_are_described
from earwise.stages.scale import pool_of
from earwise.stages.traces import COUNTS, RESPONSES, spent, write_counts
from earwise.traces.describe import listen
from earwise.traces.opening import open_client, price_of
from earwise.work.run import StageContext
from earwise.work.store import read_json, write_atomic, write_jsonl

LEFT_OUT = "left_out.json"
BENCHMARKS: Final = "benchmarks"
NO_SOUND: Final = "the item has no sound"

Groups = Mapping[str, tuple[Sequence[Item], Path]]
"""By name of the item file: its items, and the folder that their media are in."""
Told = tuple[str, str]
"""A description, or else why there is none."""


def work(context: StageContext, recipe: Recipe) -> None:
    """Describe the sounds of the item files, and of the benchmarks where a view shows descriptions."""
    assert recipe.descriptions is not None
    folder = data_folder(recipe, context.folder_of(DATA))
    groups = {name: (read_items(folder / f"{name}.jsonl"), folder) for name in recipe.descriptions.items}
    if benchmarks_are_described(recipe):
        for name, items in benchmark_items(recipe, folder).items():
            groups[f"{BENCHMARKS}/{name}"] = (items, folder / BENCHMARKS)
    describe(context, recipe.descriptions, groups, recipe.scale)


def describe(context: StageContext, settings: Descriptions, groups: Groups, scale: Scale | None = None) -> None:
    """Describe the sounds of all items of `groups`, count what is left out, and leave both in the stage's folder.

    Raises `InputError` for an item file of which nothing could be described.
    """
    counts: dict[str, Any] = {}
    if isinstance(settings, ByModel):
        tell, source, counts["model"] = _by_model(context, settings, groups, scale)
    else:
        tell, source = _by_item(settings), _source(settings)
    for name, (items, folder) in groups.items():
        told = {item.id: tell(item, folder) for item in items}
        left_out = {item: reason for item, (text, reason) in told.items() if not text}
        described = [Description(item=item, text=text, source=source) for item, (text, _) in told.items() if text]
        own = context.folder / name
        own.mkdir(parents=True, exist_ok=True)
        write_jsonl(own / FILE, described)
        write_atomic(own / LEFT_OUT, json.dumps(left_out, indent=1, ensure_ascii=False) + "\n")
        reasons = dict(Counter(left_out.values()).most_common())
        counts[name] = {"described": len(described), "left_out": reasons}
        write_counts(context, counts)
        why = f", {_in_words(reasons)}" if reasons else ""
        context.say(f"descriptions: {name}: {counted(len(described), 'sound is', 'sounds are')} described{why}")
        if not described:
            what, remedy = f"no sound of {name!r} could be described", f"{_in_words(reasons)}; see {COUNTS}"
            raise InputError(what, file=folder, remedy=remedy)


def _in_words(reasons: Mapping[str, int]) -> str:
    """`2 left out (the item has no sound 2)`."""
    return f"{sum(reasons.values())} left out ({', '.join(f'{reason} {count}' for reason, count in reasons.items())})"


def _by_model(
    context: StageContext, settings: ByModel, groups: Groups, scale: Scale | None
) -> tuple[Callable[[Item, Path], Told], str, dict[str, Any]]:
    """Ask once about each distinct sound; who described it, and what it took."""
    sounds: dict[Path, str] = {}
    for items, folder in groups.values():
        for item in items:
            path = _sound(item, folder)
            if path is not None:
                sounds.setdefault(path, item.id)
    with open_client(settings.model, context.folder / RESPONSES, pool_of(scale, runs_model=True)) as client:
        heard = listen(client, sounds, settings.request, settings.max_tokens)
        source = f"{client.engine.model}, greedily"
        cut = sum(response is not None and response.finish_reason == "length" for response, _ in heard.values())
        took = {"sounds": len(sounds), "cut_off": cut, **spent(client, price_of(settings.model))}
    if cut:
        context.say(f"descriptions: {cut} end where max_tokens = {settings.max_tokens} cut them off")

    def tell(item: Item, folder: Path) -> Told:
        path = _sound(item, folder)
        if path is None:
            return "", NO_SOUND
        response, failure = heard[path]
        if response is None:
            return "", failure
        text = response.text.strip()
        return text, "" if text else "the model said nothing"

    return tell, source, took


def _by_item(settings: ByCaption | ByMeta) -> Callable[[Item, Path], Told]:
    return lambda item, _: carried(settings, item)


def _source(settings: ByCaption | ByMeta) -> str:
    return "CAPTION of the answer" if isinstance(settings, ByCaption) else "transcript and tags of the item"


def carried(settings: ByCaption | ByMeta, item: Item) -> Told:
    """The description that `item` itself carries, or why it has none. Raises `InputError` for meta of another type."""
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


def _sound(item: Item, folder: Path) -> Path | None:
    """The item's own sound file, or the sound of its video."""
    if item.audio is not None:
        return resolve(folder, item.audio)
    if item.video is None:
        return None
    with about(item.id):
        return sound_file(resolve(folder, item.video))


def described(context: StageContext, recipe: Recipe, name: str, samples: Sequence[Sample]) -> list[Sample]:
    """`samples` of the item file `name` (`benchmarks/NAME` for one of those) with descriptions: those of the stage, or
    of the file beside the items where the recipe has no `[descriptions]`.
    """
    if recipe.descriptions is None:
        folder = data_folder(recipe, context.folder_of(DATA))
        return with_descriptions(samples, (folder / BENCHMARKS if name.startswith(f"{BENCHMARKS}/") else folder) / FILE)
    folder = context.folder_of(NAME) / name
    return with_descriptions(samples, folder / FILE, read_json(folder / LEFT_OUT), context.say)


def with_descriptions(
    samples: Iterable[Sample],
    path: Path,
    left_out: Mapping[str, str] = MappingProxyType({}),
    say: Callable[[str], None] = lambda _: None,
) -> list[Sample]:
    """`samples` with what the file `path` says of their sounds, as the view `description_text` shows it.

    Every turn gets its own item's description; a conversation needs that of its first turn. A trace, whose id ends in
    `#` and the number of the sample, has that of its item. Items of `left_out` are left out, and counted by reason.

    Raises `InputError` naming the first other sample without a description, as a training that silently left it out
    would compare other items; and where nothing is left.
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
    """The id under which an item is described: its own, or that of which it is a trace."""
    return name if any(name in one for one in known) else name.rpartition("#")[0] or name


def planned_descriptions(
    recipe: Recipe, samples: Sequence[Sample], folder: Path, say: Callable[[str], None]
) -> list[Sample]:
    """`samples` with descriptions, for a plan: nothing is asked, so texts of full length stand for those of a model."""
    settings = recipe.descriptions
    if settings is None:
        return with_descriptions(samples, folder / FILE)
    if isinstance(settings, ByModel):
        say(f"no sound is described yet: texts of {settings.max_tokens} words stand for descriptions")
        longest = " ".join(["sound"] * settings.max_tokens)
        texts = {sample.key: longest for sample in samples}
    else:
        texts = {sample.key: carried(settings, sample.turns[0].item)[0] for sample in samples}
    return [
        replace(sample, turns=tuple(replace(turn, description=texts[sample.key]) for turn in sample.turns))
        for sample in samples
        if texts[sample.key]
    ]
