"""A teacher's hidden states at response positions, stored on disk for a teacher that does not fit beside the student.

States keep the teacher's own type, so a loss computed from them equals the live teacher's. They take 1/40 of the space
of the logits. A folder holds

    cache.json            teacher, view and layers
    teacher/              config and tokenizer, so that layouts need no weights
    head.safetensors      head and final norm
    index.jsonl           one `StoredStates` per sample, appended after its shard is complete
    shard-00000.safetensors ...

Shapes: S stored layers, N response tokens, H width, V vocabulary.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import torch
from pydantic import Field
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from earwise.distil.teachers import LiveTeacher
from earwise.errors import InputError
from earwise.models.families.causal_lm import CausalLM
from earwise.models.layout import Layout
from earwise.models.omni import OmniModel
from earwise.models.sample import Sample
from earwise.models.states import Wants
from earwise.records import NonEmpty, Record, View
from earwise.work.parallel import in_chunks
from earwise.work.store import PART, Store, read_json, write_atomic

DESCRIPTION: Final = "cache.json"
INDEX: Final = "index.jsonl"
TEACHER: Final = "teacher"
HEAD: Final = "head.safetensors"
SHARD_BYTES: Final = 256 * 2**20


class StoredStates(Record):
    """Where the states of one sample are, and which tokens they belong to."""

    item: NonEmpty
    """`Sample.key`"""
    ids_sha256: NonEmpty
    """Hash of all token ids that the teacher read: description, question, template and response."""
    response_sha256: NonEmpty
    """Hash of the response's token ids."""
    tokens: int = Field(ge=1)
    """N"""
    shard: NonEmpty

    @property
    def key(self) -> str:
        """Item and hash: an item with two descriptions has two entries."""
        return f"{self.item}|{self.ids_sha256}"


@dataclass(frozen=True)
class CacheDescription:
    """The content of `cache.json`."""

    teacher: str
    weights_sha256: str
    view: View
    layers: tuple[int, ...]
    """Stored layers, counted from 1, always with the last one, which is after the final norm."""
    dtype: str

    def write(self, folder: Path) -> None:
        """Write `cache.json`; raises `InputError` if `folder` holds another cache."""
        path = folder / DESCRIPTION
        mine = {**vars(self), "layers": list(self.layers)}
        if path.exists() and (theirs := read_json(path)) != mine:
            differs = ", ".join(key for key in mine if theirs.get(key) != mine[key])
            remedy = "choose another folder, or delete it to compute its states again"
            raise InputError(f"holds states of another kind: {differs}", file=path, remedy=remedy)
        write_atomic(path, json.dumps(mine, indent=2) + "\n")

    @classmethod
    def read(cls, folder: Path) -> CacheDescription:
        """Read `cache.json`."""
        fields = read_json(folder / DESCRIPTION)
        return cls(**{**fields, "layers": tuple(fields["layers"])})


@dataclass(frozen=True)
class CacheSize:
    """The size of a cache, known before anything is computed."""

    samples: int
    tokens: int
    states_bytes: int
    head_bytes: int

    def __str__(self) -> str:
        size = (self.states_bytes + self.head_bytes) / 2**30
        return f"{self.tokens} response tokens of {self.samples} samples: {size:.3g} GiB"


def hash_ids(ids: Sequence[int]) -> str:
    """sha256 of token ids."""
    return hashlib.sha256(",".join(map(str, ids)).encode()).hexdigest()


def predict_size(model: OmniModel, samples: Sequence[Sample], view: View, layers: Sequence[int] = ()) -> CacheSize:
    """The exact size of the states of `samples`; only their layouts are computed."""
    found = dict(_layouts(model, samples, view))
    tokens = sum(len(layout.response) for _, layout in found.values())
    family = model.family
    size = family.head_weight.element_size()
    stored = len(_stored(layers, family.depth))
    return CacheSize(
        samples=len(found),
        tokens=tokens,
        states_bytes=tokens * stored * family.width * size,
        head_bytes=family.head_weight.numel() * size,
    )


def write_cache(
    model: OmniModel,
    samples: Sequence[Sample],
    view: View,
    folder: Path,
    *,
    layers: Sequence[int] = (),
    batch_size: int = 8,
    shard_bytes: int = SHARD_BYTES,
    say: Callable[[str], None] = lambda _: None,
) -> None:
    """Compute and store the states of `samples`; continues after the last complete shard of a killed call.

    Args:
        model: the teacher, a text model (`CausalLM`).
        samples: with their responses. Stored samples with the same tokens are skipped.
        view: what the teacher sees.
        folder: may hold a part of the same cache.
        layers: layers to store, from 1, beside the last one.
        batch_size: samples per forward pass; changes nothing but rounding.
        shard_bytes: size of the states in memory before they are written.
        say: receives the predicted size, and how much is stored already.

    Raises `InputError` if the disk is too small, the folder holds states of another teacher, view or layers, or the
    teacher is not a text model.
    """
    if not isinstance(model.family, CausalLM):
        raise InputError(f"{model.family.name} is no text model: its states cannot be stored", file=model.origin[0])
    live = LiveTeacher(model)
    size = predict_size(model, samples, view, layers)
    say(f"states of {model.origin[0]} under {view}: {size}")
    stored = _stored(layers, model.family.depth)
    wants = Wants(layers=frozenset(stored))
    folder.mkdir(parents=True, exist_ok=True)
    _describe(model, folder, view, stored)
    with Store(folder / INDEX, StoredStates, durable=True) as index:
        found = dict(_layouts(model, samples, view))
        _name_whole_shard(folder, index, found)
        todo = {key for key in found if key not in index}
        if len(todo) < size.samples:
            say(f"{size.samples - len(todo)} samples are there already")
        _check_room(folder, size, len(todo))
        shard = _Shard(folder, index, shard_bytes)
        # Batches are those of an undisturbed call, because states depend on their batch in rounding.
        for batch in in_chunks(list(found), batch_size):
            if todo.isdisjoint(batch):
                continue
            states = live.states(live.collate([found[key][0] for key in batch], view), wants)
            assert states.layers is not None
            kept = states.layers[list(stored)].cpu()
            counts = [len(found[key][1].response) for key in batch]
            for key, part in zip(batch, kept.split(counts, dim=1), strict=True):
                if key in todo:
                    shard.add(_entry(*found[key], shard.name), part)
        shard.write()


def _name_whole_shard(folder: Path, index: Store[StoredStates], found: Mapping[str, tuple[Sample, Layout]]) -> None:
    """Complete the index after a kill that came between the entries of the last shard."""
    names = [record.shard for record in index]
    if not names or not (folder / names[-1]).is_file():
        return
    with safe_open(folder / names[-1], framework="pt") as shard:
        held = set(shard.keys())
    for key, (sample, layout) in found.items():
        if key in held and key not in index:
            index.append(_entry(sample, layout, names[-1]))


def _entry(sample: Sample, layout: Layout, shard: str) -> StoredStates:
    return StoredStates(
        item=sample.key,
        ids_sha256=hash_ids(layout.ids),
        response_sha256=hash_ids([layout.ids[i] for i in layout.response]),
        tokens=len(layout.response),
        shard=shard,
    )


def _layouts(model: OmniModel, samples: Sequence[Sample], view: View) -> Iterator[tuple[str, tuple[Sample, Layout]]]:
    """(key, (sample, layout)) of each sample."""
    for sample in samples:
        layout = model.layouts.build(sample, view, answers=True)
        if not layout.response:
            raise InputError("the response has no tokens", record=sample.key)
        yield f"{sample.key}|{hash_ids(layout.ids)}", (sample, layout)


def _stored(layers: Sequence[int], depth: int) -> tuple[int, ...]:
    if wrong := [layer for layer in layers if not 1 <= layer <= depth]:
        raise InputError(f"the teacher has layers 1 to {depth}, not {wrong[0]}")
    return tuple(sorted({*layers, depth}))


def _describe(model: OmniModel, folder: Path, view: View, stored: tuple[int, ...]) -> None:
    """Write everything but the states. The teacher's identity comes first, so that a mistake costs nothing."""
    family = model.family
    dtype = str(family.head_weight.dtype).removeprefix("torch.")
    CacheDescription(model.origin[0], _hash_weights(model), view, stored, dtype).write(folder)
    family.model.config.save_pretrained(folder / TEACHER)
    family.model.generation_config.save_pretrained(folder / TEACHER)
    family.tokenizer.save_pretrained(folder / TEACHER)
    tensors = {f"norm.{name}": value.contiguous().cpu() for name, value in family.final_norm.state_dict().items()}
    _save({"head": family.head_weight.detach().contiguous().cpu(), **tensors}, folder / HEAD)


def _hash_weights(model: OmniModel) -> str:
    total = hashlib.sha256()
    for name, parameter in model.base.named_parameters():
        total.update(name.encode())
        total.update(parameter.detach().cpu().contiguous().flatten().view(torch.uint8).numpy().data)
    return total.hexdigest()


def _check_room(folder: Path, size: CacheSize, todo: int) -> None:
    """Raise `InputError` if the missing states do not fit on the disk."""
    needed = size.states_bytes * todo // max(size.samples, 1)
    free = shutil.disk_usage(folder).free
    if needed > free:
        what = f"the states take {needed / 2**30:.3g} GiB and the disk has {free / 2**30:.3g} GiB left"
        raise InputError(what, file=folder, remedy="store fewer layers, or choose another disk")


class _Shard:
    """States that are not yet on disk. The index names a shard only after it is completely written."""

    def __init__(self, folder: Path, index: Store[StoredStates], limit: int) -> None:
        self._folder, self._index, self._limit = folder, index, limit
        self._number = len({record.shard for record in index})
        self._tensors: dict[str, Tensor] = {}
        self._entries: list[StoredStates] = []
        self._bytes = 0

    @property
    def name(self) -> str:
        """The file of the next states."""
        return f"shard-{self._number:05d}.safetensors"

    def add(self, entry: StoredStates, states: Tensor) -> None:
        """Take (S, N, H) states; write the shard when it is full."""
        self._entries.append(entry)
        self._tensors[entry.key] = states.contiguous()
        self._bytes += states.numel() * states.element_size()
        if self._bytes >= self._limit:
            self.write()

    def write(self) -> None:
        if not self._entries:
            return
        _save(self._tensors, self._folder / self._entries[0].shard)
        for entry in self._entries:
            self._index.append(entry)
        self._number, self._bytes = self._number + 1, 0
        self._tensors.clear()
        self._entries.clear()


def _save(tensors: dict[str, Tensor], path: Path) -> None:
    """Write tensors atomically and durably."""
    temporary = path.with_name(f".{path.name}{PART}")
    try:
        save_file(tensors, temporary)
        with temporary.open("rb") as file:
            os.fsync(file.fileno())
        temporary.replace(path)
    except (OSError, SafetensorError) as error:
        temporary.unlink(missing_ok=True)
        raise InputError(f"cannot write: {error}", file=path, remedy="make room, then run again to continue") from error
