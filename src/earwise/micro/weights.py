"""Weights and shared configuration of tiny checkpoints.

Weights have a standard deviation of fan_in^-0.5. Hugging Face's default of 0.02 suits widths of thousands; at a width
of 128, every layer's output is then close to zero and training stalls for thousands of steps.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import nn
from transformers import GenerationConfig, PreTrainedModel, PreTrainedTokenizerFast


def text_sizes(
    tokenizer: PreTrainedTokenizerFast, hidden: int, intermediate: int, layers: int, heads: int, key_value_heads: int
) -> dict[str, Any]:
    """The fields of a decoder's configuration."""
    return {
        "vocab_size": len(tokenizer),
        "hidden_size": hidden,
        "intermediate_size": intermediate,
        "num_hidden_layers": layers,
        "num_attention_heads": heads,
        "num_key_value_heads": key_value_heads,
        "max_position_embeddings": 2048,
        "tie_word_embeddings": False,
        "bos_token_id": None,
        "eos_token_id": tokenizer.eos_token_id,
        "pad_token_id": tokenizer.pad_token_id,
    }


@torch.no_grad()
def draw_weights(model: PreTrainedModel, seed: int) -> None:
    """Draw every matrix from N(0, 1 / fan_in); norms, biases and layer scales keep their constants.

    A token embedding has a fan-in of one. Matrices that write into the language model's residual stream are scaled by a
    further (2 x layers)^-0.5, so that the stream keeps its scale and the embeddings stay visible in it.
    """
    generator = torch.Generator().manual_seed(seed)
    depth = model.config.get_text_config().num_hidden_layers
    for name, parameter in model.named_parameters():
        if name.endswith("embed_tokens.weight"):
            parameter.normal_(0.0, 1.0, generator=generator)
        elif name.endswith(("position_embeddings", "cls_token")):
            parameter.normal_(0.0, 0.5, generator=generator)
        elif parameter.ndim > 1:
            parameter.normal_(0.0, parameter[0].numel() ** -0.5, generator=generator)
            if name.endswith(("self_attn.o_proj.weight", "mlp.down_proj.weight")):
                parameter.mul_((2 * depth) ** -0.5)
        elif name.endswith("bias"):
            nn.init.zeros_(parameter)


def stop_at_turn_end(model: PreTrainedModel, tokenizer: PreTrainedTokenizerFast) -> None:
    """Set greedy answers that end where the chat template ends a turn."""
    model.generation_config = GenerationConfig(
        eos_token_id=tokenizer.eos_token_id, pad_token_id=tokenizer.pad_token_id, do_sample=False
    )
