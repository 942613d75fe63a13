"""Batched sampling: each prompt goes through the model once, whatever the number of its samples.

Shapes: B prompts, R = all their samples, L prompt tokens, H width, V vocabulary, D position dimensions.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import cast

import torch
from torch import Tensor
from transformers.cache_utils import DynamicCache

from earwise.models.batch import Pass
from earwise.models.decode import banned_ids, read_prompt, require
from earwise.models.omni import OmniModel
from earwise.traces.requests import Sampling


@dataclass
class Sampled:
    """One sample: its tokens without the stop token, and the log-probability of each, stop token included."""

    ids: list[int] = field(default_factory=list)
    logprobs: list[float] = field(default_factory=list)
    """In nats, under the model's own distribution: temperature 1, all of the vocabulary but banned tokens."""
    stopped: bool = False
    """Whether the model ended the answer; otherwise `max_tokens` did."""
    stop_id: int | None = None
    """The token with which it did."""


@torch.no_grad()
def sample(model: OmniModel, prompt: Pass, seeds: Sequence[Sequence[int]], sampling: Sampling) -> list[Sampled]:
    """`len(seeds[b])` samples of prompt b, prompt after prompt.

    Each sample is drawn with numbers of its own seed, so it does not depend on what is drawn beside it. Ids that stand
    for media and padding are never drawn: the next pass would look for features to put in their place.
    """
    rows = torch.tensor([b for b, some in enumerate(seeds) for _ in some], device=prompt.ids.device)
    draws = _uniform([seed for some in seeds for seed in some], sampling.max_tokens).to(rows.device)
    cache = DynamicCache(config=model.family.backbone.config)
    hidden, position, mask = read_prompt(model, prompt, prompt.mask, cache)
    hidden, position, mask = hidden[rows], position[:, rows], mask[rows]
    cache.reorder_cache(cast(torch.LongTensor, rows))
    stops = torch.tensor(model.family.stop_ids, device=rows.device)
    banned = torch.tensor(banned_ids(model.family), device=rows.device, dtype=torch.long)
    done = torch.zeros_like(rows, dtype=torch.bool)
    found = [Sampled() for _ in range(len(rows))]
    for step in range(sampling.max_tokens):
        token, logprob = choose(_logits(model, hidden, banned), draws[:, step], sampling)
        stop = torch.isin(token, stops)
        for row in torch.nonzero(~done).flatten().tolist():
            found[row].logprobs.append(float(logprob[row]))
            found[row].stopped = bool(stop[row])
            if found[row].stopped:
                found[row].stop_id = int(token[row])
            else:
                found[row].ids.append(int(token[row]))
        done |= stop
        if bool(done.all()) or step + 1 == sampling.max_tokens:
            break
        position = position + 1
        mask = torch.cat([mask, ~done[:, None]], dim=1)
        after = model.decode(model.family.embed(token[:, None]), mask, position[..., None], cache)
        hidden = require(after.last_hidden_state)[:, 0]
    return found


def choose(logits: Tensor, draws: Tensor, sampling: Sampling) -> tuple[Tensor, Tensor]:
    """(R,) one token for each row of (R, V) logits, and its log-probability at temperature 1.

    Temperature 0 takes the most likely one. Otherwise the numbers `draws` (R,), uniform in [0, 1), choose among the
    smallest set of most likely tokens whose probabilities at the temperature sum up to `top_p`.
    """
    logprobs = logits.log_softmax(-1)
    if sampling.temperature == 0:
        token = logits.argmax(-1)
    else:
        p, order = (logits / sampling.temperature).softmax(-1).double().sort(-1, descending=True)
        sums = p.cumsum(-1)
        size = ((sums - p) < sampling.top_p).sum(-1, keepdim=True)
        reached = draws[:, None] * sums.gather(-1, size - 1)
        place = torch.minimum(torch.searchsorted(sums, reached, right=True), size - 1)
        token = order.gather(-1, place)[:, 0]
    return token, logprobs.gather(-1, token[:, None])[:, 0]


def _logits(model: OmniModel, hidden: Tensor, banned: Tensor) -> Tensor:
    """(R, V) float32, without the head's padding rows; banned tokens are impossible."""
    head = model.family.head_weight[: model.family.vocabulary]
    logits = (hidden @ head.T.to(hidden.dtype)).float()
    return logits.index_fill(-1, banned, float("-inf"))


def _uniform(seeds: Sequence[int], steps: int) -> Tensor:
    """(R, steps) numbers in [0, 1), each row from its own seed."""
    rows = [torch.rand(steps, generator=torch.Generator().manual_seed(seed), dtype=torch.float64) for seed in seeds]
    return torch.stack(rows)
