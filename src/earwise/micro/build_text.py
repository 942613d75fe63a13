"""A tiny checkpoint of a text model: a Qwen3 with small dimensions."""

from __future__ import annotations

from collections.abc import Sequence

from transformers import PreTrainedTokenizerFast, Qwen3Config, Qwen3ForCausalLM

from earwise.micro.tokenizer import build_tokenizer
from earwise.micro.weights import draw_weights, stop_at_turn_end, text_sizes
from earwise.micro.words import VOCABULARY


def build_causal_lm(
    seed: int,
    *,
    hidden_size: int = 96,
    intermediate_size: int = 192,
    num_layers: int = 6,
    num_heads: int = 4,
    num_key_value_heads: int = 2,
    words: Sequence[str] = VOCABULARY,
    reasoning: bool = False,
) -> tuple[Qwen3ForCausalLM, PreTrainedTokenizerFast]:
    """A Qwen3 and its tokenizer, which shares its words with the families that see or hear.

    `words` and `reasoning` are those of `build_tokenizer`.
    """
    tokenizer = build_tokenizer("causal_lm", words, reasoning=reasoning)
    sizes = text_sizes(tokenizer, hidden_size, intermediate_size, num_layers, num_heads, num_key_value_heads)
    model = Qwen3ForCausalLM(Qwen3Config(**sizes, head_dim=hidden_size // num_heads))
    draw_weights(model, seed)
    stop_at_turn_end(model, tokenizer)
    return model, tokenizer
