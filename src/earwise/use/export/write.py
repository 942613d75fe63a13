"""Writes the folder of `earwise export`."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final

import torch
from torch import Tensor, nn
from transformers import GenerationConfig

from earwise import __version__
from earwise.errors import InputError
from earwise.models.ears import Ears
from earwise.models.encoder_lora import merged_state
from earwise.models.families import Family, ImageInput
from earwise.models.omni import OmniModel
from earwise.models.saving import save_tensors
from earwise.use.export import modeling_hearing as plain
from earwise.use.export.card import write_card
from earwise.use.export.example import write_example
from earwise.use.opening import Found

WEIGHTS: Final = "model.safetensors"
ADAPTER: Final = "adapter"
"""Folder of the LoRA, if it is not merged."""
_CODE: Final = "modeling_hearing.py"
_UPDATES: Final = ".lora_"


def export(model: OmniModel, found: Found, folder: Path, *, merge: bool) -> None:
    """Write `model` to the new folder `folder`. With `merge`, LoRA is added to the weights; otherwise it is an adapter
    of peft beside them.

    A model with ears brings its code, `modeling_hearing.py`. A model that hears natively, or a base, is a checkpoint of
    its own architecture. Raises `InputError` if the folder exists and is not empty.
    """
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise InputError("is not empty", file=folder, remedy="give a new folder")
    folder.mkdir(parents=True, exist_ok=True)
    with_code = isinstance(model.ears, Ears)
    _write_parts(model, found, folder, with_code=with_code)
    _write_weights(model, folder, merge=merge, with_code=with_code)
    if model.lora is not None and not merge:
        whole: nn.Module = nn.ModuleDict({"base": model.base}) if with_code else model.base
        model.lora.save(folder / ADAPTER, whole, base=".", revision=None)  # type: ignore[arg-type]
    write_example(model, found, folder, with_code=with_code, adapter=model.lora is not None and not merge)
    write_card(model, found, folder, merged=merge)


def _write_parts(model: OmniModel, found: Found, folder: Path, *, with_code: bool) -> None:
    """Configuration, tokenizer and processors."""
    family = model.family
    tokenizer = family.tokenizer
    for part in (family.image_processor, family.feature_extractor):
        if part is not None:
            part.save_pretrained(folder)
    _ends(family).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    if not with_code:
        model.base.config.save_pretrained(folder)
        return
    audio_id = _with_audio_token(folder)
    shutil.copyfile(str(plain.__file__), folder / _CODE)
    (folder / "config.json").write_text(json.dumps(_config(model, found, audio_id), indent=2) + "\n", encoding="utf-8")
    module = _CODE.removesuffix(".py")
    auto = {"AutoProcessor": f"{module}.HearingProcessor"}
    (folder / "processor_config.json").write_text(
        json.dumps({"processor_class": "HearingProcessor", "auto_map": auto}, indent=2) + "\n", encoding="utf-8"
    )


def _with_audio_token(folder: Path) -> int:
    """Add the placeholder of clips to the tokenizer in `folder`; returns its id."""
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(folder)
    tokenizer.add_tokens([plain.AUDIO], special_tokens=True)
    tokenizer.save_pretrained(folder)
    found: int = tokenizer.get_vocab()[plain.AUDIO]
    return found


def _config(model: OmniModel, found: Found, audio_id: int) -> dict[str, Any]:
    ears, family = model.ears, model.family
    assert isinstance(ears, Ears)
    module = _CODE.removesuffix(".py")
    auto = "AutoModelForImageTextToText" if family.sees else "AutoModelForCausalLM"
    base = {key: value for key, value in model.base.config.to_dict().items() if key not in ("_name_or_path",)}
    return {
        "architectures": ["HearingModel"],
        "model_type": plain.HearingConfig.model_type,
        "auto_map": {
            "AutoConfig": f"{module}.HearingConfig",
            auto: f"{module}.HearingModel",
            "AutoProcessor": f"{module}.HearingProcessor",
        },
        "dtype": "float32",
        "base_config": base,
        "ears": asdict(ears.config),
        "audio_token_id": audio_id,
        "image_tokens": _image_tokens(family) if family.sees else None,
        "instruction": found.instruction,
        "earwise_version": __version__,
    }


def _image_tokens(family: Family) -> list[str]:
    """What stands before the places of a picture, in each of them, and behind them."""
    ids = family.image_token_ids(ImageInput({}, 1))
    start, names = ids.index(family.image_token_id), family.tokenizer.convert_ids_to_tokens(ids)
    return ["".join(names[:start]), names[start], "".join(names[start + 1 :])]


def _ends(family: Family) -> GenerationConfig:
    """Greedy answers that end where `evaluate` ends them."""
    padding = family.tokenizer.pad_token_id
    ends = list(family.stop_ids)
    return GenerationConfig(eos_token_id=ends, pad_token_id=ends[0] if padding is None else padding, do_sample=False)


@torch.no_grad()
def _write_weights(model: OmniModel, folder: Path, *, merge: bool, with_code: bool) -> None:
    base = merged_state(model.base) if merge else _without_updates(model.base)
    tensors = base
    if with_code:
        assert isinstance(model.ears, Ears)
        ears = {f"ears.{name}": value.float() for name, value in merged_state(model.ears).items()}
        tensors = {**{f"base.{name}": value for name, value in base.items()}, **ears}
    save_tensors(_own_memory(tensors), folder / WEIGHTS)


def _without_updates(module: nn.Module) -> dict[str, Tensor]:
    """As `state_dict`, under the names that the weights had before LoRA stood beside them."""
    kept = {name: value for name, value in module.state_dict().items() if _UPDATES not in name}
    return {name.replace(".base_layer.", "."): value for name, value in kept.items()}


def _own_memory(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Copies where two names share a tensor, because the format does not."""
    seen: set[int] = set()
    found = {}
    for name, value in tensors.items():
        found[name] = value.clone() if value.data_ptr() in seen else value
        seen.add(value.data_ptr())
    return found
