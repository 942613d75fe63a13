"""What is saved of a LoRA is loaded by `peft` alone, onto the plain model that transformers reads."""

import json
import re

import pytest
import torch
from peft import PeftModel
from safetensors.torch import load_file, save_file
from test_lora import stir
from text_models import write_text_model
from tiny import FAMILIES, tiny_model
from tiny_families import NATIVE, PARTS, write_tiny_family

from earwise.errors import InputError
from earwise.models import OmniModel
from earwise.models.families import load_family
from earwise.models.lora import Lora

CASES = (*FAMILIES, *PARTS, "causal_lm")
TARGETS = ("q_proj", "v_proj", "down_proj")
ATTENTION = TARGETS[:2]
"""Of a mixture of experts, whose other layers are no linear modules."""


@pytest.fixture(scope="module")
def folders(tiny_checkpoints, tmp_path_factory):
    root = tmp_path_factory.mktemp("families")
    made = {name: write_tiny_family(root / name, name) for name in PARTS}
    return {**{name: tiny_checkpoints[name] for name in FAMILIES}, **made, "causal_lm": write_text_model(root / "text")}


def stirred(folder, family):
    model = tiny_model(folder, ears=family not in NATIVE)
    targets = ATTENTION if family == "qwen3_omni" else TARGETS
    model.lora = Lora.fresh(model.family.backbone, rank=3, alpha=6, dropout=0.0, targets=targets, seed=0)
    stir(model)
    return model


def logits(model, hidden):
    return hidden @ model.get_output_embeddings().weight.T


@pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing` is deprecated:FutureWarning")  # peft asks for it
@pytest.mark.parametrize("family", CASES)
def test_peft_loads_it_onto_the_plain_model_with_the_same_logits(family, folders, tmp_path):
    model = stirred(folders[family], family)
    model.save_ears(tmp_path)
    plain = load_family(str(folders[family])).model  # a model of transformers, as `from_pretrained` gives it
    ids = torch.randint(5, 40, (2, 9), generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        bare = plain(input_ids=ids).logits
        mine = model.base(input_ids=ids).logits
        adapted = PeftModel.from_pretrained(plain, tmp_path / "lora").eval()
        theirs = adapted(input_ids=ids).logits
    assert (mine - bare).abs().max() > 0.1
    torch.testing.assert_close(theirs, mine, atol=1e-5, rtol=0)
    trained = {name for name, _ in adapted.named_parameters() if "lora_" in name}
    assert len(trained) == len(load_file(tmp_path / "lora/adapter_model.safetensors"))  # none in a tower
    described = json.loads((tmp_path / "lora/adapter_config.json").read_text())
    assert described["base_model_name_or_path"] == str(folders[family])


def test_a_lora_of_before_is_still_read(folders, tmp_path):
    """Its names began in the decoder, and its config named layers only."""
    model = stirred(folders["internvl"], "internvl")
    model.save_ears(tmp_path)
    file, config = tmp_path / "lora/adapter_model.safetensors", tmp_path / "lora/adapter_config.json"
    tensors = {re.sub(r"^.*?(?=layers\.)", "", name): value for name, value in load_file(file).items()}
    assert min(tensors).startswith("layers.0.")
    save_file(tensors, file)
    described = json.loads(config.read_text())
    config.write_text(json.dumps(described | {"target_modules": list(TARGETS), "base_model_name_or_path": None}))
    again = OmniModel.from_pretrained(str(folders["internvl"]), tmp_path)
    for one, two in zip(model.lora.parameters(), again.lora.parameters(), strict=True):
        assert torch.equal(one, two)
    again.save_ears(tmp_path / "again")
    assert min(load_file(tmp_path / "again/lora/adapter_model.safetensors")).startswith("base_model.model.model.")


def test_a_lora_of_another_part_is_refused(folders, tmp_path):
    stirred(folders["qwen2_5_omni"], "qwen2_5_omni").save_ears(tmp_path)
    file = tmp_path / "lora/adapter_model.safetensors"
    save_file({name.replace("language_model", "audio_tower"): v for name, v in load_file(file).items()}, file)
    with pytest.raises(InputError, match=r"adapter_model.safetensors: .*(no weights for|belongs to another model)"):
        OmniModel.from_pretrained(str(folders["qwen2_5_omni"]), tmp_path)
