"""Batched greedy decoding on top of a shared prefix, with prompts of ragged length.

Rows keep their right padding in the cache; a two-dimensional mask hides it and explicit positions count only real
tokens, so each row decodes exactly as it would alone.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor
from transformers.cache_utils import DynamicCache

if TYPE_CHECKING:
    from earwise.models.batch import Pass
    from earwise.models.omni import OmniModel


def greedy(model: OmniModel, prompt: Pass, mask: Tensor, cache: DynamicCache, max_new_tokens: int) -> list[list[int]]:
    """Most likely continuation of each prompt, without the stop token, at most `max_new_tokens` long.

    Args:
        model: the model that answers.
        prompt: the tokens after the prefix, (B, L) right-padded.
        mask: (B, P + L) True where prefix or prompt has a token.
        cache: holds the prefix, or nothing; it is extended in place.
    """
    last = prompt.mask.sum(1) - 1
    rows = torch.arange(len(last), device=last.device)
    position = prompt.positions[:, rows, last]  # (D, B): the next token follows the last real one in every dimension
    prompted = model.decode(model.embed(prompt, model.ears), mask, prompt.positions, cache)
    hidden = require(prompted.last_hidden_state)[rows, last]
    stops = torch.tensor(model.family.stop_ids, device=last.device)
    done = torch.zeros_like(last, dtype=torch.bool)
    answers: list[list[int]] = [[] for _ in range(len(last))]
    for _ in range(max_new_tokens):
        token = (hidden @ model.family.head_weight.T.to(hidden.dtype)).argmax(-1)
        done |= torch.isin(token, stops)
        for row in torch.nonzero(~done).flatten().tolist():
            answers[row].append(int(token[row]))
        if bool(done.all()):
            break
        position = position + 1
        mask = torch.cat([mask, ~done[:, None]], dim=1)
        step = model.decode(model.family.embed(token[:, None]), mask, position[..., None], cache)
        hidden = require(step.last_hidden_state)[:, 0]
    return answers


def require(tensor: Tensor | None) -> Tensor:
    """`tensor`, which Hugging Face declares as optional and always gives here."""
    if tensor is None:
        raise AssertionError("the decoder gave no hidden states")
    return tensor
