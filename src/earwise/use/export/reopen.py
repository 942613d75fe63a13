"""Loads an exported folder back into earwise: its code is not run."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file
from torch import nn
from transformers import AutoConfig, AutoImageProcessor, AutoModelForCausalLM, AutoTokenizer, GenerationConfig

from earwise.io.loading import fill
from earwise.models.ears import Ears, EarsConfig
from earwise.models.families import adapter_for
from earwise.models.families.causal_lm import CausalLM
from earwise.models.lora import Lora
from earwise.models.omni import OmniModel
from earwise.models.safetensors_files import read_object
from earwise.use.export.write import ADAPTER, WEIGHTS


def reopen(folder: Path, dtype: torch.dtype) -> OmniModel:
    """The model in a folder with `modeling_hearing.py`."""
    told = read_object(folder / "config.json")
    config = AutoConfig.for_model(**told["base_config"])
    adapter = adapter_for("auto", config.model_type, str(folder))
    kind: Any = AutoModelForCausalLM if adapter is CausalLM else adapter.model_class
    base = kind.from_config(config, attn_implementation="sdpa" if torch.cuda.is_available() else "eager")
    tensors, file = load_file(folder / WEIGHTS), folder / WEIGHTS
    parts: dict[str, dict[str, torch.Tensor]] = {"base": {}, "ears": {}}
    for name, value in tensors.items():
        part, _, rest = name.partition(".")
        parts.setdefault(part, {})[rest] = value
    fill(base, parts["base"], file)
    base.generation_config = GenerationConfig.from_pretrained(folder)
    images = AutoImageProcessor.from_pretrained(folder) if adapter.sees else None
    family = adapter(base.to(dtype).eval(), AutoTokenizer.from_pretrained(folder), images, None)
    ears = Ears(EarsConfig(**told["ears"]))
    fill(ears, parts["ears"], file)
    model = OmniModel(family, ears, base=str(folder))
    if (folder / ADAPTER).is_dir():
        whole: nn.Module = nn.ModuleDict({"base": base})
        model.lora = Lora.load(family.backbone, folder / ADAPTER, whole)  # type: ignore[arg-type]
    return model
