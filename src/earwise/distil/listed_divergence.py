"""Divergences from a teacher behind a server, which lists only its most likely words with their log-probabilities.

The outcomes at a token are the listed words and one more, the **rest**: all other words of the shared vocabulary
together. `T(o)` and `S(o)` are the two sides' probabilities of outcome o; `S(rest)` is 1 minus the sum over listed
words.

* `forward_kl`: `sum_o T(o) (log T(o) - log S(o))`
* `jsd`: `a KL(T || M) + (1 - a) KL(S || M)` with `M = a T + (1 - a) S` and `a = teacher_share`

in nats. Merging words never increases a divergence (data processing inequality). So this is at most the divergence over
all words, and equal to it if all are listed. The student learns nothing about words within the rest.

Listed words that the student does not have are removed and the teacher's distribution is renormalised, just as the head
of a live teacher is cut before the softmax. Such words that are not listed stay in the rest.

Shapes: N tokens, K listed words, H width, V vocabulary.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from earwise.distil.divergence import Gradients, Tiling, wide_zeros

ListedKind = Literal["forward_kl", "jsd"]


class Listed(NamedTuple):
    """The listed part of a teacher's next-token distributions."""

    ids: Tensor
    """(N, K) word ids, no duplicates in a row; -1 where fewer than K are listed."""
    logprobs: Tensor
    """(N, K) nats; -inf where the id is -1."""


def listed_divergence(
    student_hidden: Tensor,
    student_weight: Tensor,
    listed: Listed,
    kind: ListedKind = "forward_kl",
    teacher_share: float = 0.5,
    *,
    vocab_size: int | None = None,
    tiling: Tiling | None = None,
) -> Tensor:
    """(N,) nats; formulas at the top of this module.

    The logits of only one block of tokens exist at a time, in float32 (float64 for float64 inputs). Gradient flows to
    `student_hidden`, and to `student_weight` if it requires a gradient.

    Args:
        student_hidden: (N, H).
        student_weight: (V, H) head.
        listed: the teacher's words.
        kind: which divergence. The reverse KL is not available: it depends on every word that the student likes.
        teacher_share: the teacher's share of the mixture, in (0, 1); `jsd` only.
        vocab_size: number of words that both models have: rows of the head and listed words beyond it are left out.
        tiling: replaces the tiling chosen by device.
    """
    weight = student_weight[:vocab_size]
    plan = _Plan(kind, teacher_share, tiling or Tiling.for_device(student_hidden.device))
    outcomes = _outcomes(listed, len(weight))
    if not torch.is_grad_enabled():
        student_hidden, weight = student_hidden.detach(), weight.detach()
    value: Tensor = _ListedDivergence.apply(student_hidden, weight, outcomes, plan)
    return value


@dataclass(frozen=True, slots=True)
class _Plan:
    kind: ListedKind
    teacher_share: float
    tiling: Tiling


class _Outcomes(NamedTuple):
    """The teacher's side, in float64; each row of `listed` and `rest` sums to 1."""

    ids: Tensor
    """(N, K); V, one past the last word, where nothing is listed."""
    listed: Tensor
    """(N, K) probabilities, 0 where nothing is listed."""
    rest: Tensor
    """(N, 1)"""

    def block(self, tokens: slice) -> _Outcomes:
        return _Outcomes(*(part[tokens] for part in self))


def _outcomes(listed: Listed, vocabulary: int) -> _Outcomes:
    """The teacher's probabilities over the words below `vocabulary` and the rest."""
    mass = listed.logprobs.double().exp()
    known = (listed.ids >= 0) & (listed.ids < vocabulary)
    rest = (1 - mass.sum(1, keepdim=True)).clamp(min=0)  # rounded log-probabilities may sum to a little more than 1
    mass = mass.where(known, 0.0)
    complete = known.sum(1, keepdim=True) >= vocabulary
    rest = rest.where(~complete, 0.0)
    total = mass.sum(1, keepdim=True) + rest
    # If the student has none of the listed words, the list says nothing: all is rest, and the value is 0.
    rest = rest.where(total > 0, 1.0)
    total = total.where(total > 0, 1.0)
    return _Outcomes(listed.ids.where(known, vocabulary), mass / total, rest / total)


class _ListedDivergence(torch.autograd.Function):
    """Frozen head: forward computes the gradient for an output gradient of 1. Trainable head: backward recomputes."""

    @staticmethod
    def forward(ctx: Any, hidden: Tensor, weight: Tensor, outcomes: _Outcomes, plan: _Plan) -> Tensor:
        hidden_grad, ctx.head_grad = ctx.needs_input_grad[:2]
        ctx.plan, ctx.outcomes, ctx.dtype = plan, outcomes, hidden.dtype
        grads = Gradients(wide_zeros(hidden)) if hidden_grad and not ctx.head_grad else None
        with torch.autocast(hidden.device.type, enabled=False):
            values = _walk(hidden, weight, outcomes, plan, grads)
        if ctx.head_grad:
            ctx.save_for_backward(hidden, weight)
        elif grads is not None:
            ctx.save_for_backward(grads.hidden)
        return values

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        if not ctx.head_grad:
            (unit,) = ctx.saved_tensors
            return (unit * grad[:, None]).to(ctx.dtype), None, None, None
        hidden, weight = ctx.saved_tensors
        hidden_grad, weight_grad = wide_zeros(hidden), wide_zeros(weight)
        with torch.autocast(hidden.device.type, enabled=False):
            _walk(hidden, weight, ctx.outcomes, ctx.plan, Gradients(hidden_grad, weight_grad, grad[:, None]))
        return hidden_grad.to(hidden.dtype), weight_grad.to(weight.dtype), None, None


@torch.no_grad()
def _walk(hidden: Tensor, weight: Tensor, outcomes: _Outcomes, plan: _Plan, grads: Gradients | None) -> Tensor:
    """Values of all tokens, block by block; adds to `grads` if given."""
    dtype = torch.promote_types(torch.promote_types(hidden.dtype, weight.dtype), torch.float32)
    rows, tile = plan.tiling.block_tokens(len(weight), dtype), plan.tiling.vocab_tile
    values = hidden.new_zeros(len(hidden), dtype=dtype)
    for start in range(0, len(hidden), rows):
        block = slice(start, min(start + rows, len(hidden)))
        states = hidden[block].to(dtype)
        # The extra last column takes the ids of rows that list fewer than K words.
        logits = states.new_empty(len(states), len(weight) + 1)
        for at in range(0, len(weight), tile):
            words = weight[at : at + tile].to(dtype)
            torch.mm(states, words.T, out=logits[:, at : at + len(words)])
        logits[:, -1] = -torch.inf
        values[block], grad = _diverge(logits, outcomes.block(block), plan)
        if grads is None:
            continue
        if grads.scale is not None:
            grad *= grads.scale[block]
        for at in range(0, len(weight), tile):
            words = weight[at : at + tile].to(dtype)
            part = grad[:, at : at + len(words)]
            grads.hidden[block].addmm_(part, words)
            if grads.weight is not None:
                grads.weight[at : at + len(words)].addmm_(part.T, states)
    return values


def _diverge(logits: Tensor, outcomes: _Outcomes, plan: _Plan) -> tuple[Tensor, Tensor]:
    """Values (tokens,) of a block and their gradient (tokens, V + 1) with respect to the logits, which are overwritten.
    Let `g(o)` be the derivative by `log S(o)` and `G` its sum. The gradient at a listed word is `g - S G`. At a word of
    the rest it is the word's share of the rest times `g(rest) - S(rest) G`.
    """
    total = _log_sum(logits)
    log_listed = logits.gather(1, outcomes.ids).double() - total
    logits.scatter_(1, outcomes.ids, -torch.inf)
    rest_sum = _log_sum(logits)
    log_s = torch.cat([log_listed, rest_sum - total], 1)
    t = torch.cat([outcomes.listed, outcomes.rest], 1)
    s = log_s.exp()
    if plan.kind == "forward_kl":
        values = (torch.special.xlogy(t, t) - (t * log_s).where(t > 0, 0.0)).sum(1)
        slopes = -t
    else:
        share = plan.teacher_share
        mixture = share * t + (1 - share) * s
        own = torch.special.xlogy(s, s) - torch.special.xlogy(s, mixture)
        values = (share * (torch.special.xlogy(t, t) - torch.special.xlogy(t, mixture)) + (1 - share) * own).sum(1)
        slopes = (1 - share) * own
    slopes_and_shares = slopes - s * slopes.sum(1, keepdim=True)
    # If all words are listed, the rest is empty.
    within = (logits - rest_sum.to(logits.dtype)).exp_().nan_to_num_(0.0)
    grad = within.mul_(slopes_and_shares[:, -1:].to(logits.dtype))
    grad.scatter_(1, outcomes.ids, slopes_and_shares[:, :-1].to(logits.dtype))
    return values.to(logits.dtype), grad


def _log_sum(logits: Tensor) -> Tensor:
    """(tokens, 1) logsumexp, accumulated in float64 without a float64 copy; -inf where all inputs are."""
    peak = logits.amax(1, keepdim=True)
    shift = peak.nan_to_num(neginf=0.0)
    return (logits - shift).exp_().sum(1, keepdim=True, dtype=torch.float64).log_() + shift
