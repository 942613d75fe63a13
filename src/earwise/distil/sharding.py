"""FSDP2 through `accelerate`, adapted to a large frozen base with small trained parts.

Each decoder layer is one unit, gathered when it runs; the rest of the model is one more unit. The head and the
embeddings stay whole in every process, because losses are computed from the head's weight outside of the model's
forward pass.

Checkpoints hold whole tensors, as those of one process do. So a training run can be resumed on another number of
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
"""A method that does nothing, registered as a forward pass of the whole model."""


def allow_on_cpus(state: AcceleratorState) -> None:
    """Use FSDP on CPUs if the launcher asks for it: `accelerate` supports it on accelerators only, and would silently
    use DDP.
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
        remedy = "train it without FSDP: only small models are trained as a whole"
        raise _refused("FSDP2 shards a frozen base, but here the whole model is trained", remedy)
    plugin.auto_wrap_policy = transformer_auto_wrap_policy
    layers = cast(nn.ModuleList, model.family.backbone.layers)
    plugin.transformer_cls_names_to_wrap = sorted({type(layer).__name__ for layer in layers})
    plugin.ignored_modules = list(_kept_whole(model))
    plugin.cpu_ram_efficient_loading = False  # every process reads the checkpoint itself
    plugin.mixed_precision_policy = None  # autocast does it, as everywhere else


def _refused(what: str, remedy: str) -> InputError:
    return InputError(what, file="accelerate's configuration", remedy=remedy)


def _kept_whole(model: OmniModel) -> Iterator[nn.Module]:
    """Modules that hold the head and the input embeddings."""
    yield model.base.get_input_embeddings()
    for module in model.base.modules():
        if getattr(module, "weight", None) is model.family.head_weight:
            yield module


def autocast_forward(model: nn.Module, accelerator: Accelerator) -> None:
    """Run the forward pass under autocast: for FSDP2, `accelerate` would cast the weights instead."""
    forward = model.forward

    def in_autocast(*args: Any, **kwargs: Any) -> Any:
        with accelerator.autocast():
            return forward(*args, **kwargs)

    model.forward = in_autocast


def whole(tensor: Tensor) -> Tensor:
    """`tensor`, gathered from all processes if it is sharded; every process must call this."""
    return tensor.full_tensor() if isinstance(tensor, DTensor) else tensor


def laid_out_as(tensor: Tensor, like: Tensor) -> Tensor:
    """This process's shard of `tensor`, which all processes have, in the layout of `like`."""
    if not isinstance(like, DTensor):
        return tensor
    # Without a source rank, each process cuts its shard from its own copy, and nothing is sent.
    return distribute_tensor(tensor.to(like.device), like.device_mesh, like.placements, src_data_rank=None)


def whole_state(state: dict[str, Any]) -> dict[str, Any]:
    """An optimiser's state with whole tensors."""
    return {**state, "state": {n: {k: _whole_entry(v) for k, v in of.items()} for n, of in state["state"].items()}}


def _whole_entry(value: Any) -> Any:
    return whole(value).cpu() if isinstance(value, Tensor) else value


def sharded_state(state: dict[str, Any], parameters: list[Tensor]) -> dict[str, Any]:
    """The result of `whole_state`, sharded like the parameters, which are in the order of the state."""

    def lay_out(value: Any, parameter: Tensor) -> Any:
        of_parameter = isinstance(value, Tensor) and value.shape == parameter.shape and value.dim() > 0
        return laid_out_as(value, parameter) if of_parameter else value

    laid_out = {n: {k: lay_out(v, parameters[n]) for k, v in of.items()} for n, of in state["state"].items()}
    return {**state, "state": laid_out}


@contextmanager
def whole_for_asking(model: nn.Module) -> Iterator[None]:
    """A context in which each process has all weights of `model`, for generation. The length of an answer differs
    between processes, and gathering shards would wait for the others at every token. Takes the memory of the whole
    model. All processes must enter; a model without shards is left as it is.
    """
    parts = _shards(model)
    if not parts:
        yield
        return
    if not hasattr(model, _TOGETHER):
        setattr(model, _TOGETHER, _nothing)
        register_fsdp_forward_method(model, _TOGETHER)
    # FSDP2 takes the first module that runs for the root: it must not be a single layer.
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
    """Free the weights that were gathered for a pass; the next pass gathers the current ones."""
    for part in _shards(model):
        part.reshard()


def _shards(model: nn.Module) -> list[FSDPModule]:
    """The sharded units of a model, the whole model first."""
    return [part for part in model.modules() if isinstance(part, FSDPModule)]


@contextmanager
def whole_for_saving(model: nn.Module) -> Iterator[None]:
    """A context in which the trained weights and the ears are whole, so that they can be saved. All processes must
    enter.
    """
    sharded = [(module, name, getattr(module, name)) for module, name in _trained_in_shards(model)]
    _gather(sharded)
    try:
        yield
    finally:
        for module, name, parameter in sharded:
            setattr(module, name, parameter)


def gather_trained(model: nn.Module) -> None:
    """Make the trained weights and the ears whole for saving. The base stays sharded."""
    _gather([(module, name, getattr(module, name)) for module, name in _trained_in_shards(model)])


def _gather(parameters: list[tuple[nn.Module, str, DTensor]]) -> None:
    for module, name, parameter in parameters:
        setattr(module, name, nn.Parameter(parameter.full_tensor().detach(), requires_grad=parameter.requires_grad))


def _trained_in_shards(model: nn.Module) -> list[tuple[nn.Module, str]]:
    """(module, name) of every sharded parameter that is trained or belongs to the ears."""
    ears = (
        {id(p) for p in model.ears.parameters()} if isinstance(model, OmniModel) and model.ears is not None else set()
    )
    return [
        (module, name)
        for module in model.modules()
        for name, parameter in module.named_parameters(recurse=False)
        if isinstance(parameter, DTensor) and (parameter.requires_grad or id(parameter) in ears)
    ]
