"""Item files for training that another stage than `data` writes: labels and chains of a teacher."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

from earwise.errors import InputError
from earwise.records import Item, Trace
from earwise.traces.filtering import answer_of
from earwise.traces.format import render
from earwise.work.store import read_jsonl, write_jsonl


def taught_file(folder: Path, name: str) -> Path:
    """The path of item file `name` in a stage's folder."""
    return folder / "items" / f"{name}.jsonl"


def read_taught(folder: Path, name: str) -> list[Item]:
    """Read the items; raises `InputError` if there are none."""
    path = taught_file(folder, name)
    items = list(read_jsonl(path, Item))
    if not items:
        raise InputError(
            "nothing is left to learn from", file=path, remedy="counts.json says what was dropped, and why"
        )
    return items


def write_taught(folder: Path, name: str, items: Iterable[Item]) -> None:
    """Write an item file; media paths stay relative to the data folder."""
    path = taught_file(folder, name)
    path.parent.mkdir(exist_ok=True)
    write_jsonl(path, items)


def taught_items(traces: Sequence[Trace], items: Mapping[str, Item]) -> Iterator[Item]:
    """Each trace as an item whose answer is reasoning and answer in the think/answer format."""
    for trace in traces:
        if trace.reasoning is None or trace.answer is None:
            raise InputError("a malformed trace cannot be taught", record=trace.key)
        update = {"id": f"{trace.item}#{trace.sample}", "answers": (render(trace.reasoning, trace.answer),)}
        yield items[trace.item].model_copy(update=update)


def labels_items(traces: Sequence[Trace], items: Mapping[str, Item]) -> Iterator[Item]:
    """Each item once, with the answer of its traces in place of the gold answer. For items with choices it is the
    letter. Raises `InputError` if the traces of an item do not agree.
    """
    first: dict[str, Trace] = {}
    for trace in traces:
        item, known = items[trace.item], first.setdefault(trace.item, trace)
        if answer_of(trace, item) != answer_of(known, item):
            raise InputError("its traces do not agree on an answer", record=item.id)
    for name, trace in first.items():
        answer = answer_of(trace, items[name]) if items[name].choices else trace.answer
        yield items[name].model_copy(update={"answers": (answer,)})
