"""Attention of chosen rows, computed beside the decoder's own attention and summed by kind of key at once.

`tapped` gets the queries after the rotary embedding and the keys of cache and pass (`models/tapping.py`) and computes
the requested rows from them. The model's output is the same, bit for bit, and no additional attention map is stored.

Shapes: B samples, L tokens of the pass, C keys (cached ones first), R rows of a probe, H query heads, G groups of them
per key head, D head width.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from transformers import PreTrainedModel

from earwise.errors import EarwiseError
from earwise.models.tapping import attention_layers, hide_unseen, tapping

ROWS_AT_ONCE = 32
"""Rows of one sample that are computed at the same time, as (H, ROWS_AT_ONCE, C) float32."""


@dataclass(frozen=True)
class Probe:
    """The requested rows of one sample."""

    sample: int
    """Row of the batch."""
    rows: Tensor
    """(R,) attending tokens, counted from the first token of the pass (without the cached ones)."""
    kinds: Tensor
    """(C,) kind of every key, as a number from 0."""


class Taps:
    """Results of the probes, layer by layer; filled by one pass of the decoder."""

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
        """Indices of layers without a pass yet."""
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
            hide_unseen(scores[None], mask, [probe.sample], rows[None], query.shape[1])
            attention = scores.softmax(-1).mean((0, 1))
            shares.append(attention @ one_hot)
            received += attention.sum(0)
        return torch.cat(shares), received / len(probe.rows)


@contextmanager
def tapped(
    decoder: PreTrainedModel, probes: Sequence[Probe], num_kinds: int, layers: Sequence[int] | None = None
) -> Iterator[Taps]:
    """Tap the attention of `layers` (all when None) of `decoder` during the one pass that runs inside the block.

    Raises `InputError` for a layer that is not there and for an attention implementation other than eager and SDPA,
    `EarwiseError` if the block ends without a pass through every layer.
    """
    chosen = attention_layers(decoder, layers)
    taps = Taps(probes, num_kinds, chosen)
    with tapping(decoder, chosen, taps.take):
        yield taps
    if taps.missing:
        raise EarwiseError(f"no attention passed through {len(taps.missing)} of {len(chosen)} tapped layers")
