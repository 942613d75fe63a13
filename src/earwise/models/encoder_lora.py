"""LoRA in an audio encoder (Hu et al., arXiv 2106.09685), through `peft`: merged when ears are saved, so that whatever
reads ears knows nothing of it.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from earwise.errors import InputError
from earwise.models.lora import check_peft

_BASE, _UPDATES = "base_layer", "lora_"
"""Where `peft` puts the layer that it replaces, and how the names of its own tensors begin."""


def add_lora(encoder: nn.Module, rank: int, alpha: int, targets: Sequence[str], *, seed: int) -> None:
    """Put updates B A x times alpha / rank beside the linear layers with one of the names `targets`; B begins at 0."""
    check_peft()
    from peft import LoraConfig, inject_adapter_in_model

    linear = {name.rpartition(".")[2] for name, module in encoder.named_modules() if isinstance(module, nn.Linear)}
    for target in targets:
        if target not in linear:
            what = f"no linear layer of the encoder is called {target!r}"
            raise InputError(what, remedy=f"targets may be {', '.join(sorted(linear))}")
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        inject_adapter_in_model(LoraConfig(r=rank, lora_alpha=alpha, target_modules=list(targets)), encoder)


def only_lora(encoder: nn.Module) -> None:
    """Of the encoder, train the updates and nothing else."""
    for name, parameter in encoder.named_parameters():
        parameter.requires_grad_(_UPDATES in name)


@torch.no_grad()
def merged_state(module: nn.Module) -> dict[str, Tensor]:
    """As `state_dict`, with every update added to the weight that it belongs to, under the weight's own name."""
    state = dict(module.state_dict())
    for name, layer in module.named_modules():
        if hasattr(layer, _BASE):
            state[f"{name}.{_BASE}.weight"] = layer.base_layer.weight + layer.get_delta_weight("default")
    kept = {name: value for name, value in state.items() if _UPDATES not in name}
    return {name.replace(f".{_BASE}.", "."): value for name, value in kept.items()}
