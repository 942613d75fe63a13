"""A word-level tokenizer with ChatML tokens, as a fast Hugging Face tokenizer.

Text is lower-cased and punctuation is dropped, because a spoken question has neither. So a decoded answer is plain
words that every scorer reads. One vocabulary serves all model families, whose processors need different names of the
image tokens.

A model that reasons also writes full stops after its claims, and the tags of the think/answer format. They are ordinary
tokens, so decoding keeps them.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, Literal

from tokenizers import AddedToken, Regex, Tokenizer, models, normalizers, pre_tokenizers
from transformers import PreTrainedTokenizerFast

from earwise.micro.words import VOCABULARY

SYSTEM_PROMPT = "You are a helpful assistant."
"""Default system message of a conversation."""

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

Family = Literal["internvl", "qwen2_vl", "qwen2_audio", "causal_lm"]
"""`causal_lm` is a text model, which needs only the special tokens of a conversation."""

REASONING: Final = ("<think>", "</think>", "<answer>", "</answer>", ".")
"""Tokens of a chain of reasoning other than words."""

_IMAGE_PART = {"internvl": "<IMG_CONTEXT>", "qwen2_vl": "<|vision_start|><|image_pad|><|vision_end|>"}
_AUDIO_PART = "Audio {{ sounds.number }}: <|audio_bos|><|AUDIO|><|audio_eos|>\n"
"""As in the published Qwen2-Audio; the normaliser drops its digits."""
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
_OF_A_TURN = ("<|im_end|>", "<|im_start|>")
"""As in published models of one vocabulary, all families share the id of the first token, but not of the second."""

_AUDIO_WORD = "audio"
_AUDIO = ("<|AUDIO|>", "<|audio_bos|>", "<|audio_eos|>")


def build_tokenizer(
    family: Family = "internvl", words: Sequence[str] = VOCABULARY, *, reasoning: bool = False
) -> PreTrainedTokenizerFast:
    """The laboratory's tokenizer for one family, with these `words`.

    Token ids are the same for all families with the same arguments, with two exceptions. Without `reasoning`, only a
    family that hears has the audio tokens, after all others. A text model (`causal_lm`) shares only the words and the
    token that ends a turn.

    With `reasoning`, the marks of a chain (`REASONING`) are tokens, too; otherwise, and for a text model, they are
    dropped as punctuation.
    """
    hears = reasoning or family == "qwen2_audio"
    reads = family == "causal_lm"
    known = list(dict.fromkeys(["<|endoftext|>", "<unk>", *_ROLES, *words, *([_AUDIO_WORD] if hears else [])]))
    core = Tokenizer(models.WordLevel({word: index for index, word in enumerate(known)}, unk_token="<unk>"))
    core.normalizer = normalizers.Sequence([normalizers.Lowercase(), normalizers.Replace(Regex(r"[^a-z]+"), " ")])
    core.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    core.add_special_tokens(list(_OF_A_TURN if reads else _SPECIAL))
    if reasoning and not reads:
        core.add_tokens([AddedToken(text, normalized=False) for text in REASONING])
    if hears and not reads:
        core.add_special_tokens(list(_AUDIO))
    return PreTrainedTokenizerFast(
        tokenizer_object=core,
        unk_token="<unk>",
        pad_token="<|endoftext|>",
        eos_token="<|im_end|>",
        clean_up_tokenization_spaces=False,
        extra_special_tokens={} if reads else _INTERNVL if family == "internvl" else _QWEN2_VL,
        chat_template=_chat_template(family),
    )


def _chat_template(family: Family) -> str:
    if family == "causal_lm":
        return CHAT_TEMPLATE
    if family in _IMAGE_PART:
        return CHAT_TEMPLATE.replace("IMAGE", _IMAGE_PART[family])
    audio = "{% if part['type'] == 'audio' %}{% set sounds.number = sounds.number + 1 %}" + _AUDIO_PART
    counted = CHAT_TEMPLATE.replace("{% if part['type'] == 'image' %}IMAGE\n", audio)
    return "{% set sounds = namespace(number=0) %}" + counted
