"""A language model out of a GGUF file, as a Hugging Face folder: weights in float32, tokenizer and chat template.

transformers reads GGUF through the package `gguf` (the extra `real`) and dequantises it; what it then has cannot be
saved as it is, because its configuration still says that it is quantised.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Final

import torch
from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer, PreTrainedModel

from earwise.errors import InputError
from earwise.io.files import read_text, require_file

DEQUANTISED: Final = "dequantised_from"
"""Key of `config.json` that names the file that the weights come from: they are not the published ones."""


def write_language_model(path: Path, folder: Path) -> None:
    """Convert the GGUF file `path` into `folder`; raises `InputError` without `gguf`, and for what cannot be read."""
    _check_gguf()
    require_file(path)
    place = {"pretrained_model_name_or_path": str(path.parent), "gguf_file": path.name}
    try:
        tokenizer = AutoTokenizer.from_pretrained(**place)
        read = AutoModelForCausalLM.from_pretrained(**place, dtype=torch.float32)
    except (ValueError, KeyError, NotImplementedError) as error:
        raise InputError(f"cannot be read: {error}", file=path, remedy="give a GGUF that transformers knows") from error
    if tokenizer.chat_template is None:
        raise InputError("has no chat template", file=path, remedy="give an instruction-tuned model")
    _plain(read).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    _tell(folder / "config.json", path.name)


def _plain(read: PreTrainedModel) -> PreTrainedModel:
    """The same weights in a model that does not call itself quantised."""
    told = read.config.to_dict()
    told.pop("quantization_config", None)
    config = AutoConfig.for_model(told.pop("model_type"), **told)
    model: Any = AutoModelForCausalLM.from_config(config, dtype=torch.float32)
    model.load_state_dict(read.state_dict())
    model.generation_config = read.generation_config
    whole: PreTrainedModel = model.eval()
    return whole


def _tell(path: Path, name: str) -> None:
    """Where the weights come from, and a name of no folder of this machine."""
    config = json.loads(read_text(path))
    config.pop("_name_or_path", None)
    path.write_text(json.dumps({**config, DEQUANTISED: name}, indent=2) + "\n", encoding="utf-8")


def _check_gguf() -> None:
    try:
        import gguf  # noqa: F401 - only whether it is there
    except ImportError:
        what = "GGUF files need the package `gguf`"
        raise InputError(what, remedy="pip install 'earwise[real]'") from None
