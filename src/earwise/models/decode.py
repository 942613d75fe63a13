"""Batched greedy decoding on top of a shared prefix, with prompts of ragged length.

Rows keep their right padding in the cache. A two-dimensional mask hides it and explicit positions count only real
tokens, so each row decodes exactly as it would alone. A sliding window also counts padding; models with one get the
padding before the prompt.
"""

from __future__ import annotations

from collections.abc import Generator
from typing import TYPE_CHECKING

import torch
from torch import Tensor
from transformers.cache_utils import DynamicCache

from earwise.models.segments import decoder_masks

if TYPE_CHECKING:
    from earwise.models.batch import Pass
    from earwise.models.families import Family
    from earwise.models.omni import OmniModel


Chosen = tuple[Tensor, Tensor] | tuple[Tensor, Tensor, Tensor]
"""(B,) the next token of each answer, and (B,) whether the answer has ended. A third tensor, (K,), names the rows that
go on: the others are dropped, and B is K from then on.
"""


def greedy(model: OmniModel, prompt: Pass, mask: Tensor, cache: DynamicCache, max_new_tokens: int) -> list[list[int]]:
    """Greedy continuation of each prompt, without the stop token, at most `max_new_tokens` long.

    Args:
        model: the model that answers.
        prompt: the tokens after the prefix, (B, L) right-padded.
        mask: (B, P + L) True where prefix or prompt has a token.
        cache: holds the prefix, or nothing; extended in place.
    """
    steps = decoding(model, prompt, mask, cache)
    logits = next(steps)
    stops = torch.tensor(model.family.stop_ids, device=logits.device)
    done = torch.zeros(len(logits), dtype=torch.bool, device=logits.device)
    answers: list[list[int]] = [[] for _ in range(len(logits))]
    for _ in range(max_new_tokens):
        token = logits.argmax(-1)
        done |= torch.isin(token, stops)
        for row in torch.nonzero(~done).flatten().tolist():
            answers[row].append(int(token[row]))
        if bool(done.all()):
            break
        logits = steps.send((token, done))
    return answers


def decoding(model: OmniModel, prompt: Pass, mask: Tensor, cache: DynamicCache) -> Generator[Tensor, Chosen, None]:
    """Yields (B, V) logits of the next token of each answer and is sent what was chosen; it never ends by itself.
    The arguments are those of `greedy`.
    """
    hidden, position, mask = read_prompt(model, prompt, mask, cache)
    while True:
        token, done, *kept = yield hidden @ model.family.head_weight.T.to(hidden.dtype)
        for rows in kept:
            cache.batch_select_indices(rows)
            token, done, position, mask = token[rows], done[rows], position[:, rows], mask[rows]
        position = position + 1
        mask = torch.cat([mask, ~done[:, None]], dim=1)
        step = model.decode(model.family.embed(token[:, None]), mask, position[..., None], cache)
        hidden = require(step.last_hidden_state)[:, 0]


def read_prompt(model: OmniModel, prompt: Pass, mask: Tensor, cache: DynamicCache) -> tuple[Tensor, Tensor, Tensor]:
    """Run the prompt into `cache`; the arguments are those of `greedy`.

    Returns the (B, H) states that predict the first token of each answer, the (D, B) positions of these states, and the
    mask (B, P + L) of the real tokens in the cache.
    """
    embeds, positions, images = model.embed(prompt, model.ears), prompt.positions, prompt.image_mask
    last = prompt.mask.sum(1) - 1
    if model.family.forgets:
        # A window counts everything in the cache: padding between a prompt and its answer would push the prompt out.
        embeds, positions, images, mask = _padded_before(embeds, positions, images, mask)
        last = torch.full_like(last, mask.shape[1] - 1)
    rows = torch.arange(len(last), device=last.device)
    seen = decoder_masks(model.family, mask, None, images, embeds.dtype)
    states = require(model.decode(embeds, seen, positions, cache).last_hidden_state)
    return states[rows, last], positions[:, rows, last], mask


def _padded_before(
    embeds: Tensor, positions: Tensor, images: Tensor, mask: Tensor
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """The arguments, (B, L, H), (D, B, L) and twice (B, L), with each row's padding moved to its beginning."""
    length = mask.shape[1]
    places = (torch.arange(length, device=mask.device) - (length - mask.sum(1))[:, None]) % length
    return (
        embeds.gather(1, places[..., None].expand_as(embeds)),
        positions.gather(2, places.expand_as(positions)),
        images.gather(1, places),
        mask.gather(1, places),
    )


def require(tensor: Tensor | None) -> Tensor:
    """`tensor`, which Hugging Face declares as optional and always returns here."""
    if tensor is None:
        raise AssertionError("the decoder gave no hidden states")
    return tensor


def banned_ids(family: Family) -> list[int]:
    """Ids that no answer may hold: placeholders of media, and padding where it does not also end an answer."""
    padding = family.tokenizer.pad_token_id
    return sorted({*family.placeholder_ids, *([] if padding is None else [padding])} - {*family.stop_ids})
