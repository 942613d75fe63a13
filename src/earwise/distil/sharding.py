"""FSDP2 as `accelerate` does it, fitted to what is trained here: a large frozen base with something small added to it.

Each decoder layer is one unit, gathered when it runs; everything else that lies in the model is one more unit. The head
and the embeddings stay whole in every process: losses are computed from the head's weight, outside of the model's own
forward pass.

Checkpoints hold whole tensors, as those of one process do, so that a training can be resumed on another number of
processes, with or without FSDP2.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final, cast

from accelerate import Accelerator
from accelerate.state import AcceleratorState
from accelerate.utils import DistributedType, FullyShardedDataParallelPlugin, parse_flag_from_env
from torch import Tensor, nn
from torch.distributed.fsdp import FSDPModule, register_fsdp_forward_method
from torch.distributed.fsdp.wrap import transformer_auto_wrap_policy
from torch.distributed.tensor import DTensor, distribute_tensor

from earwise.errors import InputError
from earwise.models.omni import OmniModel

_TOGETHER: Final = "begin_together"
"""Name of a method that does nothing, but counts as a forward pass of the whole model."""


def allow_on_cpus(state: AcceleratorState) -> None:
    """Take FSDP on CPUs where the launcher asks for it: `accelerate` knows it on accelerators alone, and would train
    with DDP without a word.
    """
    if state.distributed_type is DistributedType.MULTI_CPU and parse_flag_from_env("ACCELERATE_USE_FSDP"):
        state.fsdp_plugin = FullyShardedDataParallelPlugin()
        state.distributed_type = DistributedType.FSDP


def shard_base(plugin: FullyShardedDataParallelPlugin, model: nn.Module) -> None:
    """Set `plugin` up for `model`. Raises `InputError` for what cannot be trained in shards."""
    if plugin.fsdp_version != 2:
        raise _refused(f"FSDP version {plugin.fsdp_version} is not supported", "set fsdp_version to 2")
    if plugin.activation_checkpointing:
        raise _refused("activation checkpointing drops the keys and values of a shared prefix", "turn it off")
    if not isinstance(model, OmniModel) or any(
        p.requires_grad for part in _kept_whole(model) for p in part.parameters()
    ):
        remedy = "train it without FSDP: small models are what is trained whole"
        raise _refused("FSDP2 shards a frozen base, and here all of the model is trained", remedy)
    plugin.auto_wrap_policy = transformer_auto_wrap_policy
    layers = cast(nn.ModuleList, model.family.backbone.layers)
    plugin.transformer_cls_names_to_wrap = sorted({type(layer).__name__ for layer in layers})
    plugin.ignored_modules = list(_kept_whole(model))
    plugin.cpu_ram_efficient_loading = False  # Every process has read the checkpoint by itself.
    plugin.mixed_precision_policy = None  # Mixed precision is autocast, as everywhere else: weights are not cast.


def _refused(what: str, remedy: str) -> InputError:
    return InputError(what, file="accelerate's configuration", remedy=remedy)


def _kept_whole(model: OmniModel) -> Iterator[nn.Module]:
    """Modules that hold the head and the input embeddings."""
    yield model.base.get_input_embeddings()
    for module in model.base.modules():
        if getattr(module, "weight", None) is model.family.head_weight:
            yield module


def autocast_forward(model: nn.Module, accelerator: Accelerator) -> None:
    """Run the forward pass in mixed precision where it is asked for: `accelerate` leaves that to FSDP2's casts of
    weights.
    """
    forward = model.forward

    def in_autocast(*args: Any, **kwargs: Any) -> Any:
        with accelerator.autocast():
            return forward(*args, **kwargs)

    model.forward = in_autocast


def whole(tensor: Tensor) -> Tensor:
    """`tensor`, put together from all processes if it lies in shards: every process must ask for it."""
    return tensor.full_tensor() if isinstance(tensor, DTensor) else tensor


def laid_out_as(tensor: Tensor, like: Tensor) -> Tensor:
    """This process's shard of `tensor`, which all processes have, in the layout of `like`."""
    if not isinstance(like, DTensor):
        return tensor
    # Without a source, each process cuts its shard out of its own copy, and nothing is sent.
    return distribute_tensor(tensor.to(like.device), like.device_mesh, like.placements, src_data_rank=None)


def whole_state(state: dict[str, Any]) -> dict[str, Any]:
    """The state of an optimiser with whole tensors."""
    return {**state, "state": {n: {k: _whole_entry(v) for k, v in of.items()} for n, of in state["state"].items()}}


def _whole_entry(value: Any) -> Any:
    return whole(value).cpu() if isinstance(value, Tensor) else value


def sharded_state(state: dict[str, Any], parameters: list[Tensor]) -> dict[str, Any]:
    """What `whole_state` gave, laid out as the parameters, which are in the order of the state."""

    def lay_out(value: Any, parameter: Tensor) -> Any:
        of_parameter = isinstance(value, Tensor) and value.shape == parameter.shape and value.dim() > 0
        return laid_out_as(value, parameter) if of_parameter else value

    laid_out = {n: {k: lay_out(v, parameters[n]) for k, v in of.items()} for n, of in state["state"].items()}
    return {**state, "state": laid_out}


@contextmanager
def whole_for_asking(model: nn.Module) -> Iterator[None]:
    """Inside, each process has all weights of `model` and can ask it by itself: how many words an answer takes differs
    from process to process, and a gathering of shards would wait for the others at each. It takes the memory of the
    whole model meanwhile. All processes must enter; a model without shards is left as it is.
    """
    parts = _shards(model)
    if not parts:
        yield
        return
    if not hasattr(model, _TOGETHER):
        setattr(model, _TOGETHER, _nothing)
        register_fsdp_forward_method(model, _TOGETHER)
    # FSDP2 takes the module whose pass is the first one of all for the root: it must not be a single layer.
    getattr(model, _TOGETHER)()
    for part in parts:
        part.set_reshard_after_forward(False, recurse=False)
        part.unshard()
    try:
        yield
    finally:
        usual = bool(AcceleratorState().fsdp_plugin.reshard_after_forward)
        for number, part in enumerate(parts):
            part.set_reshard_after_forward(usual and number > 0, recurse=False)  # the root keeps its own until backward
            part.reshard()


def _nothing() -> None:
    pass


def reshard(model: nn.Module) -> None:
    """Let go of what was gathered for a pass: the next one gathers the weights as they are then."""
    for part in _shards(model):
        part.reshard()


def _shards(model: nn.Module) -> list[FSDPModule]:
    """Units of a model in shards, the whole model first."""
    return [part for part in model.modules() if isinstance(part, FSDPModule)]


@contextmanager
def whole_for_saving(model: nn.Module) -> Iterator[None]:
    """Inside, what is trained is whole, and the ears are, so that they can be saved; then they lie in shards again. All
    processes must enter.
    """
    sharded = [(module, name, getattr(module, name)) for module, name in _trained_in_shards(model)]
    _gather(sharded)
    try:
        yield
    finally:
        for module, name, parameter in sharded:
            setattr(module, name, parameter)


def gather_trained(model: nn.Module) -> None:
    """Make what was trained whole again, and the ears with it: they are saved next. The base stays in its shards."""
    _gather([(module, name, getattr(module, name)) for module, name in _trained_in_shards(model)])


def _gather(parameters: list[tuple[nn.Module, str, DTensor]]) -> None:
    for module, name, parameter in parameters:
        setattr(module, name, nn.Parameter(parameter.full_tensor().detach(), requires_grad=parameter.requires_grad))


def _trained_in_shards(model: nn.Module) -> list[tuple[nn.Module, str]]:
    """Where parameters lie in shards that are trained, or of the ears."""
    ears = (
        {id(p) for p in model.ears.parameters()} if isinstance(model, OmniModel) and model.ears is not None else set()
    )
    return [
        (module, name)
        for module in model.modules()
        for name, parameter in module.named_parameters(recurse=False)
        if isinstance(parameter, DTensor) and (parameter.requires_grad or id(parameter) in ears)
    ]
