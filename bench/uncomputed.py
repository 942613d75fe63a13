"""Runs steps of models of any size without their weights: computes everything that shapes depend on, and nothing else.

Weights, and everything computed from them, are on torch's meta device: they have a shape and a type, but no values.
Ids, masks, positions and waveforms are real tensors, so code that depends on masks or numbers of tokens runs as usual.
Counted are the operations of a pass (torch's `FlopCounterMode`, which sees each dispatched product, also in custom
functions and recomputed parts) and the bytes that are saved for its backward pass.

Two things are replaced, so that the count is that of a GPU: attention by torch's memory-efficient kernel, which stores
no map and recomputes the scores in its backward pass, and the tiles of the divergence. The meta device has no autocast,
so its casts to bfloat16 are made here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any, Final
from unittest import mock

import torch
from torch import Tensor
from torch.nn import functional as F
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import FlopCounterMode

from earwise.distil.divergence import Tiling

GPU_TILING: Final = Tiling.for_device(torch.device("cuda"))
_aten = torch.ops.aten


@dataclass
class Counted:
    """The cost of one step."""

    flops: int
    """Two operations for each multiply-add of matrices."""
    saved_bytes: int
    """Bytes of all tensors saved for the backward pass, without weights and casts of weights; each storage once."""


def counted(step: Callable[[], object], weights: Iterable[Tensor] = ()) -> Counted:
    """Run `step`; returns its cost, forward and backward.

    Args:
        step: a forward and a backward pass of a model on the meta device. Its batch may be anywhere.
        weights: not counted among the saved tensors.
    """
    saved = _Saved(weights)
    with (
        FlopCounterMode(display=False) as counter,
        _Uncomputed(saved),
        _LikeOnGpu(),
        mock.patch.object(torch, "autocast", _Autocast),
        mock.patch.object(Tiling, "for_device", return_value=GPU_TILING),
        torch.autograd.graph.saved_tensors_hooks(saved.keep, lambda tensor: tensor),
    ):
        step()
    return Counted(counter.get_total_flops(), saved.bytes)


@dataclass
class _Saved:
    """The storages saved for a backward pass."""

    weights: Iterable[Tensor]
    kept: dict[int, Tensor] = field(default_factory=dict)
    """By storage; kept alive, so that no storage is reused."""

    def __post_init__(self) -> None:
        self.known = {_storage(weight): weight for weight in self.weights}

    def keep(self, tensor: Tensor) -> Tensor:
        """Note a saved tensor."""
        if _storage(tensor) not in self.known:
            self.kept[_storage(tensor)] = tensor
        return tensor

    def cast(self, weight: Tensor, copy: Tensor) -> None:
        """A copy of a weight in another type also counts as a weight."""
        if _storage(weight) in self.known:
            self.known[_storage(copy)] = copy

    @property
    def bytes(self) -> int:
        """Total size."""
        return sum(tensor.untyped_storage().nbytes() for tensor in self.kept.values())


def _storage(tensor: Tensor) -> int:
    return int(tensor.untyped_storage()._cdata)


class _Uncomputed(TorchDispatchMode):
    """Computes operations without meta tensors, and only follows shapes and types of the others."""

    def __init__(self, saved: _Saved) -> None:
        super().__init__()
        self.saved = saved

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        if not _on_meta(args) and not _on_meta(kwargs.values()):
            if str(kwargs.get("device")) == "meta":  # such values are still needed
                kwargs = {**kwargs, "device": torch.device("cpu")}
            return func(*args, **kwargs)
        if func is _aten.index.Tensor:
            args = (args[0], _places(args[1]))
        if func is _aten.masked_scatter_backward.default:  # the size needs the mask's values
            return args[0].new_empty(args[2])
        args = tuple(_to_meta(value) for value in args)
        out = func(*args, **{name: _to_meta(value) for name, value in kwargs.items()})
        if func is _aten._to_copy.default:
            self.saved.cast(args[0], out)
        return out


def _places(indices: Iterable[Tensor | None]) -> list[Tensor | None]:
    """`indices` with masks replaced by the places where they are True, because their number decides on a shape."""
    places: list[Tensor | None] = []
    for index in indices:
        places += index.nonzero().unbind(1) if index is not None and index.dtype == torch.bool else [index]
    return places


def _on_meta(values: Iterable[Any]) -> bool:
    return any(
        (isinstance(one, Tensor) and one.is_meta) or (isinstance(one, list | tuple) and _on_meta(one)) for one in values
    )


def _to_meta(value: Any) -> Any:
    if isinstance(value, Tensor):
        return value if value.is_meta else torch.empty_strided(
            value.shape, value.stride(), dtype=value.dtype, device="meta"
        )  # fmt: skip
    return [_to_meta(one) for one in value] if isinstance(value, list | tuple) else value


class _Autocast:
    """Replaces `torch.autocast` while a step is counted: bfloat16, or off, inside the block."""

    on = False

    def __init__(self, device: str, dtype: torch.dtype | None = None, enabled: bool = True) -> None:
        self.wanted, self.before = enabled, False

    def __enter__(self) -> None:
        self.before, _Autocast.on = _Autocast.on, self.wanted

    def __exit__(self, *_: object) -> None:
        _Autocast.on = self.before


_PRODUCTS: Final = {F.linear, F.conv1d, torch.conv1d, torch.matmul, Tensor.matmul, Tensor.__matmul__, torch.bmm}


class _LikeOnGpu(TorchFunctionMode):
    """One attention kernel, products in bfloat16 under autocast, and small tensors with values."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        if func is torch.tensor:
            kwargs = {**kwargs, "device": None}
        elif func is F.scaled_dot_product_attention and args[0].is_meta:
            return _attention(*map(_narrow, args), **kwargs)
        elif _Autocast.on and func in _PRODUCTS and _on_meta(args):
            args = tuple(map(_narrow, args))
        return func(*args, **kwargs)


def _narrow(value: Any) -> Any:
    float32 = isinstance(value, Tensor) and value.dtype == torch.float32
    return value.to(torch.bfloat16) if _Autocast.on and float32 else value


def _attention(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attn_mask: Tensor | None = None,
    dropout_p: float = 0.0,
    is_causal: bool = False,
    scale: float | None = None,
    enable_gqa: bool = False,
) -> Tensor:
    batch, heads, length, width = query.shape
    groups = heads // key.shape[1]
    if enable_gqa and groups > 1:  # heads of a group share keys without a copy
        query = query.unflatten(1, (-1, groups)).flatten(0, 1)
        key, value = (part.flatten(0, 1)[:, None].expand(-1, groups, -1, -1) for part in (key, value))
    bias = None
    if attn_mask is not None:  # torch converts a boolean mask at every call
        mask = query.new_empty(attn_mask.shape) if attn_mask.dtype == torch.bool else attn_mask.to(query.dtype)
        bias = mask.expand(*query.shape[:3], key.shape[2])
    kernel = _aten._scaled_dot_product_efficient_attention
    out = kernel(query, key, value, bias, True, dropout_p, is_causal, scale=scale)[0]
    return out.reshape(batch, heads, length, width)
