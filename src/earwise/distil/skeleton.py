"""A text model without its weights: enough to lay out samples in its tokens."""

from __future__ import annotations

import contextlib

import torch
from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer, GenerationConfig

from earwise.errors import InputError
from earwise.models.families import refuse_remote_code
from earwise.models.families.causal_lm import CausalLM, is_causal_lm


def skeleton(name: str) -> CausalLM:
    """The architecture and tokenizer of the text model `name`, a folder or hub id. Raises `InputError` if there is no
    such model, or if it is not a text model.
    """
    refuse_remote_code(name, None)
    try:
        config = AutoConfig.from_pretrained(name)
        tokenizer = AutoTokenizer.from_pretrained(name)
    except (OSError, ValueError):
        what = "no config and tokenizer of a text model in this folder, or of this name on the hub or in its cache"
        raise InputError(what, file=name) from None
    if not is_causal_lm(config.model_type):
        raise InputError(f"a {config.model_type!r} is no text model", file=name)
    with torch.device("meta"):
        model = AutoModelForCausalLM.from_config(config)
    with contextlib.suppress(OSError):  # without one, the config's end-of-turn token is used
        model.generation_config = GenerationConfig.from_pretrained(name)
    return CausalLM(model, tokenizer)
