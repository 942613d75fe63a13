"""LoRA in the decoder (Hu et al., arXiv 2106.09685), through `peft`, which is an optional dependency."""

from __future__ import annotations

import copy
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from transformers import PreTrainedModel

from earwise.errors import InputError
from earwise.io.loading import check_tensors

if TYPE_CHECKING:
    from peft import LoraConfig

_WEIGHTS = "adapter_model.safetensors"
_PEFT = "base_model.model."
"""What `peft` puts before the name that a module has in the model which it wraps."""


class Lora:
    """Low-rank updates beside the decoder's linear layers: B A x times alpha / rank. B begins at 0, so that a fresh
    one changes nothing.

    The layers are replaced in place, so the decoder is called as before. Files are those that `peft` writes for the
    whole model: `PeftModel.from_pretrained` loads them onto the base as transformers reads it.
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
            parameter.data = parameter.data.float()  # whatever the base is in

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
        """Read what `save` wrote for `backbone` as a part of `whole`, or the same with names that begin in the decoder.

        Raises `InputError` where the tensors are not those of the decoder's layers.
        """
        check_peft()
        from peft import LoraConfig, set_peft_model_state_dict

        config, file = LoraConfig.from_pretrained(str(folder)), folder / _WEIGHTS
        assert isinstance(config, LoraConfig)
        prefix = _prefix(whole, backbone)
        weights = {name.removeprefix(prefix): value for name, value in load_file(file).items()}
        config.target_modules = sorted({name.partition(".lora_")[0].rpartition(".")[2] for name in weights})
        lora = cls(backbone, config)
        check_tensors(_state(backbone), weights, file)
        set_peft_model_state_dict(backbone, weights)
        return lora

    def save(self, folder: Path, whole: PreTrainedModel, *, base: str, revision: str | None) -> None:
        """Write `adapter_config.json` and `adapter_model.safetensors`, for the model `whole` that the decoder is a part
        of and that came from `base`.
        """
        folder.mkdir(parents=True, exist_ok=True)
        prefix, state = _prefix(whole, self.backbone), _state(self.backbone)
        weights = {f"{prefix}{name}": value.contiguous() for name, value in state.items()}
        try:
            save_file(weights, folder / _WEIGHTS)
        except SafetensorError as error:
            what = f"cannot write: {error}"
            raise InputError(what, file=folder / _WEIGHTS, remedy="make room, then run again") from error
        # A tower may have layers of the same names, so the decoder is named, too.
        names = "|".join(sorted({name.partition(".lora_")[0].rpartition(".")[2] for name in state}))
        config = copy.copy(self.config)
        config.target_modules = rf"{re.escape(prefix.removeprefix(_PEFT))}.*\.({names})"
        config.base_model_name_or_path, config.revision, config.inference_mode = base, revision, True
        config.save_pretrained(str(folder))

    def parameters(self) -> Iterator[nn.Parameter]:
        """A and B of every layer."""
        for layer in self.layers:
            for name in layer.adapter_layer_names:
                yield from getattr(layer, name).parameters()

    def requires_grad_(self, trained: bool = True) -> None:
        """Whether the updates are trained."""
        for parameter in self.parameters():
            parameter.requires_grad_(trained)

    def train(self, mode: bool = True) -> None:
        """Turn the dropout of the updates on or off; nothing else in the decoder drops out."""
        for layer in self.layers:
            layer.lora_dropout.train(mode)

    @contextmanager
    def switched_off(self) -> Iterator[None]:
        """Inside, the decoder is the frozen one that it was before."""
        trained = [(parameter, parameter.requires_grad) for parameter in self.parameters()]
        for layer in self.layers:
            layer.enable_adapters(False)
        try:
            yield
        finally:
            for layer in self.layers:
                layer.enable_adapters(True)
            for parameter, flag in trained:  # `peft` changes it at every switch
                parameter.requires_grad_(flag)


def _state(backbone: PreTrainedModel) -> dict[str, Tensor]:
    """A and B of every layer, by peft's names. Left to itself, peft would ask the hub whether the vocabulary grew."""
    from peft import get_peft_model_state_dict

    return dict(get_peft_model_state_dict(backbone, save_embedding_layers=False))


def _prefix(whole: PreTrainedModel, backbone: PreTrainedModel) -> str:
    """What `peft` writes before the name that a tensor has in the decoder."""
    return _PEFT + "".join(f"{name}." for name, module in whole.named_modules() if module is backbone and name)


def check_peft() -> None:
    """Raise `InputError` where `peft` is not installed."""
    try:
        import peft  # noqa: F401 - only whether it is there
    except ImportError:
        raise InputError("LoRA needs the package `peft`", remedy="pip install 'earwise[peft]'") from None
