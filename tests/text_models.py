"""Tiny text models of real architectures as teachers, and samples with a sound and its description."""

from dataclasses import replace
from pathlib import Path

import torch
from tiny import tiny_samples
from tiny_families import draw_weights
from transformers import GenerationConfig, GPT2Config, GPT2LMHeadModel, LlamaConfig, LlamaForCausalLM, Qwen3Config
from transformers import Qwen3ForCausalLM as Qwen3

from earwise.micro.tokenizer import build_tokenizer
from earwise.models import Sample
from earwise.models.sample import Sound

TEMPLATE = (
    "{% for message in messages %}<|im_start|>{{ message.role }}\n"
    "{% if message.role == 'assistant' %}<think>\n\n</think>\n\n{% endif %}"
    "{{ message.content }}<|im_end|>\n{% endfor %}"
)
"""As Qwen3's without thinking: no system message, and an empty reasoning before the answer."""
DESCRIPTIONS = ("a red circle and a star", "two stars", "a blue circle is left", "a green star and two circles")


def text_tokenizer():
    """The laboratory's words with special tokens of its own after them."""
    tokenizer = build_tokenizer("internvl")
    tokenizer.add_tokens(["<think>", "</think>"], special_tokens=True)
    tokenizer.chat_template = TEMPLATE
    return tokenizer


def write_text_model(folder: Path, architecture="qwen3", *, width=48, layers=3, seed=1, tokenizer=None) -> Path:
    """A random causal language model, wider and deeper than the tiny students, with padded rows in its head."""
    tokenizer = tokenizer or text_tokenizer()
    size = {
        "vocab_size": len(tokenizer) + 13, "hidden_size": width, "intermediate_size": 2 * width,
        "num_hidden_layers": layers, "num_attention_heads": 4, "num_key_value_heads": 2,
        "max_position_embeddings": 512, "tie_word_embeddings": False,
    }  # fmt: skip
    if architecture == "qwen3":
        model = Qwen3(Qwen3Config(**size, head_dim=width // 4))
    elif architecture == "llama":
        model = LlamaForCausalLM(LlamaConfig(**size))
    else:
        config = GPT2Config(
            vocab_size=len(tokenizer) + 13, n_embd=width, n_layer=layers, n_head=4, bos_token_id=None,
            eos_token_id=tokenizer.eos_token_id,
        )  # fmt: skip
        model = GPT2LMHeadModel(config)
    draw_weights(model, seed)
    model.generation_config = GenerationConfig(eos_token_id=tokenizer.eos_token_id)
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def described_sounds(folder: Path, count: int = 4) -> list[Sample]:
    """Samples about a sound of 0.6 s and more, with a description of it and a typed question."""
    samples = []
    for n, sample in enumerate(tiny_samples(folder, count)):
        turn = sample.turns[0]
        bare = replace(turn, clip=None, num_samples=0, description=DESCRIPTIONS[n % 4])
        samples.append(Sample((bare,), sound=Sound(turn.clip, turn.num_samples)))
    return samples


def losses(objective, model, samples):
    """Values of every term for one batch of `samples`."""
    return objective.values(objective.states(model, objective.collate(samples)["batch"]))


def largest_gradient(model):
    """Of the ears."""
    return max(float(p.grad.abs().max()) for p in model.ears.parameters() if p.grad is not None)


def in_float64(shape, seed):
    """Random states that gradcheck can work with."""
    return torch.randn(shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))
