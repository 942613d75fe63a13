"""Adapters of Hugging Face architectures: one file each, listed in `earwise.recipe.model.FAMILIES`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, cast

import torch
from transformers import (
    AutoConfig,
    AutoFeatureExtractor,
    AutoImageProcessor,
    AutoTokenizer,
    PreTrainedConfig,
    PreTrainedTokenizerBase,
)
from transformers.utils import cached_file

from earwise.errors import InputError
from earwise.io import plugins
from earwise.io.loading import load_whole
from earwise.models.families.base import Family, ImageInput
from earwise.models.families.causal_lm import CausalLM, is_causal_lm
from earwise.models.families.generation import warn_of_ignored
from earwise.models.families.own_ears import OwnEars, TrainedPart
from earwise.models.folders import read_config
from earwise.models.shipped import model_folder
from earwise.recipe.model import FAMILIES as BUILT_IN
from earwise.recipe.model import FAMILY_GROUP

__all__ = [
    "FAMILIES",
    "Family",
    "ImageInput",
    "OwnEars",
    "TrainedPart",
    "adapter_for",
    "check_folder",
    "load_family",
    "refuse_remote_code",
]

FAMILIES: dict[str, type[Family]] = {name: cast(type[Family], plugins.attribute(at)) for name, at in BUILT_IN.items()}

REMOTE_CODE: dict[str, str] = {
    "internvl_chat": "take its converted checkpoint (OpenGVLab/...-hf), or convert it as docs/families.md says"
}
"""Model types whose checkpoints bring code that earwise cannot use, and the remedy."""


def load_family(
    base: str,
    *,
    family: str = "auto",
    revision: str | None = None,
    dtype: torch.dtype = torch.float32,
    trust_remote_code: bool = False,
) -> Family:
    """Load a base model by shipped name, folder or hub id and wrap it in its family's adapter.

    `family` "auto" goes by the checkpoint's `model_type`; a causal language model that no family claims is loaded as a
    text model (`CausalLM`). Raises `InputError` for a folder without config or weights, an unknown model, and an
    architecture without an adapter.
    """
    base = model_folder(base)
    check_folder(Path(base))
    refuse_remote_code(base, revision)
    options = {"revision": revision, "trust_remote_code": trust_remote_code}
    try:
        config = AutoConfig.from_pretrained(base, **options)
    except OSError:
        what = "no such model folder, and no model of that name on the hub or in its cache"
        raise InputError(what, file=base, remedy="give a folder, or a hub id while the hub can be reached") from None
    adapter = adapter_for(family, config.model_type, base)
    # On CPUs the backward pass of fused attention takes up to twice the time of plain products.
    attention = "sdpa" if torch.cuda.is_available() else "eager"
    model = load_whole(adapter.model_class, base, dtype=dtype, attn_implementation=attention, **options)
    warn_of_ignored(model.generation_config, base)
    image_processor = AutoImageProcessor.from_pretrained(base, **options) if adapter.sees else None
    feature_extractor = AutoFeatureExtractor.from_pretrained(base, **options) if adapter.own_ears is not None else None
    return adapter(model.eval(), _tokenizer(base, options), image_processor, feature_extractor)


def _tokenizer(base: str, options: dict[str, Any]) -> PreTrainedTokenizerBase:
    """The tokenizer. Some checkpoints keep its chat template in a file that only processors read."""
    tokenizer = AutoTokenizer.from_pretrained(base, **options)
    if tokenizer.chat_template is None:
        found = cached_file(
            base, "chat_template.json", revision=options["revision"], _raise_exceptions_for_missing_entries=False
        )
        if found is not None:
            tokenizer.chat_template = json.loads(Path(found).read_text(encoding="utf-8"))["chat_template"]
    return tokenizer


def adapter_for(family: str, model_type: str, base: str) -> type[Family]:
    """The adapter named `family`, or with "auto" the one for `model_type`; errors name `base`."""
    # Reversed, so that "auto" takes the first of several families for one architecture.
    known = {name: cls for cls in reversed(FAMILIES.values()) for name in cls.model_types}
    if family == "auto":
        if model_type not in known and is_causal_lm(model_type):
            return CausalLM
        if model_type not in known:
            remedy = f"known: {', '.join(sorted(known))}"
            raise InputError(f"no family adapter for model_type {model_type!r}", file=base, remedy=remedy)
        return known[model_type]
    adapter = FAMILIES[family] if family in FAMILIES else _of_plugin(family, base)
    if model_type not in adapter.model_types:
        raise InputError(f"the checkpoint is a {model_type!r}, not a {family!r}", file=base, remedy='family = "auto"')
    return adapter


def _of_plugin(family: str, base: str) -> type[Family]:
    adapter = plugins.found(FAMILY_GROUP, family)
    if adapter is None:
        known = ", ".join((*FAMILIES, *plugins.names(FAMILY_GROUP)))
        raise InputError(f"unknown family {family!r}", file=base, remedy=f"known: {known}")
    if not isinstance(adapter, type) or not issubclass(adapter, Family) or getattr(adapter, "name", None) != family:
        package = plugins.origin(FAMILY_GROUP, family)
        what = f"the plugin {family!r} of {package} is no subclass of Family with the name {family!r}"
        raise InputError(what, remedy=f"update or uninstall {package}")
    return adapter


def refuse_remote_code(base: str, revision: str | None) -> None:
    """Raise `InputError` for a checkpoint whose own code has another interface. That code is not run."""
    try:
        described, _ = PreTrainedConfig.get_config_dict(base, revision=revision)
    except OSError:  # Loading the model reports that it does not exist.
        return
    remedy = REMOTE_CODE.get(str(described.get("model_type")))
    if remedy is not None:
        what = f"a checkpoint of model_type {described['model_type']!r} brings code of its own and is not read"
        raise InputError(what, file=base, remedy=remedy)


def check_folder(folder: Path) -> None:
    """Raise `InputError` for a local folder without config or safetensors weights; other names are taken as hub ids."""
    if not folder.exists():
        return
    read_config(folder)
    if not any(folder.glob("*.safetensors")):
        raise InputError("model folder without weights", file=folder, remedy="it needs *.safetensors files")
