"""Divergences between two next-token distributions, from hidden states and head weights, without the logits.

Notation, for one token: `T` is the teacher's distribution over the vocabulary, `S` the student's, both after the
temperature; natural logarithms, so values are in nats.

* `forward_kl`: `KL(T || S) = sum_v T(v) (log T(v) - log S(v))`
* `reverse_kl`: `KL(S || T) = sum_v S(v) (log S(v) - log T(v))`
* `jsd`: `a KL(T || M) + (1 - a) KL(S || M)` with `M = a T + (1 - a) S` and `a = teacher_share`, so that
  `jsd / a -> KL(T || S)` as `a -> 0` and `jsd / (1 - a) -> KL(S || T)` as `a -> 1`. Generalised JSD, arXiv 2306.13649.

`linear_divergence` walks over blocks of tokens. A block's logits are made tile by tile along the vocabulary, folded
into a running logsumexp while the tile is still in cache, and kept for that block only, so that the gradient needs no
second projection. Its memory does not grow with the number of tokens. `dense_divergence` is the same function written
plainly: it is what tests and benches compare with.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Literal, get_args

import torch
from torch import Tensor
from torch.nn import functional as F

from earwise.errors import InputError

Kind = Literal["forward_kl", "reverse_kl", "jsd"]


@dataclass(frozen=True, slots=True)
class Tiling:
    """How much of the logits exists at a time: a token block in `workspace_bytes`, made `vocab_tile` words a step."""

    workspace_bytes: int
    vocab_tile: int

    @classmethod
    def for_device(cls, device: torch.device) -> Tiling:
        """On a CPU, tiles that stay in its caches; elsewhere, blocks that fill the device."""
        if device.type == "cpu":
            return cls(workspace_bytes=48 * 2**20, vocab_tile=4096)
        return cls(workspace_bytes=512 * 2**20, vocab_tile=16384)

    def block_tokens(self, vocab: int, dtype: torch.dtype) -> int:
        """Tokens whose two rows of logits fit the workspace, in eights where there are that many; at least one."""
        tokens = self.workspace_bytes // (2 * vocab * dtype.itemsize)
        return max(1, tokens - tokens % 8 if tokens >= 8 else tokens)


def linear_divergence(
    student_hidden: Tensor,
    teacher_hidden: Tensor,
    student_weight: Tensor,
    teacher_weight: Tensor,
    kind: Kind = "forward_kl",
    temperature: float = 1.0,
    teacher_share: float = 0.5,
    *,
    vocab_size: int | None = None,
    tiling: Tiling | None = None,
) -> Tensor:
    """Divergence of each token in nats, shape `(tokens,)`; formulas at the top of this module.

    Both sides' logits `hidden @ weight.T` are divided by `temperature`; the value is **not** multiplied by its square.

    Everything is added up in float32 (float64 for float64 inputs), whatever the inputs' type and whether or not
    autocast is on. Gradient flows to `student_hidden`, and to `student_weight` if it requires it; never to the teacher,
    also where one weight serves both. With a frozen head the gradient is made in the forward pass, for three products
    of the head's size in all, and backward only scales it; with a trainable one backward repeats the projections.
    Equal inputs on both sides give a value and a gradient of exactly 0. A second-order gradient is an error.

    Args:
        student_hidden: `(tokens, student width)`.
        teacher_hidden: `(tokens, teacher width)`.
        student_weight: `(vocabulary, student width)`.
        teacher_weight: `(vocabulary, teacher width)`; pass the same tensor for self-distillation, it is then read once.
        kind: Which divergence.
        temperature: Positive.
        teacher_share: The teacher's share of the mixture, in (0, 1); `jsd` only.
        vocab_size: Cut both heads to this many rows before the softmax: rows beyond the tokenizer are padding.
        tiling: Replaces the tiling chosen by device.

    Raises:
        InputError: Shapes that do not fit together, or an option outside its range.
    """
    student_weight, teacher_weight = student_weight[:vocab_size], teacher_weight[:vocab_size]
    _check(student_hidden, teacher_hidden, student_weight, teacher_weight, kind, temperature, teacher_share, vocab_size)
    plan = _Plan(kind, temperature, teacher_share, tiling or Tiling.for_device(student_hidden.device))
    if not torch.is_grad_enabled():
        student_hidden, student_weight = student_hidden.detach(), student_weight.detach()
    value: Tensor = _LinearDivergence.apply(
        student_hidden, student_weight, teacher_hidden.detach(), teacher_weight.detach(), plan
    )
    return value


def dense_divergence(
    student_hidden: Tensor,
    teacher_hidden: Tensor,
    student_weight: Tensor,
    teacher_weight: Tensor,
    kind: Kind = "forward_kl",
    temperature: float = 1.0,
    teacher_share: float = 0.5,
    *,
    vocab_size: int | None = None,
) -> Tensor:
    """What `linear_divergence` computes, by whole logits and autograd, in the inputs' own type. The reference."""
    student_weight, teacher_weight = student_weight[:vocab_size], teacher_weight[:vocab_size]
    _check(student_hidden, teacher_hidden, student_weight, teacher_weight, kind, temperature, teacher_share, vocab_size)
    log_s = F.log_softmax(F.linear(student_hidden, student_weight) / temperature, dim=-1)
    with torch.no_grad():
        log_t = F.log_softmax(F.linear(teacher_hidden, teacher_weight) / temperature, dim=-1)
    if kind == "forward_kl":
        return (log_t.exp() * (log_t - log_s)).sum(-1)
    if kind == "reverse_kl":
        return (log_s.exp() * (log_s - log_t)).sum(-1)
    log_m = torch.logaddexp(log_t + math.log(teacher_share), log_s + math.log(1 - teacher_share))
    teacher_part = (log_t.exp() * (log_t - log_m)).sum(-1)
    return teacher_share * teacher_part + (1 - teacher_share) * (log_s.exp() * (log_s - log_m)).sum(-1)


def _check(
    student_hidden: Tensor,
    teacher_hidden: Tensor,
    student_weight: Tensor,
    teacher_weight: Tensor,
    kind: str,
    temperature: float,
    teacher_share: float,
    vocab_size: int | None,
) -> None:
    if kind not in get_args(Kind):
        raise InputError(f"unknown divergence {kind!r}", remedy=f"use one of {', '.join(get_args(Kind))}")
    if not 0 < temperature < math.inf:
        raise InputError(f"temperature must be positive, not {temperature}")
    if not 0 < teacher_share < 1:
        raise InputError(
            f"teacher_share must lie between 0 and 1, not {teacher_share}", remedy="the limits are the two KL kinds"
        )
    if teacher_share != 0.5 and kind != "jsd":
        raise InputError(f"teacher_share has no meaning for {kind}", remedy="it belongs to jsd")
    for side, hidden, weight in (
        ("student", student_hidden, student_weight),
        ("teacher", teacher_hidden, teacher_weight),
    ):
        if hidden.ndim != 2 or weight.ndim != 2 or hidden.shape[1] != weight.shape[1]:
            raise InputError(
                f"{side} hidden states {tuple(hidden.shape)} do not fit its head {tuple(weight.shape)}",
                remedy="expected (tokens, width) and (vocabulary, width)",
            )
        if vocab_size is not None and weight.shape[0] != vocab_size:
            raise InputError(f"the {side}'s head has {weight.shape[0]} rows, fewer than vocab_size {vocab_size}")
    if len(student_hidden) != len(teacher_hidden):
        raise InputError(
            f"{len(student_hidden)} student tokens but {len(teacher_hidden)} teacher tokens",
            remedy="select the same response tokens on both sides",
        )
    if len(student_weight) != len(teacher_weight):
        raise InputError(
            f"the student's head has {len(student_weight)} rows, the teacher's {len(teacher_weight)}",
            remedy="set vocab_size to the tokenizer's size to cut padded rows",
        )
    if not len(student_weight):
        raise InputError("the heads have no rows")


@dataclass(frozen=True, slots=True)
class _Plan:
    kind: Kind
    temperature: float
    teacher_share: float
    tiling: Tiling


class _LinearDivergence(torch.autograd.Function):
    """Frozen head: gradient in the forward pass, for a unit output gradient. Trainable head: recompute in backward."""

    @staticmethod
    def forward(
        ctx: Any, hidden_s: Tensor, weight_s: Tensor, hidden_t: Tensor, weight_t: Tensor, plan: _Plan
    ) -> Tensor:
        hidden_grad, head_grad = ctx.needs_input_grad[:2]
        ctx.head_grad, ctx.plan, ctx.hidden_dtype = head_grad, plan, hidden_s.dtype
        grads = _Gradients.zeros(hidden_s, None) if hidden_grad and not head_grad else None
        with torch.autocast(hidden_s.device.type, enabled=False):
            value = _walk(hidden_s, weight_s, hidden_t, weight_t, plan, grads)
        if head_grad:
            ctx.save_for_backward(hidden_s, weight_s, hidden_t, weight_t)
        elif grads:
            ctx.save_for_backward(grads.hidden)
        return value

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        if torch.is_grad_enabled():  # only so with create_graph=True, whose graph would silently end here
            raise RuntimeError("linear_divergence has no second-order gradient; use dense_divergence for it")
        if not ctx.head_grad:
            (unit,) = ctx.saved_tensors
            return (unit * grad[:, None]).to(ctx.hidden_dtype), None, None, None, None
        hidden_s, weight_s, hidden_t, weight_t = ctx.saved_tensors
        grads = _Gradients.zeros(hidden_s, weight_s, scale=grad[:, None])
        with torch.autocast(hidden_s.device.type, enabled=False):
            _walk(hidden_s, weight_s, hidden_t, weight_t, ctx.plan, grads)
        assert grads.weight is not None
        return grads.hidden.to(hidden_s.dtype), grads.weight.to(weight_s.dtype), None, None, None


@dataclass(frozen=True, slots=True)
class _Gradients:
    """Where gradients are added up, in float32 or wider. `scale` `(tokens, 1)` is the gradient of the output."""

    hidden: Tensor
    weight: Tensor | None
    scale: Tensor | None

    @classmethod
    def zeros(cls, hidden: Tensor, weight: Tensor | None, scale: Tensor | None = None) -> _Gradients:
        def like(tensor: Tensor) -> Tensor:
            return torch.zeros_like(tensor, dtype=torch.promote_types(tensor.dtype, torch.float32))

        return cls(like(hidden), None if weight is None else like(weight), scale)


@torch.no_grad()
def _walk(
    hidden_s: Tensor, weight_s: Tensor, hidden_t: Tensor, weight_t: Tensor, plan: _Plan, grads: _Gradients | None
) -> Tensor:
    """Values of all tokens, block by block; adds to `grads` on the way if there are any."""
    dtype = torch.float32
    for tensor in (hidden_s, weight_s, hidden_t, weight_t):
        dtype = torch.promote_types(dtype, tensor.dtype)
    tokens, vocab = len(hidden_s), len(weight_s)
    rows = plan.tiling.block_tokens(vocab, dtype)
    room_s, room_t = hidden_s.new_empty((2, min(rows, tokens), vocab), dtype=dtype)
    values = hidden_s.new_zeros(tokens, dtype=dtype)
    for start in range(0, tokens, rows):
        block = slice(start, min(start + rows, tokens))
        s, t = room_s[: block.stop - start], room_t[: block.stop - start]
        log_sums = _project(s, t, hidden_s[block], weight_s, hidden_t[block], weight_t, plan)
        values[block], centre = _diverge(s, t, *log_sums, plan)
        if grads is not None:
            _add_gradients(grads, block, s, t, centre, hidden_s[block], weight_s, plan)
    return values


def _project(
    s: Tensor, t: Tensor, hidden_s: Tensor, weight_s: Tensor, hidden_t: Tensor, weight_t: Tensor, plan: _Plan
) -> tuple[Tensor, Tensor]:
    """Fill `s` and `t` with logits over the temperature; returns their logsumexps, float64, `(tokens, 1)`."""
    log_sum_s, log_sum_t = _LogSum(s), _LogSum(t)
    shared = _same(weight_s, weight_t)
    for words in _tiles(s.shape[1], plan):
        tile_s = _widen(weight_s[words], s.dtype)
        tile_t = tile_s if shared else _widen(weight_t[words], t.dtype)
        for log_sum, logits, hidden, tile in ((log_sum_s, s, hidden_s, tile_s), (log_sum_t, t, hidden_t, tile_t)):
            z = logits[:, words]
            _matmul(hidden, tile.T, out=z)
            if plan.temperature != 1:
                z /= plan.temperature
            log_sum.add(z)
    return log_sum_s.value(), log_sum_t.value()


class _LogSum:
    """A running logsumexp. The maximum keeps `exp` in range; totals in float64 keep the sum of many tiles exact."""

    def __init__(self, logits: Tensor) -> None:
        self.peak = logits.new_full((len(logits), 1), -math.inf)
        self.total = logits.new_zeros((len(logits), 1), dtype=torch.float64)

    def add(self, tile: Tensor) -> None:
        peak = torch.maximum(self.peak, tile.amax(-1, keepdim=True))
        self.total *= (self.peak - peak).exp()
        self.total += (tile - peak).exp_().sum(-1, keepdim=True)
        self.peak = peak

    def value(self) -> Tensor:
        return self.peak + self.total.log()


def _diverge(s: Tensor, t: Tensor, log_sum_s: Tensor, log_sum_t: Tensor, plan: _Plan) -> tuple[Tensor, Tensor | None]:
    """Values `(tokens,)` of a block. Turns the logits `s` into S and the logits `t` into the gradient's first part.

    The gradient with respect to the student's logits is that part minus `centre * S`; `centre` is `(tokens, 1)`.
    """
    value = torch.zeros_like(log_sum_s)
    centre = torch.zeros_like(log_sum_s)
    shift_s, shift_t, shift = (x.to(s.dtype) for x in (log_sum_s, log_sum_t, log_sum_t - log_sum_s))
    for words in _tiles(s.shape[1], plan):
        s_tile, t_tile = s[:, words], t[:, words]
        # Subtracting the logits first is exact where both sides agree, and loses nothing to the size of the logsumexps.
        log_ratio = (t_tile - s_tile).sub_(shift)
        s_tile.sub_(shift_s).exp_()
        t_tile.sub_(shift_t).exp_()
        if plan.kind == "forward_kl":
            value += log_ratio.mul_(t_tile).sum(-1, keepdim=True)
            torch.sub(s_tile, t_tile, out=t_tile)
        elif plan.kind == "reverse_kl":
            torch.mul(log_ratio, s_tile, out=t_tile).neg_()
            centre += t_tile.sum(-1, keepdim=True)
        else:
            over_s, over_t = _log_over_mixture(log_ratio, plan.teacher_share)
            value += plan.teacher_share * over_t.mul_(t_tile).sum(-1, keepdim=True)
            torch.mul(over_s, s_tile, out=t_tile).mul_(1 - plan.teacher_share)
            centre += t_tile.sum(-1, keepdim=True)
    # S was made with a rounded logsumexp, so it sums to 1 only up to that rounding; a centre must know.
    centre *= (shift_s - log_sum_s).exp()
    return (value + centre).squeeze(-1).to(s.dtype), None if plan.kind == "forward_kl" else centre.to(s.dtype)


def _log_over_mixture(log_ratio: Tensor, share: float) -> tuple[Tensor, Tensor]:
    """`log S - log M` and `log T - log M` from `log T - log S`, for `M = share T + (1 - share) S`.

    This is logaddexp on the ratio: the larger of S and T is factored out, so nothing overflows and no probability is
    summed before its logarithm is taken; equal distributions give exactly 0.
    """
    weight_of_smaller: Tensor | float = share
    if share != 0.5:
        weight_of_smaller = (log_ratio > 0).to(log_ratio.dtype).mul_(1 - 2 * share).add_(share)
    larger = log_ratio.abs().neg_().expm1_().mul_(weight_of_smaller).log1p_().neg_()
    return larger - log_ratio.clamp(min=0), larger + log_ratio.clamp(max=0)


def _add_gradients(
    grads: _Gradients,
    block: slice,
    s: Tensor,
    t: Tensor,
    centre: Tensor | None,
    hidden: Tensor,
    weight: Tensor,
    plan: _Plan,
) -> None:
    """Carry the gradient at the logits, from what `_diverge` left in `s` and `t`, to the hidden states and the head."""
    scale = 1 / plan.temperature
    for words in _tiles(s.shape[1], plan):
        grad = t[:, words]
        if centre is not None:
            grad.addcmul_(s[:, words], centre, value=-1)
        if grads.scale is not None:
            grad *= grads.scale[block]
        step = _matmul(grad, _widen(weight[words], s.dtype), out=s.new_empty(hidden.shape))
        grads.hidden[block].add_(step, alpha=scale)
        if grads.weight is not None:
            step = _matmul(grad.T, _widen(hidden, s.dtype), out=s.new_empty(weight[words].shape))
            grads.weight[words].add_(step, alpha=scale)


def _tiles(vocab: int, plan: _Plan) -> list[slice]:
    step = plan.tiling.vocab_tile
    return [slice(start, min(start + step, vocab)) for start in range(0, vocab, step)]


def _same(a: Tensor, b: Tensor) -> bool:
    """Whether two tensors are one piece of memory seen in one way; detaching and slicing make new objects of it."""
    return a.data_ptr() == b.data_ptr() and (a.dtype, a.shape, a.stride()) == (b.dtype, b.shape, b.stride())


def _widen(operand: Tensor, dtype: torch.dtype) -> Tensor:
    """The operand in `dtype`, or in its own bfloat16 on a GPU, which multiplies that and adds up in float32."""
    return operand if operand.is_cuda and operand.dtype == torch.bfloat16 else operand.to(dtype)


def _matmul(a: Tensor, b: Tensor, out: Tensor) -> Tensor:
    """`out = a @ b`, added up in the type of `out`. A `b` that `_widen` left in bfloat16 is multiplied as it is."""
    if b.dtype == out.dtype:
        return torch.mm(a.to(out.dtype), b, out=out)
    return torch.mm(a.to(b.dtype), b, out_dtype=out.dtype, out=out)
