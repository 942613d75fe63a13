"""A word-level tokenizer with ChatML tokens, as a fast Hugging Face tokenizer.

Text is lower-cased and punctuation is dropped, because a spoken question has neither. So a decoded answer is plain
words that every scorer reads. One vocabulary serves both model families, whose processors look for different names of
the image tokens.
"""

from __future__ import annotations

from tokenizers import Regex, Tokenizer, models, normalizers, pre_tokenizers
from transformers import PreTrainedTokenizerFast

from earwise.micro.words import VOCABULARY

SYSTEM_PROMPT = "You are a helpful assistant."
"""Stands first in every conversation that brings no system message of its own."""

CHAT_TEMPLATE = (
    "{% for message in messages %}"
    "{% if loop.first and message['role'] != 'system' %}"
    "<|im_start|>system\n" + SYSTEM_PROMPT + "<|im_end|>\n"
    "{% endif %}"
    "<|im_start|>{{ message['role'] }}\n"
    "{% if message['content'] is string %}{{ message['content'] }}"
    "{% else %}{% for part in message['content'] %}"
    "{% if part['type'] == 'image' %}IMAGE\n{% elif part['type'] == 'text' %}{{ part['text'] }}{% endif %}"
    "{% endfor %}{% endif %}"
    "<|im_end|>\n"
    "{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)

_IMAGE_PART = {"internvl": "<IMG_CONTEXT>", "qwen2_vl": "<|vision_start|><|image_pad|><|vision_end|>"}
_ROLES = ("system", "user")
_INTERNVL = {
    "start_image_token": "<img>",
    "end_image_token": "</img>",
    "context_image_token": "<IMG_CONTEXT>",
    "video_token": "<|video_pad|>",
}
_QWEN2_VL = {
    "image_token": "<|image_pad|>",
    "video_token": "<|video_pad|>",
    "vision_start_token": "<|vision_start|>",
    "vision_end_token": "<|vision_end|>",
}
_SPECIAL = (
    "<|im_end|>",
    *_INTERNVL.values(),
    "<|im_start|>",
    "<|image_pad|>",
    "<|vision_start|>",
    "<|vision_end|>",
)


def build_tokenizer(family: str = "internvl") -> PreTrainedTokenizerFast:
    """The laboratory's tokenizer for one family, `internvl` or `qwen2_vl`; token ids are the same for both."""
    words = ["<|endoftext|>", "<unk>", *_ROLES, *VOCABULARY]
    core = Tokenizer(models.WordLevel({word: index for index, word in enumerate(words)}, unk_token="<unk>"))
    core.normalizer = normalizers.Sequence([normalizers.Lowercase(), normalizers.Replace(Regex(r"[^a-z]+"), " ")])
    core.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    core.add_special_tokens(list(_SPECIAL))
    return PreTrainedTokenizerFast(
        tokenizer_object=core,
        unk_token="<unk>",
        pad_token="<|endoftext|>",
        eos_token="<|im_end|>",
        clean_up_tokenization_spaces=False,
        extra_special_tokens=_INTERNVL if family == "internvl" else _QWEN2_VL,
        chat_template=CHAT_TEMPLATE.replace("IMAGE", _IMAGE_PART[family]),
    )
