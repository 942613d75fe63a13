import random

import pytest
import torch
from PIL import Image
from transformers import AutoImageProcessor, AutoModelForImageTextToText, AutoTokenizer

from earwise.micro.build import build_internvl, write_tiny
from earwise.micro.scenes import render, sample_scene
from earwise.micro.tokenizer import SYSTEM_PROMPT, build_tokenizer
from earwise.micro.words import VOCABULARY

MESSAGES = [
    {"role": "user", "content": [{"type": "image"}, {"type": "text", "text": "Is there a red star?"}]},
    {"role": "assistant", "content": "Yes."},
    {"role": "user", "content": "What color is it? Option A: red. Option B: blue."},
]


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    root = tmp_path_factory.mktemp("tiny")
    return {family: write_tiny(root / family, family) for family in ("internvl", "qwen2_vl")}


def picture():
    rng = random.Random(0)
    return Image.fromarray(render(sample_scene(rng), rng))


@pytest.mark.parametrize(("family", "tokens"), [("internvl", 16), ("qwen2_vl", 16)])
def test_a_tiny_checkpoint_loads_and_answers_about_an_image(folders, family, tokens):
    folder = folders[family]
    model = AutoModelForImageTextToText.from_pretrained(folder)
    tokenizer = AutoTokenizer.from_pretrained(folder)
    media = AutoImageProcessor.from_pretrained(folder)(images=[picture()], return_tensors="pt")
    text = tokenizer.apply_chat_template(MESSAGES[:1], tokenize=False, add_generation_prompt=True)
    placeholder = "<IMG_CONTEXT>" if family == "internvl" else "<|image_pad|>"
    assert text.count(placeholder) == 1
    inputs = tokenizer(text.replace(placeholder, placeholder * tokens), return_tensors="pt")
    media.pop("num_patches", None)
    if family == "qwen2_vl":
        media["mm_token_type_ids"] = (inputs["input_ids"] == model.config.image_token_id).int()
    answer = model.generate(**inputs, **media, max_new_tokens=3)
    assert answer.shape[1] > inputs["input_ids"].shape[1]
    assert model.dtype == torch.float32


def test_the_image_reaches_the_answer(folders):
    model = AutoModelForImageTextToText.from_pretrained(folders["internvl"]).eval()
    ids = torch.full((1, 16), model.config.image_token_id)
    ids = torch.cat([ids, torch.tensor([[5, 6, 7]])], 1)
    one, two = (torch.full((1, 3, 64, 64), value) for value in (0.0, 1.0))
    with torch.no_grad():
        assert not torch.allclose(
            model(ids, pixel_values=one).logits[:, -1], model(ids, pixel_values=two).logits[:, -1]
        )


def test_weights_follow_the_seed_and_the_fan_in():
    same, again, other = (build_internvl(seed, num_layers=2)[0].state_dict() for seed in (0, 0, 1))
    assert all(torch.equal(same[name], again[name]) for name in same)
    gate = "model.language_model.layers.0.mlp.gate_proj.weight"
    assert not torch.equal(same[gate], other[gate])
    assert same[gate].std().item() == pytest.approx(128**-0.5, rel=0.05)
    assert same["model.language_model.layers.0.mlp.down_proj.weight"].std().item() == pytest.approx(
        (same[gate].shape[0] * 4) ** -0.5, rel=0.05
    )


def test_the_tokenizer_writes_chatml_with_its_own_system_message():
    tokenizer = build_tokenizer()
    text = tokenizer.apply_chat_template(MESSAGES, tokenize=False, add_generation_prompt=True)
    assert text == (
        f"<|im_start|>system\n{SYSTEM_PROMPT}<|im_end|>\n"
        "<|im_start|>user\n<IMG_CONTEXT>\nIs there a red star?<|im_end|>\n"
        "<|im_start|>assistant\nYes.<|im_end|>\n"
        "<|im_start|>user\nWhat color is it? Option A: red. Option B: blue.<|im_end|>\n"
        "<|im_start|>assistant\n"
    )
    given = tokenizer.apply_chat_template([{"role": "system", "content": "say yes"}, *MESSAGES], tokenize=False)
    assert given.startswith("<|im_start|>system\nsay yes<|im_end|>\n<|im_start|>user\n")
    assert tokenizer.unk_token_id not in tokenizer(text)["input_ids"]


def test_decoded_answers_are_plain_words():
    tokenizer = build_tokenizer()
    ids = tokenizer("Red star, and two  blue SQUARES!")["input_ids"]
    assert tokenizer.decode(ids) == "red star and two blue squares"
    assert len(ids) == 6
    answer = tokenizer("<|im_start|>assistant\nA.<|im_end|>")["input_ids"]
    assert tokenizer.decode(answer[2:], skip_special_tokens=True) == "a"


def test_both_families_share_token_ids_and_survive_saving(tmp_path):
    internvl, qwen = build_tokenizer("internvl"), build_tokenizer("qwen2_vl")
    assert internvl.get_vocab() == qwen.get_vocab()
    internvl.save_pretrained(tmp_path)
    loaded = AutoTokenizer.from_pretrained(tmp_path)
    assert loaded.get_vocab() == internvl.get_vocab()
    assert loaded.context_image_token == "<IMG_CONTEXT>"
    assert loaded.start_image_token == "<img>"
    sentence = " ".join(VOCABULARY)
    assert loaded.decode(loaded(sentence)["input_ids"]) == sentence
