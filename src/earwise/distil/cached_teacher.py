"""A teacher whose states were stored beforehand: the loss of the live one, without its weights.

Shapes: S stored layers, K layers + 1, N response tokens, H width, V vocabulary.
"""

from __future__ import annotations

import copy
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Self

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file
from torch import Tensor, nn
from transformers import PreTrainedTokenizerBase

from earwise.distil.skeleton import skeleton
from earwise.distil.teacher_cache import DESCRIPTION, HEAD, INDEX, TEACHER, CacheDescription, StoredStates, hash_ids
from earwise.distil.teachers import ANOTHER_MODEL, Lack, LiveTeacher, Shape, TaughtBatch, Teacher
from earwise.errors import InputError
from earwise.models.layout import LayoutBuilder
from earwise.models.omni import OmniModel
from earwise.models.sample import Sample
from earwise.models.states import States, Wants
from earwise.records import View
from earwise.work.store import read_store

_OPEN_SHARDS: Final = 64


@dataclass
class StoredBatch:
    """Stored states of some samples."""

    stored: Tensor
    """(S, N, H)"""
    targets: Tensor
    """(N,) the response tokens."""

    def to(self, device: torch.device | str) -> Self:
        """Move the tensors to `device`."""
        self.stored, self.targets = self.stored.to(device), self.targets.to(device)
        return self


class CachedTeacher:
    """Reads a folder that `write_cache` filled.

    Every sample is laid out again with the teacher's own tokenizer. Its tokens must be those that the states were
    computed from: stale states are an error.

    Args:
        folder: the cache.
        device: where losses are computed.
    """

    def __init__(self, folder: Path, device: torch.device | str = "cpu") -> None:
        self.folder = folder
        self.description = CacheDescription.read(folder)
        self._family = skeleton(str(folder / TEACHER))
        self._layouts = LayoutBuilder(self._family, None)
        tensors = load_file(folder / HEAD, device=str(device))
        self._head = tensors.pop("head")
        self._norm = copy.deepcopy(self._family.final_norm).to_empty(device=device)
        self._norm.load_state_dict({name.removeprefix("norm."): value for name, value in tensors.items()}, assign=True)
        self._norm.requires_grad_(False)
        self._index = {record.key: record for record in read_store(folder / INDEX, StoredStates)}
        self._items = {record.item for record in self._index.values()}
        self._shards: OrderedDict[str, Any] = OrderedDict()

    @property
    def tokenizer(self) -> PreTrainedTokenizerBase:
        """The teacher's tokenizer."""
        return self._family.tokenizer

    @property
    def shape(self) -> Shape:
        """The teacher's decoder, with the layers that are stored."""
        return Shape(self._family.depth, self._head.shape[1], frozenset(self.description.layers))

    @property
    def head(self) -> Tensor:
        """(V, H) output projection."""
        return self._head

    @property
    def vocabulary(self) -> int:
        """Rows of the head that belong to tokens."""
        return min(len(self.tokenizer), len(self._head))

    @property
    def norm(self) -> nn.Module:
        """The decoder's final norm."""
        return self._norm

    def collate(self, samples: Sequence[Sample], view: View) -> StoredBatch:
        """States of `samples`. Raises `InputError` for another view than the stored one, and for a sample whose states
        are not stored or are stale.
        """
        if view != self.description.view:
            what = f"holds states under {self.description.view!r}, not {view!r}"
            raise InputError(what, file=self.folder, remedy="store the states of this view in another folder")
        stored, targets = [], []
        for sample in samples:
            layout = self._layouts.build(sample, view, answers=True)
            entry = self._index.get(f"{sample.key}|{hash_ids(layout.ids)}")
            if entry is None:
                self._refuse(sample)
            assert entry is not None
            stored.append(self._read(entry))
            targets += [layout.ids[i] for i in layout.response]
        return StoredBatch(torch.cat(stored, dim=1), torch.tensor(targets, dtype=torch.long))

    def _refuse(self, sample: Sample) -> None:
        stale = sample.key in self._items
        what = "its description, question, template or response changed since" if stale else "not among them"
        remedy = "store the states of these items: what is there is kept"
        raise InputError(f"no stored states for this item: {what}", file=self.folder, record=sample.key, remedy=remedy)

    def _read(self, entry: StoredStates) -> Tensor:
        """(S, N, H)"""
        path = self.folder / entry.shard
        try:
            if entry.shard not in self._shards:
                self._shards[entry.shard] = safe_open(path, framework="pt")
            self._shards.move_to_end(entry.shard)
            if len(self._shards) > _OPEN_SHARDS:
                self._shards.popitem(last=False)
            states: Tensor = self._shards[entry.shard].get_tensor(entry.key)
        except (OSError, SafetensorError) as error:
            remedy = f"delete it and its lines of {INDEX}, then store the states again"
            raise InputError(f"cannot read stored states: {error}", file=path, remedy=remedy) from None
        return states

    def lacks(self, wants: Wants) -> Lack | None:
        """Everything but the stored layers at the response tokens."""
        if wants.attention is not None:
            return ANOTHER_MODEL
        if wants.audio or wants.inputs:
            what = "reads what a teacher hears, and stored states are those of a text model"
            return Lack(what, "name a model that hears in place of the stored states")
        if missing := sorted(wants.layers - {*self.description.layers}):
            what = f"reads layers {', '.join(map(str, missing))} of the teacher, which are not stored"
            return Lack(what, "store the states of these layers, too")
        return None

    def states(self, batch: TaughtBatch, wants: Wants) -> States:
        """The same as a live teacher's. Layers that are not stored hold NaN; `lacks` reports the terms that would read
        them.
        """
        assert isinstance(batch, StoredBatch)
        hidden = batch.stored[-1]
        every = None
        if wants.layers:
            every = hidden.new_full((self._family.depth + 1, *hidden.shape), float("nan"))
            every[list(self.description.layers)] = batch.stored
        return States(hidden, every, batch.targets)


def open_teacher(
    name: str, *, dtype: torch.dtype = torch.float32, device: torch.device | str = "cpu", revision: str | None = None
) -> Teacher:
    """The teacher that a term names: a folder of stored states, or a model (folder or hub id) that is loaded in
    `dtype`.
    """
    if (Path(name) / DESCRIPTION).is_file():
        return CachedTeacher(Path(name), device)
    return LiveTeacher(OmniModel.from_pretrained(name, dtype=dtype, revision=revision).to(device))
