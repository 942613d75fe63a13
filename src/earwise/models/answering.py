"""Answers to prompts of unlike samples and views in one batch, token by token: greedy ones or samples.

Shapes: B prompts, V vocabulary.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from earwise.models.batch import collate_mixed
from earwise.models.decode import banned_ids, decoding
from earwise.models.layout import Layout
from earwise.models.omni import OmniModel, fresh_cache


@dataclass(frozen=True)
class Wish:
    """How a prompt is to be answered."""

    max_new_tokens: int
    temperature: float = 0.0
    """0 answers greedily, exactly as `OmniModel.generate`."""
    top_p: float = 1.0
    """Only the smallest set of most likely tokens with this probability is drawn from."""
    seed: int = 0
    """Of the draws. An answer does not depend on what is drawn beside it."""
    bias: tuple[tuple[int, float], ...] = ()
    """Added to the logits of these tokens."""
    alternatives: int | None = None
    """Number of likely tokens that are reported beside each token; None reports no log-probability."""


@dataclass(frozen=True)
class Token:
    """One token of an answer."""

    id: int
    ends: bool
    """Whether it is a stop token, which is no part of the answer."""
    logprob: float | None = None
    """In nats, at temperature 1 over the whole vocabulary."""
    alternatives: tuple[tuple[int, float], ...] = ()
    """The most likely tokens, with their log-probabilities."""


@torch.no_grad()
def answer(
    model: OmniModel, prompts: Sequence[Layout], wishes: Sequence[Wish], take: Callable[[int, Token], bool]
) -> None:
    """Answer all prompts. `take(row, token)` gets each token as it is chosen and returns whether its row goes on.

    A row also ends behind a stop token and at its `max_new_tokens`.
    """
    batch = collate_mixed(prompts, model.family).to(model.device)
    past = model.prefix(batch.prefix) if batch.prefix is not None else []
    own = [(keys[batch.group], values[batch.group]) for keys, values in past]
    steps = decoding(model, batch.rows, batch.mask, fresh_cache(own, model.family))
    rows = [_Row(model, wish) for wish in wishes]
    alive = list(range(len(rows)))
    """The row of each answer in the batch."""
    done = torch.zeros(len(rows), dtype=torch.bool)
    logits = next(steps)
    while True:
        greedy = logits.argmax(-1).cpu()
        token = greedy.clone()
        for place in torch.nonzero(~done).flatten().tolist():
            row = rows[alive[place]]
            chosen = row.choose(logits[place], int(greedy[place]))
            token[place] = chosen.id
            done[place] = not take(alive[place], chosen) or chosen.ends or row.is_full
        if bool(done.all()):
            return
        left = torch.nonzero(~done).flatten()
        if len(left) <= len(done) // 2:  # Ended answers would be computed until the last one ends.
            logits = steps.send((token.to(model.device), done.to(model.device), left.to(model.device)))
            alive, done = [alive[place] for place in left.tolist()], done[left]
        else:
            logits = steps.send((token.to(model.device), done.to(model.device)))


class _Row:
    """Chooses the tokens of one answer."""

    def __init__(self, model: OmniModel, wish: Wish) -> None:
        family = model.family
        self._wish, self._stops, self._vocabulary = wish, family.stop_ids, family.vocabulary
        self._banned = banned_ids(family)
        self._random = torch.Generator().manual_seed(wish.seed)
        self._count = 0

    @property
    def is_full(self) -> bool:
        """Whether no token may follow."""
        return self._count >= self._wish.max_new_tokens

    def choose(self, logits: Tensor, greedy: int) -> Token:
        """The next token, from (V,) logits."""
        wish = self._wish
        self._count += 1
        if wish.bias:
            ids, values = zip(*wish.bias, strict=True)
            logits = logits.index_add(0, torch.tensor(ids, device=logits.device), logits.new_tensor(values))
            greedy = int(logits.argmax())
        drawn = greedy if wish.temperature == 0 else self._draw(logits)
        ends = drawn in self._stops
        if wish.alternatives is None:
            return Token(drawn, ends)
        logprobs = logits[: self._vocabulary].float().log_softmax(-1).cpu()
        best = logprobs.topk(min(wish.alternatives, len(logprobs)))
        likely = tuple(zip(best.indices.tolist(), best.values.tolist(), strict=True))
        return Token(drawn, ends, float(logprobs[drawn]), likely)

    def _draw(self, logits: Tensor) -> int:
        """A token at the wish's temperature, from the tokens that `top_p` keeps. Placeholders of media and padding are
        never drawn: the next step would look for features to put in their place.
        """
        kept = logits[: self._vocabulary].float().cpu()
        kept = kept.index_fill(-1, torch.tensor(self._banned, dtype=torch.long), float("-inf"))
        p, order = (kept / self._wish.temperature).softmax(-1).double().sort(descending=True)
        nucleus = p * ((p.cumsum(-1) - p) < self._wish.top_p)
        return int(order[torch.multinomial(nucleus, 1, generator=self._random)])
