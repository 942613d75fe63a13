"""Attention of chosen rows, computed beside the decoder's own attention and summed by kind of key at once.

`tapped` stands between the decoder's attention layers and the attention function that they call (plain or SDPA): it is
given the queries after the rotary embedding and the keys of cache and pass, computes the asked rows from them, and
calls the function as it would have been called. The model's output is therefore the same, bit for bit, and no whole
attention map exists that the model does not make itself.

Shapes: B samples, L tokens of the pass, C keys (cached ones first), R rows of a probe, H query heads, G groups of them
per key head, D head width.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, cast

import torch
from torch import Tensor, nn
from transformers import PreTrainedModel

from earwise.errors import EarwiseError, InputError

ROWS_AT_ONCE = 32
"""Rows of one sample whose attention exists at the same time, as (H, ROWS_AT_ONCE, C) float32."""

_IMPLEMENTATIONS = ("eager", "sdpa")


@dataclass(frozen=True)
class Probe:
    """Rows of one sample that are asked for."""

    sample: int
    """Row of the batch."""
    rows: Tensor
    """(R,) attending tokens, counted from the first token of the pass (without the cached ones)."""
    kinds: Tensor
    """(C,) kind of every key, as a number from 0."""


class Taps:
    """What the probes have found, layer by layer; filled by one pass of the decoder."""

    def __init__(self, probes: Sequence[Probe], num_kinds: int, layers: Sequence[nn.Module]) -> None:
        self.probes, self.num_kinds = probes, num_kinds
        self._order = layers
        self._shares: dict[nn.Module, list[Tensor]] = {}
        self._received: dict[nn.Module, list[Tensor]] = {}

    def shares(self, probe: int) -> Tensor:
        """(layers, R, kinds) share of each row's attention that each kind of key takes, mean over heads; float32."""
        return torch.stack([self._shares[layer][probe] for layer in self._order])

    def received(self, probe: int) -> Tensor:
        """(layers, C) share of all attention of the probe's rows that each key takes, mean over heads; float32."""
        return torch.stack([self._received[layer][probe] for layer in self._order])

    @property
    def missing(self) -> list[int]:
        """Places in the list of layers whose attention has not passed through."""
        return [n for n, layer in enumerate(self._order) if layer not in self._shares]

    @torch.no_grad()
    def take(self, layer: nn.Module, query: Tensor, key: Tensor, mask: Tensor | None, scaling: float) -> None:
        """Compute all probes of one layer. `query` is (B, H, L, D), `key` (B, H / G, C, D), both after the rotary
        embedding; `mask` is (B or 1, 1, L, C), True where a row sees a key or added to the scores, or None for causal.
        """
        if layer in self._shares:
            raise EarwiseError("a tap holds one pass: open a new one for the next")
        self._shares[layer], self._received[layer] = [], []
        for probe in self.probes:
            shares, received = self._probe(probe, query[probe.sample], key[probe.sample], mask, scaling)
            self._shares[layer].append(shares)
            self._received[layer].append(received)

    def _probe(
        self, probe: Probe, query: Tensor, key: Tensor, mask: Tensor | None, scaling: float
    ) -> tuple[Tensor, Tensor]:
        """Shares (R, kinds) and received attention (C,) of one sample's rows, `ROWS_AT_ONCE` at a time."""
        shares = []
        received = torch.zeros(key.shape[1], device=key.device)
        keys = key.float().transpose(-1, -2)  # (H / G, D, C): the heads of a group share it, so it is never repeated
        one_hot = nn.functional.one_hot(probe.kinds.to(key.device), self.num_kinds).float()
        for rows in probe.rows.to(key.device).split(ROWS_AT_ONCE):
            asked = query[:, rows].float().reshape(keys.shape[0], -1, keys.shape[1])  # (H / G, G * r, D)
            scores = (asked @ keys).mul_(scaling).unflatten(1, (-1, len(rows)))  # (H / G, G, r, C)
            attention = _hide(scores, mask, probe.sample, rows, query.shape[1]).softmax(-1).mean((0, 1))
            shares.append(attention @ one_hot)
            received += attention.sum(0)
        return torch.cat(shares), received / len(probe.rows)


def _hide(scores: Tensor, mask: Tensor | None, sample: int, rows: Tensor, length: int) -> Tensor:
    """`scores` (H / G, G, r, C) of keys that a row does not see become negligible; works in place."""
    if mask is None:  # the attention function goes by causality alone: the pass is the last `length` of all tokens
        columns = torch.arange(scores.shape[-1], device=scores.device)
        return scores.masked_fill_(columns > rows[:, None] + (scores.shape[-1] - length), float("-inf"))
    own = mask[sample if mask.shape[0] > 1 else 0, 0][rows, : scores.shape[-1]]
    return scores.masked_fill_(~own, float("-inf")) if own.dtype == torch.bool else scores.add_(own)


@contextmanager
def tapped(
    decoder: PreTrainedModel, probes: Sequence[Probe], num_kinds: int, layers: Sequence[int] | None = None
) -> Iterator[Taps]:
    """Tap the attention of `layers` (all when None) of `decoder` during the one pass that runs inside the block.

    The tap is put in for the whole process, as Hugging Face keeps its attention functions in one table, and passes
    everything but these layers on untouched. Raises `InputError` for a layer that is not there and for an attention
    implementation other than eager and SDPA, `EarwiseError` if the block ends without a pass through every layer.
    """
    name = str(decoder.config._attn_implementation)
    if name not in _IMPLEMENTATIONS:
        raise InputError(
            f"attention cannot be tapped in the implementation {name!r}",
            remedy=f"load the model with {' or '.join(_IMPLEMENTATIONS)}",
        )
    chosen = attention_layers(decoder, layers)
    taps = Taps(probes, num_kinds, chosen)
    table = _scope(chosen[0])["ALL_ATTENTION_FUNCTIONS"]
    before = table.get(name)
    table[name] = _tapping(before, taps, set(chosen))
    try:
        yield taps
    finally:
        del table[name]
        if table.get(name) is not before:  # another tap is open around this one
            table[name] = before
    if taps.missing:
        raise EarwiseError(f"no attention passed through {len(taps.missing)} of {len(chosen)} tapped layers")


def attention_layers(decoder: PreTrainedModel, layers: Sequence[int] | None = None) -> list[nn.Module]:
    """The attention modules of the decoder's layers, or of those named by number from 0."""
    every = [cast(nn.Module, layer.self_attn) for layer in cast(nn.ModuleList, decoder.layers)]
    for number in layers or ():
        if not 0 <= number < len(every):
            raise InputError(f"there is no layer {number}", remedy=f"the decoder has layers 0 to {len(every) - 1}")
    return every if layers is None else [every[number] for number in layers]


def _tapping(before: Callable | None, taps: Taps, chosen: set[nn.Module]) -> Callable:
    """The attention function `before` with a tap on the layers of `chosen`.

    Plain attention is in no table: each file passes its own as a default, so that is what is called in its place, for
    other modules too (a vision tower that looks up the same name).
    """

    def attend(
        module: nn.Module, query: Tensor, key: Tensor, value: Tensor, attention_mask: Tensor | None, **options: Any
    ) -> Any:
        if module in chosen:
            taps.take(module, query, key, attention_mask, options["scaling"])
        function = before or _scope(module)["eager_attention_forward"]
        return function(module, query, key, value, attention_mask, **options)

    return attend


def _scope(attention: nn.Module) -> dict[str, Any]:
    """Names in the file of an attention class: its table of attention functions, and its plain one."""
    return inspect.unwrap(type(attention).forward).__globals__
