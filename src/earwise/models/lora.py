"""LoRA in the decoder (Hu et al., arXiv 2106.09685), through `peft`, which is an optional dependency."""

from __future__ import annotations

import copy
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from safetensors.torch import load_file
from torch import Tensor, nn
from transformers import PreTrainedModel

from earwise.errors import InputError
from earwise.io.loading import check_tensors
from earwise.models.saving import save_tensors

if TYPE_CHECKING:
    from peft import LoraConfig

_WEIGHTS = "adapter_model.safetensors"
_PEFT = "base_model.model."
"""The prefix that `peft` gives the module names of a wrapped model."""


class Lora:
    """Low-rank updates of the decoder's linear layers: B A x times alpha / rank. B starts at 0, so a fresh update
    changes nothing.

    The layers are replaced in place. The files are those that `peft` writes for the whole model, so
    `PeftModel.from_pretrained` loads them onto the base as transformers reads it.
    """

    def __init__(self, backbone: PreTrainedModel, config: LoraConfig) -> None:
        from peft import inject_adapter_in_model
        from peft.tuners.lora import LoraLayer

        self.backbone = backbone
        self.config = config
        inject_adapter_in_model(config, backbone)
        self.layers = [module for module in backbone.modules() if isinstance(module, LoraLayer)]
        self.requires_grad_(False)
        for parameter in self.parameters():
            parameter.data = parameter.data.float()

    @classmethod
    def fresh(
        cls, backbone: PreTrainedModel, *, rank: int, alpha: int, dropout: float, targets: Sequence[str], seed: int
    ) -> Lora:
        """New updates of the linear layers with one of the names `targets`, with `dropout` before A."""
        check_peft()
        from peft import LoraConfig

        linear = {name.rpartition(".")[2] for name, module in backbone.named_modules() if isinstance(module, nn.Linear)}
        for target in targets:
            if target not in linear:
                what = f"no linear layer of the decoder is called {target!r}"
                raise InputError(what, remedy=f"targets may be {', '.join(sorted(linear))}")

        config = LoraConfig(r=rank, lora_alpha=alpha, lora_dropout=dropout, target_modules=list(targets))
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            return cls(backbone, config)

    @classmethod
    def load(cls, backbone: PreTrainedModel, folder: Path, whole: PreTrainedModel) -> Lora:
        """Read what `save` wrote for `backbone` as a part of `whole`. Names may also begin in the decoder.

        Raises `InputError` for tensors that do not belong to the decoder's layers.
        """
        check_peft()
        from peft import LoraConfig, set_peft_model_state_dict

        config, file = LoraConfig.from_pretrained(str(folder)), folder / _WEIGHTS
        assert isinstance(config, LoraConfig)
        prefix = _prefix(whole, backbone)
        weights = {name.removeprefix(prefix): value for name, value in load_file(file).items()}
        config.target_modules = sorted({name.partition(".lora_")[0].rpartition(".")[2] for name in weights})
        config.exclude_modules = None
        lora = cls(backbone, config)
        check_tensors(_state(backbone), weights, file)
        set_peft_model_state_dict(backbone, weights)
        return lora

    def save(self, folder: Path, whole: PreTrainedModel, *, base: str, revision: str | None) -> None:
        """Write `adapter_config.json` and `adapter_model.safetensors` for `whole`, the model around the decoder."""
        prefix, state = _prefix(whole, self.backbone), _state(self.backbone)
        save_tensors({f"{prefix}{name}": value for name, value in state.items()}, folder / _WEIGHTS)
        # The pattern includes the decoder's name, because a tower may have layers of the same names.
        names = "|".join(sorted({name.partition(".lora_")[0].rpartition(".")[2] for name in state}))
        config = copy.copy(self.config)
        decoder = re.escape(prefix.removeprefix(_PEFT))
        # For mixtures of experts, peft reads only the layers' names of the pattern.
        config.target_modules, config.exclude_modules = rf"{decoder}.*\.({names})", rf"(?!{decoder}).*"
        config.base_model_name_or_path, config.revision, config.inference_mode = base, revision, True
        config.save_pretrained(str(folder))

    def parameters(self) -> Iterator[nn.Parameter]:
        """A and B of every layer."""
        for layer in self.layers:
            for name in layer.adapter_layer_names:
                yield from getattr(layer, name).parameters()

    def requires_grad_(self, trained: bool = True) -> None:
        """Train the updates, or freeze them."""
        for parameter in self.parameters():
            parameter.requires_grad_(trained)

    def train(self, mode: bool = True) -> None:
        """Turn the dropout of the updates on or off; the rest of the decoder never drops out."""
        for layer in self.layers:
            layer.lora_dropout.train(mode)

    @contextmanager
    def switched_off(self) -> Iterator[None]:
        """Inside, the decoder runs without the updates."""
        trained = [(parameter, parameter.requires_grad) for parameter in self.parameters()]
        for layer in self.layers:
            layer.enable_adapters(False)
        try:
            yield
        finally:
            for layer in self.layers:
                layer.enable_adapters(True)
            for parameter, flag in trained:  # `peft` changes them at every switch
                parameter.requires_grad_(flag)


def _state(backbone: PreTrainedModel) -> dict[str, Tensor]:
    """A and B of every layer, by peft's names. By default, peft would ask the hub whether the vocabulary grew."""
    from peft import get_peft_model_state_dict

    return dict(get_peft_model_state_dict(backbone, save_embedding_layers=False))


def _prefix(whole: PreTrainedModel, backbone: PreTrainedModel) -> str:
    """The prefix that `peft` gives the names of the decoder's tensors."""
    return _PEFT + "".join(f"{name}." for name, module in whole.named_modules() if module is backbone and name)


def check_peft() -> None:
    """Raise `InputError` where `peft` is not installed."""
    try:
        import peft  # noqa: F401
    except ImportError:
        raise InputError("LoRA needs the package `peft`", remedy="pip install 'earwise[peft]'") from None
