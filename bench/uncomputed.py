"""Steps of models of any size without their weights: what shapes depend on is computed, the rest is not.

Weights, and whatever comes of them, are fake tensors (`torch._subclasses.FakeTensorMode`): they have a shape and a type
and no values. Ids, masks, positions and waveforms are real ones, so code that chooses by a mask or asks how many tokens
there are runs as it always does. Counted are the operations of a pass (torch's `FlopCounterMode`, which sees each
product that is dispatched, inside custom functions and in recomputed parts, too) and the bytes that are saved for its
backward pass.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensor, FakeTensorMode
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import FlopCounterMode

_FAKE = FakeTensorMode()
_CPU = torch.device("cpu")
_aten = torch.ops.aten


def without_values(module: nn.Module) -> None:
    """Make the parameters and buffers of `module`, which are on the meta device, fake tensors of the CPU, in place."""
    known: dict[int, Tensor] = {}
    for part in module.modules():
        for held in (part._parameters, part._buffers):
            for name, tensor in held.items():
                if tensor is None or isinstance(tensor, FakeTensor):
                    continue
                if id(tensor) not in known:  # weights that are tied stay so
                    known[id(tensor)] = _without_values(tensor)
                held[name] = known[id(tensor)]


def empty(*shape: int) -> Tensor:
    """A float32 tensor of `shape` without values."""
    return FakeTensor(_FAKE, torch.empty(shape, device="meta"), _CPU)


def _without_values(tensor: Tensor) -> Tensor:
    fake = FakeTensor(_FAKE, tensor.data, _CPU)
    return nn.Parameter(fake, tensor.requires_grad) if isinstance(tensor, nn.Parameter) else fake


@dataclass
class Counted:
    """What one step takes."""

    flops: int
    """Two operations for each multiply-add of matrices."""
    saved_bytes: int
    """Of all tensors that are saved for the backward pass, weights and casts of weights left out; each storage once."""


def counted(step: Callable[[], None], weights: Iterable[Tensor] = ()) -> Counted:
    """Run `step` on fake weights; what it takes, forward and backward.

    Args:
        step: a forward and a backward pass.
        weights: what is not counted among the saved.
    """
    saved = Saved(weights)
    with ExitStack() as modes:
        counter = modes.enter_context(FlopCounterMode(display=False))
        modes.enter_context(Uncomputed(saved))
        modes.enter_context(_Fused())
        modes.enter_context(torch.autograd.graph.saved_tensors_hooks(saved.keep, lambda tensor: tensor))
        step()
    return Counted(counter.get_total_flops(), saved.bytes)


@dataclass
class Saved:
    """The storages that a backward pass needs."""

    weights: Iterable[Tensor]
    kept: dict[int, Tensor] = field(default_factory=dict)
    """By storage; held, so that no other storage takes the place of one."""

    def __post_init__(self) -> None:
        self.known = {_storage(weight): weight for weight in self.weights}

    def keep(self, tensor: Tensor) -> Tensor:
        """Note a tensor that is saved."""
        if _storage(tensor) not in self.known:
            self.kept[_storage(tensor)] = tensor.detach()
        return tensor

    def cast(self, weight: Tensor, copy: Tensor) -> None:
        """A copy of a weight in another type is a weight."""
        if _storage(weight) in self.known:
            self.known[_storage(copy)] = copy

    @property
    def bytes(self) -> int:
        """Of all of them."""
        return sum(tensor.untyped_storage().nbytes() for tensor in self.kept.values())


def _storage(tensor: Tensor) -> int:
    return int(tensor.untyped_storage()._cdata)


class Uncomputed(TorchDispatchMode):
    """Computes what has no fake tensor in it, and only follows shapes and types of the rest."""

    def __init__(self, saved: Saved) -> None:
        super().__init__()
        self.saved = saved

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        if func is torch.ops.prim.device.default:  # two of three calls; nothing here is anywhere else
            return _CPU
        if not _has_fake(args) and not _has_fake(kwargs.values()):
            return func(*args, **kwargs)
        if func is _aten.index.Tensor:
            args = (args[0], _numbers(args[1]))
        if func is _aten.masked_scatter_backward.default and not isinstance(args[1], FakeTensor):
            return args[0].new_empty(args[2])
        args = tuple(_fake(value) for value in args)
        kwargs = {name: _fake(value) for name, value in kwargs.items()}
        with _FAKE:
            out = func(*args, **kwargs)
        if func is _aten._to_copy.default:
            self.saved.cast(args[0], out)
        return out


def _numbers(indices: Any) -> list[Tensor | None]:
    """Masks among `indices` as the places where they are True: how many there are decides on a shape."""
    places: list[Tensor | None] = []
    for index in indices:
        mask = index is not None and index.dtype in (torch.bool, torch.uint8)
        places += index.nonzero().unbind(1) if mask else [index]
    return places


def _has_fake(values: Iterable[Any]) -> bool:
    return any(isinstance(one, FakeTensor) or (isinstance(one, list | tuple) and _has_fake(one)) for one in values)


def _fake(value: Any) -> Any:
    if isinstance(value, Tensor) and not isinstance(value, FakeTensor):
        return _FAKE.from_tensor(value, static_shapes=True)
    return [_fake(one) for one in value] if isinstance(value, list | tuple) else value


class _Fused(TorchFunctionMode):
    """Attention of fake tensors by the memory-efficient kernel that a GPU takes where there is a mask: it keeps no map, and its
    backward pass makes the scores again. Without this a CPU's choice would be counted.
    """

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        if func is not torch.nn.functional.scaled_dot_product_attention or not isinstance(args[0], FakeTensor):
            return func(*args, **kwargs)
        return _efficient(*args, **kwargs)


def _efficient(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attn_mask: Tensor | None = None,
    dropout_p: float = 0.0,
    is_causal: bool = False,
    scale: float | None = None,
    enable_gqa: bool = False,
) -> Tensor:
    if torch.is_autocast_enabled("cpu"):
        query, key, value = (part.to(torch.get_autocast_dtype("cpu")) for part in (query, key, value))
    groups = query.shape[1] // key.shape[1]
    if groups > 1:  # a view: a kernel for groups of heads reads each key once
        key, value = (_grouped(part, groups) for part in (key, value))
    bias = None
    if attn_mask is not None:
        bias = query.new_empty(1).expand(*query.shape[:3], key.shape[2])  # no memory per head
    return _aten._scaled_dot_product_efficient_attention(
        query, key, value, bias, True, dropout_p, is_causal, scale=scale
    )[0]


def _grouped(part: Tensor, groups: int) -> Tensor:
    batch, heads, length, width = part.shape
    return part[:, :, None].expand(batch, heads, groups, length, width).reshape(batch, heads * groups, length, width)
