"""Folders of models and ears that cannot be used: one line before the first stage, with the file and what to do."""

import json
import os
import shutil
import struct
import sys
import time
from collections.abc import Callable
from datetime import datetime
from pathlib import Path

import numpy as np
import pytest
from data_folder import RECIPE, write_data_folder
from earwise_process import earwise
from safetensors.numpy import load_file, save_file

from earwise.errors import InputError
from earwise.models import chat_templates
from earwise.models.ears import Ears, EarsConfig
from earwise.models.families import FAMILIES
from earwise.models.folders import _HEARS, _SEES, check_ears_folder, check_model_folder
from earwise.models.shipped import SHIPPED

Spoil = Callable[[Path], None]


def config(**changes: object) -> Spoil:
    def spoil(folder: Path) -> None:
        told = json.loads((folder / "config.json").read_text())
        for key, value in changes.items():
            at = told
            *parents, last = key.split("__")
            for parent in parents:
                at = at[parent]
            if value is None:
                del at[last]
            else:
                at[last] = value
        (folder / "config.json").write_text(json.dumps(told))

    return spoil


def write(name: str, content: str | bytes) -> Spoil:
    return lambda folder: (folder / name).write_bytes(content if isinstance(content, bytes) else content.encode())


def lose(*names: str) -> Spoil:
    return lambda folder: [(folder / name).unlink() for name in names] and None


def weights(change: Callable[[dict[str, np.ndarray]], object], name: str = "model.safetensors") -> Spoil:
    def spoil(folder: Path) -> None:
        held = load_file(folder / name)
        change(held)
        save_file(held, folder / name)

    return spoil


def cut(name: str, count: int) -> Spoil:
    return lambda folder: (folder / name).write_bytes((folder / name).read_bytes()[:count])


def header(change: Callable[[dict[str, dict[str, object]]], object], name: str = "model.safetensors") -> Spoil:
    def spoil(folder: Path) -> None:
        content = (folder / name).read_bytes()
        length = struct.unpack("<Q", content[:8])[0]
        told = json.loads(content[8 : 8 + length])
        change(told)
        again = json.dumps(told).encode()
        (folder / name).write_bytes(struct.pack("<Q", len(again)) + again + content[8 + length :])

    return spoil


def shard(change: Callable[[Path], object]) -> Spoil:
    """Two shards and their index, spoiled by `change`."""

    def spoil(folder: Path) -> None:
        held = load_file(folder / "model.safetensors")
        names = sorted(held)
        (folder / "model.safetensors").unlink()
        placed = {name: f"model-{1 + (n % 2):05d}-of-00002.safetensors" for n, name in enumerate(names)}
        for file in set(placed.values()):
            save_file({name: held[name] for name in names if placed[name] == file}, folder / file)
        index = {"metadata": {}, "weight_map": placed}
        (folder / "model.safetensors.index.json").write_text(json.dumps(index))
        change(folder)

    return spoil


def lose_from_shard(folder: Path) -> None:
    weights(lambda held: held.pop("language_model.model.norm.weight"), "model-00001-of-00002.safetensors")(folder)


def narrow(held: dict[str, np.ndarray]) -> None:
    for name in ("embed_tokens.weight", "lm_head.weight"):
        full = next(one for one in held if one.endswith(name))
        held[full] = held[full][:100]


def both(first: Spoil, second: Spoil) -> Spoil:
    def spoil(folder: Path) -> None:
        first(folder)
        second(folder)

    return spoil


def link_to_itself(folder: Path) -> None:
    (folder / "config.json").unlink()
    (folder / "config.json").symlink_to("config.json")


def fifo(folder: Path) -> None:
    (folder / "config.json").unlink()
    os.mkfifo(folder / "config.json")


INDEX = "model.safetensors.index.json"
TEMPLATE = "chat_template.jinja"
Q = "language_model.model.layers.1.self_attn.q_proj.weight"
LOOP = "{% for a in range(99999) %}{% for b in range(99999) %}{% endfor %}{% endfor %}"
MODELS: dict[str, tuple[Spoil, str]] = {
    "no config": (lose("config.json"), r"bad: model folder without config\.json \(give a Hugging Face"),
    "config of a FIFO": (fifo, r"bad: model folder without config\.json"),
    "config that leads to itself": (link_to_itself, r"bad: model folder without config\.json"),
    "empty config": (write("config.json", ""), r"config\.json: is not JSON: .* \(fetch or write"),
    "cut config": (cut("config.json", 100), r"config\.json: is not JSON"),
    "deep config": (write("config.json", "[" * 100_000), r"config\.json: is not JSON"),
    "config of bytes": (write("config.json", b"\xff\xfe\x00{"), r"config\.json: is not JSON"),
    "config of a list": (write("config.json", "[]"), r"config\.json: is JSON, but no object"),
    "no model type": (config(model_type=None), r"config\.json: names no model_type"),
    "width of text": (config(text_config__hidden_size="64"), r"config\.json: text_config\.hidden_size is '64', not a"),
    "no heads": (config(text_config__num_attention_heads=0), r"text_config\.num_attention_heads is 0, not a number"),
    "huge words": (config(text_config__vocab_size=10**12), r"text_config\.vocab_size is 1000000000000, not a number"),
    "odd heads": (config(text_config__num_attention_heads=5), r"hidden_size 64 is not a multiple of num_attention_"),
    "another width": (config(text_config__hidden_size=128), r"embed_tokens\.weight: has the shape \[128, 64\]"),
    "more layers": (config(text_config__num_hidden_layers=9), r"bad: the weights have 2 layers, config\.json says 9"),
    "no weights": (lose("model.safetensors"), r"bad: model folder without weights \(it needs \*\.safetensors"),
    "pickled weights": (
        both(lose("model.safetensors"), write("pytorch_model.bin", b"PK")),
        r"bad: has weights in another form only (convert them to safetensors".replace("(", r"\("),
    ),
    "an adapter": (
        both(lose("model.safetensors"), write("adapter_config.json", "{}")),
        r"bad: holds a LoRA adapter, not a model",
    ),
    "empty weights": (write("model.safetensors", ""), r"model\.safetensors: is truncated: 0 bytes"),
    "weights of Git LFS": (
        write("model.safetensors", "version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n"),
        r"model\.safetensors: is a pointer of Git LFS, not the weights \(fetch the file itself",
    ),
    "cut header": (cut("model.safetensors", 500), r"model\.safetensors: is truncated or no safetensors file: a header"),
    "cut weights": (cut("model.safetensors", 50_000), r"model\.safetensors: is truncated: \d+ bytes of weights"),
    "more than weights": (
        lambda folder: write("model.safetensors", (folder / "model.safetensors").read_bytes() + b"x")(folder),
        r"model\.safetensors: is damaged: \d+ bytes of weights promised",
    ),
    "not weights": (write("model.safetensors", b"PK\x03\x04" * 9), r"is truncated or no safetensors file"),
    "scribbled header": (
        lambda folder: write("model.safetensors", struct.pack("<Q", 9) + b"not json!")(folder),
        r"model\.safetensors: is no safetensors file: its header is not JSON",
    ),
    "unknown type": (header(lambda told: told[Q].update(dtype="F7")), rf"model\.safetensors: {Q}: its header is dam"),
    "overlap": (
        header(lambda told: told["language_model.model.norm.weight"].update(data_offsets=[0, 256])),
        r"its header is damaged: places overlap",
    ),
    "no tensor of a layer": (weights(lambda held: held.pop(Q)), rf"bad: {Q}: is missing"),
    "another shape in a layer": (
        weights(lambda held: held.update({Q: np.zeros((8, 64), np.float32)})),
        rf"bad: {Q}: has another shape than in other layers",
    ),
    "no embeddings": (
        weights(lambda held: held.pop("language_model.model.embed_tokens.weight")),
        r"bad: the weights lack embed_tokens",
    ),
    "no head": (weights(lambda held: held.pop("language_model.lm_head.weight")), r"bad: the weights lack lm_head"),
    "no shard": (shard(lose("model-00002-of-00002.safetensors")), rf"{INDEX}: the shard model-00002-of-00002\.safet"),
    "no index": (shard(lose(INDEX)), rf"bad: has shards of weights but no {INDEX}"),
    "cut shard": (shard(cut("model-00002-of-00002.safetensors", 3000)), r"model-00002-of-00002\.safetensors: is trunc"),
    "tensor not in its shard": (
        shard(lose_from_shard),
        r"00001-of-00002\.safetensors: language_model\.model\.norm",
    ),
    "index without map": (shard(write(INDEX, "{}")), rf"{INDEX}: has no weight_map"),
    "shard elsewhere": (shard(write(INDEX, '{"weight_map": {"a": "../x"}}')), rf"{INDEX}: names a shard that is no fi"),
    "no tokenizer": (lose("tokenizer.json"), r"bad: model folder without tokenizer\.json"),
    "scribbled tokenizer": (write("tokenizer.json", "{}"), r"tokenizer\.json: is no tokenizer: "),
    "cut tokenizer": (cut("tokenizer.json", 1000), r"tokenizer\.json: is no tokenizer: "),
    "more words than rows": (
        both(config(text_config__vocab_size=100), weights(narrow)),
        r"tokenizer\.json: has a word with the number 1\d\d, and config\.json a vocab_size of 100",
    ),
    "scribbled tokenizer config": (write("tokenizer_config.json", "hello"), r"tokenizer_config\.json: is not JSON"),
    "no template": (lose(TEMPLATE), rf"bad: the tokenizer has no chat template \(give one in {TEMPLATE}"),
    "broken template": (write(TEMPLATE, "{% if x %}"), rf"{TEMPLATE}: the chat template is broken: .*line 1"),
    "template that refuses": (
        write(TEMPLATE, "{{ raise_exception('no') }}"),
        rf"{TEMPLATE}: .* be rendered: no",
    ),
    "template that fails": (write(TEMPLATE, "{{ 1 / 0 }}"), rf"{TEMPLATE}: the chat template fails: ZeroDivisionErr"),
    "template that says nothing": (write(TEMPLATE, "hello"), rf"{TEMPLATE}: the chat template loses the text of a mes"),
    "template without end": (write(TEMPLATE, LOOP), rf"{TEMPLATE}: .*: it has not ended after 2 s"),
    "template of a bomb": (write(TEMPLATE, "{{ 'a' * 10**10 }}"), rf"{TEMPLATE}: .*: it writes more than 100000"),
    "template with code": (write(TEMPLATE, "{{ ''.__class__.__mro__ }}"), rf"{TEMPLATE}: .* cannot be rendered"),
    "no processor": (lose("preprocessor_config.json"), r"bad: model folder without preprocessor_config\.json"),
    "scribbled processor": (write("preprocessor_config.json", "["), r"preprocessor_config\.json: is not JSON"),
    "scribbled generation": (write("generation_config.json", "1"), r"generation_config\.json: is JSON, but no object"),
}


@pytest.mark.parametrize("kind", MODELS)
def test_a_model_folder_that_cannot_be_used(kind: str, tmp_path: Path, tiny_checkpoints: dict[str, Path]) -> None:
    spoil, line = MODELS[kind]
    shutil.copytree(tiny_checkpoints["internvl"], tmp_path / "bad")
    spoil(tmp_path / "bad")
    with pytest.raises(InputError, match=line) as refused:
        check_model_folder(tmp_path / "bad")
    assert "\n" not in str(refused.value)


def test_whole_folders_are_taken(tiny_checkpoints: dict[str, Path]) -> None:
    for folder in (*tiny_checkpoints.values(), *SHIPPED.iterdir()):
        check_model_folder(folder, chat="whisper" not in folder.name)


def test_shards_with_their_index_are_taken(tmp_path: Path, tiny_checkpoints: dict[str, Path]) -> None:
    shutil.copytree(tiny_checkpoints["internvl"], tmp_path / "good")
    shard(lambda folder: None)(tmp_path / "good")
    check_model_folder(tmp_path / "good")


def test_what_families_need_is_known_here_too() -> None:
    sees = {name for family in FAMILIES.values() if family.sees for name in family.model_types}
    hears = {name for family in FAMILIES.values() if family.own_ears is not None for name in family.model_types}
    assert (sees, hears) == ({*_SEES}, {*_HEARS})


@pytest.mark.parametrize("template", ["{% generation %}{% endgeneration %}", "{% break %}"])
def test_what_templates_of_transformers_may_say_is_known(template: str, tmp_path: Path, tiny_checkpoints) -> None:  # type: ignore[no-untyped-def]
    shutil.copytree(tiny_checkpoints["internvl"], tmp_path / "good")
    path = tmp_path / "good" / TEMPLATE
    path.write_text("{% for x in [1] %}" + template + "{% endfor %}{{ strftime_now('') }}" + path.read_text())
    check_model_folder(tmp_path / "good")
    assert sys.gettrace() is None or "coverage" in sys.modules


def test_a_good_template_is_not_refused_on_a_machine_that_is_busy(
    tmp_path: Path, tiny_checkpoints: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    class Waits:
        @staticmethod
        def now() -> datetime:
            time.sleep(chat_templates._LONGEST_S + 0.1)  # Time passes, and no work is done meanwhile.
            return datetime(2026, 1, 1)

    monkeypatch.setattr(chat_templates, "datetime", Waits)
    shutil.copytree(tiny_checkpoints["internvl"], tmp_path / "busy")
    path = tmp_path / "busy" / TEMPLATE
    path.write_text("{{ strftime_now('') }}{% for x in [1] %}{% endfor %}" + path.read_text())
    check_model_folder(tmp_path / "busy")


EARS: dict[str, tuple[Spoil, str]] = {
    "no folder": (lambda folder: shutil.rmtree(folder), r"ears: no such folder of ears"),
    "no description": (lose("ears.json"), r"ears: no ears\.json \(give a folder that save_ears wrote\)"),
    "scribbled description": (write("ears.json", "{"), r"ears\.json: is not JSON"),
    "no base": (write("ears.json", "{}"), r"ears\.json: does not say which base"),
    "no sizes": (write("ears.json", '{"base": "x"}'), r"ears\.json: does not describe ears"),
    "no weights": (lose("ears.safetensors"), r"ears\.safetensors: no such file"),
    "cut weights": (cut("ears.safetensors", 9000), r"ears\.safetensors: is truncated: \d+ bytes of weights promised"),
    "empty weights": (write("ears.safetensors", ""), r"ears\.safetensors: is truncated: 0 bytes"),
    "no markers": (
        weights(lambda held: held.pop("markers"), "ears.safetensors"),
        r"ears\.safetensors: markers: is missing, ears\.json says \[2, 64\]",
    ),
    "another width": (
        weights(lambda held: held.update({"projector.3.weight": np.zeros((8, 24), np.float32)}), "ears.safetensors"),
        r"projector\.3\.weight: has the shape \[8, 24\], ears\.json says \[64, 24\]",
    ),
    "no layer": (
        weights(lambda held: [held.pop(name) for name in [*held] if ".layers.1." in name], "ears.safetensors"),
        r"ears\.safetensors: has 1 layers, ears\.json says 2",
    ),
    "no tensor of a layer": (
        weights(lambda held: held.pop("encoder.layers.1.fc1.weight"), "ears.safetensors"),
        r"ears\.safetensors: encoder\.layers\.1\.fc1\.weight: is missing",
    ),
    "LoRA without weights": (
        lambda folder: (folder / "lora").mkdir(),
        r"lora/adapter_model\.safetensors: no such",
    ),
    "decoder without description": (
        lambda folder: (folder / "decoder").mkdir(),
        r"decoder/decoder\.json: no such",
    ),
}


@pytest.fixture(scope="module")
def ears(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("ears") / "ears"
    encoder = {"d_model": 16, "encoder_layers": 2, "encoder_attention_heads": 2, "encoder_ffn_dim": 64}
    made = Ears.fresh(EarsConfig({**encoder, "num_mel_bins": 16}, 64, hidden=24), seed=0)
    made.save(folder, base="internvl-micro", revision=None)
    check_ears_folder(folder)
    return folder


@pytest.mark.parametrize("kind", EARS)
def test_a_folder_of_ears_that_cannot_be_used(kind: str, tmp_path: Path, ears: Path) -> None:
    spoil, line = EARS[kind]
    shutil.copytree(ears, tmp_path / "ears")
    spoil(tmp_path / "ears")
    with pytest.raises(InputError, match=line):
        check_ears_folder(tmp_path / "ears")


def test_a_bad_model_stops_a_run_before_its_first_stage(tmp_path: Path, tiny_checkpoints: dict[str, Path]) -> None:
    shutil.copytree(tiny_checkpoints["internvl"], tmp_path / "vlm")
    cut("model.safetensors", 50_000)(tmp_path / "vlm")
    write_data_folder(tmp_path / "own")
    (tmp_path / "own.toml").write_text(RECIPE)
    result = earwise(tmp_path, "run", "own.toml")
    assert result.code == 2
    assert result.stderr.startswith("earwise: vlm/model.safetensors: model.base: is truncated: ")
    assert result.stderr.count("\n") == 1
    assert not (tmp_path / "runs/own/stages").exists()
