"""Checks of model folders before anything is loaded or trained, in milliseconds and without torch."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Final

from tokenizers import Tokenizer

from earwise.errors import InputError
from earwise.models.chat_templates import check_template
from earwise.models.safetensors_files import Shapes, read_object, read_shapes, read_weights_of

_OMNI: Final = ("qwen2_5_omni", "qwen2_5_omni_thinker", "qwen3_omni_moe", "qwen3_omni_moe_thinker")
_SEES: Final = (
    "internvl", "qwen2_vl", "qwen2_5_vl", "qwen3_vl", "qwen3_vl_moe", "qwen3_5", "qwen3_5_moe", "gemma3", "smolvlm",
    "idefics3", *_OMNI,
)  # fmt: skip
_HEARS: Final = ("qwen2_audio", "audioflamingo3", "voxtral", *_OMNI)
_MIXED: Final = ("qwen3_vl_moe", "qwen3_5", "qwen3_5_moe", "qwen3_omni_moe", "qwen3_omni_moe_thinker")
"""Model types whose decoder may have layers of several kinds."""
_SAME_LAYERS: Final = {*_SEES, *_HEARS, "whisper", "qwen2", "qwen3", "llama", "mistral"}.difference(_MIXED)
"""Model types in which all layers of a stack have the same tensors."""
_STACK: Final = re.compile(r"((?!talker|token2wav)(?:.*?\.)??(?:layers?|blocks))\.(\d+)\.(.+)")
_COUNTS: Final = (
    "hidden_size", "intermediate_size", "num_hidden_layers", "num_attention_heads", "num_key_value_heads", "vocab_size",
    "d_model", "encoder_layers", "encoder_attention_heads", "encoder_ffn_dim", "num_mel_bins", "depth", "embed_dim",
    "num_heads", "patch_size", "image_size", "max_position_embeddings",
)  # fmt: skip
_LARGEST: Final = 10**8
_WHOLE_FOLDER: Final = "fetch the whole folder of the model"


def check_model_folder(folder: Path, *, chat: bool = True) -> None:
    """Raise `InputError`, with the file and the remedy, for a model folder that cannot be loaded or used.

    It reads `config.json` and the headers of all weights. For a `chat` model (not an encoder, a recogniser or a voice),
    it also reads tokenizer, chat template and processor configuration.
    """
    config = read_config(folder)
    if "auto_map" in config:
        return  # The folder has its own code, which may read any file; loading reports what to do.
    model_type = config["model_type"]
    shapes = read_weights_of(folder)
    _check_layers(config, model_type, shapes, folder)
    if chat:
        _check_tokenizer(folder, _text_of(config))
        check_template(folder, parts=model_type in (*_SEES, *_HEARS))
        _check_processors(folder, model_type)


def check_tokenizer_folder(folder: Path) -> None:
    """Check only configuration and tokenizer of a model folder, as `check_model_folder`."""
    _check_tokenizer(folder, _text_of(read_config(folder)))


def check_ears_folder(folder: Path) -> None:
    """Raise `InputError` if the description, weights, LoRA or decoder of a folder of ears cannot be loaded."""
    remedy = "give a folder that save_ears wrote"
    if not folder.is_dir():
        raise InputError("no such folder of ears", file=folder, remedy=remedy)
    if not (folder / "ears.json").is_file():
        raise InputError("no ears.json", file=folder, remedy=remedy)
    description = read_object(folder / "ears.json")
    if not isinstance(description.get("base"), str):
        raise InputError("does not say which base the ears belong to", file=folder / "ears.json", remedy=remedy)
    shapes = read_shapes(folder / "ears.safetensors")
    if "own" not in description:
        _check_ears(description, shapes, folder)
    for added in ("lora", "decoder"):
        for path in sorted((folder / added).glob("*.json")):
            read_object(path)
        for path in sorted((folder / added).glob("*.safetensors")):
            read_shapes(path)
    if (folder / "lora").is_dir() and not (folder / "lora/adapter_model.safetensors").is_file():
        raise InputError("no such file", file=folder / "lora/adapter_model.safetensors", remedy="copy the whole folder")
    if (folder / "decoder").is_dir():
        shards = read_object(folder / "decoder/decoder.json").get("shards")
        for name in shards if isinstance(shards, list) else ():
            read_shapes(folder / "decoder" / str(name))


def read_config(folder: Path) -> dict[str, Any]:
    """The checked `config.json` of a model folder, which names a `model_type`; raises `InputError`."""
    remedy = "give a Hugging Face model folder"
    if not folder.is_dir():
        raise InputError("not a model folder" if folder.exists() else "no such folder", file=folder, remedy=remedy)
    if not (folder / "config.json").is_file():
        raise InputError("model folder without config.json", file=folder, remedy=remedy)
    config = read_object(folder / "config.json")
    model_type = config.get("model_type")
    if not isinstance(model_type, str) or not model_type:
        raise InputError("names no model_type", file=folder / "config.json", remedy=_WHOLE_FOLDER)
    _check_config(config, folder / "config.json")
    return config


def _check_ears(config: dict[str, Any], shapes: Shapes, folder: Path) -> None:
    file, encoder = folder / "ears.json", config.get("encoder")
    if not isinstance(encoder, dict) or not all(_is_count(config.get(key)) for key in ("width", "stack", "hidden")):
        raise InputError("does not describe ears", file=file, remedy="copy the whole folder")
    _check_config(encoder, file)
    width, layers = encoder.get("d_model"), encoder.get("encoder_layers")
    wanted = {"projector.3.weight": (config["width"], config["hidden"])}
    if _is_count(width):
        wanted["projector.1.weight"] = (config["hidden"], config["stack"] * width)
    if config.get("markers", True):
        wanted["markers"] = (2, config["width"])
    weights = folder / "ears.safetensors"
    for name, shape in wanted.items():
        if shapes.get(name) != shape:
            has = f"has the shape {list(shapes[name])}" if name in shapes else "is missing"
            what = f"{has}, ears.json says {list(shape)}"
            raise InputError(what, file=weights, record=name, remedy="copy the whole folder")
    _check_stacks(_stacks(shapes), weights)
    found = _depth(_stacks(shapes))
    if _is_count(layers) and found != layers:
        raise InputError(f"has {found} layers, ears.json says {layers}", file=weights, remedy="copy the whole folder")


def _is_count(value: object) -> bool:
    return type(value) is int and 0 < value < _LARGEST


def _text_of(config: dict[str, Any]) -> dict[str, Any]:
    inner = config.get("thinker_config")
    config = inner if isinstance(inner, dict) else config
    text = config.get("text_config")
    return text if isinstance(text, dict) else config


def _check_config(config: dict[str, Any], path: Path, key: str = "") -> None:
    """Check that sizes are whole numbers above 0, and that heads divide widths."""
    for name, value in config.items():
        at = f"{key}{name}"
        if isinstance(value, dict) and name.endswith("_config"):
            _check_config(value, path, f"{at}.")
        each = value if isinstance(value, list) else [value]
        if name in _COUNTS and value is not None and not (each and all(map(_is_count, each))):
            raise InputError(f"{at} is {value!r}, not a number above 0", file=path, remedy=_WHOLE_FOLDER)
    width, heads = config.get("hidden_size"), config.get("num_attention_heads")
    if _is_count(width) and _is_count(heads) and "head_dim" not in config and width % heads:  # type: ignore[operator]
        what = f"{key}hidden_size {width} is not a multiple of num_attention_heads {heads}"
        raise InputError(what, file=path, remedy=_WHOLE_FOLDER)


def _check_layers(config: dict[str, Any], model_type: str, shapes: Shapes, folder: Path) -> None:
    """Check that the layers are alike, and that their number and the embeddings fit the configuration."""
    if model_type not in _SAME_LAYERS:
        return
    text, stacks = _text_of(config), _stacks(shapes)
    _check_stacks(stacks, folder)
    depth = text.get("num_hidden_layers", text.get("encoder_layers"))
    found = _depth(stacks, *(("decoder",) if model_type == "whisper" else ("vision", "visual", "audio")))
    if _is_count(depth) and found != depth:
        what = f"the weights have {found} layers, config.json says {depth}"
        raise InputError(what, file=folder, remedy=_WHOLE_FOLDER)
    if model_type == "whisper":
        return
    named = [name for name in shapes if name.endswith("embed_tokens.weight") and not name.startswith("talker")]
    if not named:
        raise InputError("the weights lack embed_tokens", file=folder, remedy=_WHOLE_FOLDER)
    wanted = (text.get("vocab_size"), text.get("hidden_size"))
    if all(map(_is_count, wanted)) and shapes[named[0]] != wanted:
        what = f"has the shape {list(shapes[named[0]])}, config.json says {list(wanted)}"
        raise InputError(what, file=folder, record=named[0], remedy=_WHOLE_FOLDER)
    tied = config.get("tie_word_embeddings", text.get("tie_word_embeddings", True))
    if not tied and not any(name.endswith("lm_head.weight") for name in shapes):
        raise InputError("the weights lack lm_head", file=folder, remedy=_WHOLE_FOLDER)


def _stacks(shapes: Shapes) -> dict[str, dict[int, Shapes]]:
    """By stack and by layer number, the shape of each tensor of the layer."""
    stacks: dict[str, dict[int, Shapes]] = {}
    for name, shape in shapes.items():
        if match := _STACK.fullmatch(name):
            stack, number, rest = match.groups()
            stacks.setdefault(stack, {}).setdefault(int(number), {})[rest] = shape
    return stacks


def _check_stacks(stacks: dict[str, dict[int, Shapes]], file: Path) -> None:
    for stack, layers in stacks.items():
        most = max(layers.values(), key=len)
        for number in range(max(layers) + 1):
            layer = layers.get(number, {})
            if odd := sorted({*most.items()} ^ {*layer.items()}):
                name = f"{stack}.{number}.{odd[0][0]}"
                what = "has another shape than in other layers" if odd[0][0] in layer else "is missing"
                raise InputError(what, file=file, record=name, remedy=_WHOLE_FOLDER)


def _depth(stacks: dict[str, dict[int, Shapes]], *others: str) -> int:
    """Number of layers of the deepest stack without any of `others` in its name."""
    return max((len(one) for name, one in stacks.items() if not any(other in name for other in others)), default=0)


def _check_tokenizer(folder: Path, text: dict[str, Any]) -> None:
    """Check that the tokenizer can be read, and that the model has an embedding for each token."""
    path = folder / "tokenizer.json"
    for name in ("tokenizer_config.json", "special_tokens_map.json", "generation_config.json"):
        if (folder / name).exists():
            read_object(folder / name)
    if not path.is_file():
        if not _any_file(folder, ("tokenizer.model", "vocab.json", "vocab.txt", "spiece.model")):
            raise InputError("model folder without tokenizer.json", file=folder, remedy=_WHOLE_FOLDER)
        return
    try:
        tokenizer = Tokenizer.from_str(path.read_text(encoding="utf-8"))
        ids = tokenizer.get_vocab(with_added_tokens=True).values()
    except Exception as error:  # tokenizers raises plain exceptions
        raise InputError(f"is no tokenizer: {error}", file=path, remedy=_WHOLE_FOLDER) from None
    rows = text.get("vocab_size")
    if not ids:
        raise InputError("has no words", file=path, remedy=_WHOLE_FOLDER)
    if _is_count(rows) and max(ids) >= rows:  # type: ignore[operator]
        what = f"has a word with the number {max(ids)}, and config.json a vocab_size of {rows}"
        raise InputError(what, file=path, remedy=_WHOLE_FOLDER)


def _check_processors(folder: Path, model_type: str) -> None:
    """Check that the configuration of the image or audio processor exists and can be read."""
    names = ("preprocessor_config.json", "processor_config.json", "image_processor_config.json")
    for name in names:
        if (folder / name).exists():
            read_object(folder / name)
    if model_type in (*_SEES, *_HEARS) and not _any_file(folder, names):
        raise InputError("model folder without preprocessor_config.json", file=folder, remedy=_WHOLE_FOLDER)


def _any_file(folder: Path, names: Iterable[str]) -> bool:
    return any((folder / name).is_file() for name in names)
