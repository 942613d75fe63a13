"""Divergences between two next-token distributions, from hidden states and head weights, without the full logits.

`T` is the teacher's distribution over the vocabulary at one token, `S` the student's, both after the temperature.
Logarithms are natural; values are in nats.

* `forward_kl`: `KL(T || S) = sum_v T(v) (log T(v) - log S(v))`
* `reverse_kl`: `KL(S || T) = sum_v S(v) (log S(v) - log T(v))`
* `jsd`: `a KL(T || M) + (1 - a) KL(S || M)` with `M = a T + (1 - a) S` and `a = teacher_share`, so that `jsd / a ->
  KL(T || S)` as `a -> 0` and `jsd / (1 - a) -> KL(S || T)` as `a -> 1`. Generalised JSD, arXiv 2306.13649.

`linear_divergence` processes blocks of tokens. The logits of a block are computed in tiles along the vocabulary. Each
tile is added to a running logsumexp while it is still in the cache. A block keeps its logits, so that its gradient
needs no second projection. Memory does not grow with the number of tokens. `dense_divergence` is the plain definition,
for tests and benchmarks.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple, get_args

import torch
from torch import Tensor
from torch.nn import functional as F

from earwise.errors import InputError

Kind = Literal["forward_kl", "reverse_kl", "jsd"]


@dataclass(frozen=True, slots=True)
class Tiling:
    """How many logits exist at a time: blocks of tokens in `workspace_bytes`, computed `vocab_tile` words at a time."""

    workspace_bytes: int
    vocab_tile: int

    @classmethod
    def for_device(cls, device: torch.device) -> Tiling:
        """Tiles that fit a CPU's caches, or blocks that fill an accelerator."""
        if device.type == "cpu":
            return cls(workspace_bytes=40 * 2**20, vocab_tile=4096)
        return cls(workspace_bytes=512 * 2**20, vocab_tile=16384)

    def block_tokens(self, vocab: int, dtype: torch.dtype) -> int:
        """Tokens whose two rows of logits fit the workspace, a multiple of 8 if possible; at least 1."""
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

    Sums are in float32 (float64 for float64 inputs), whatever the type of the inputs and with or without autocast.
    Gradient flows to `student_hidden`, and to `student_weight` if it requires a gradient. It never flows to the
    teacher, even if both sides share one weight. With a frozen head, the forward pass computes the gradient too, with
    three products of the head's size in all, and backward only scales it. With a trainable head, backward repeats the
    projections. Equal inputs on both sides give a value and a gradient of exactly 0. A second-order gradient is an
    error.

    Args:
        student_hidden: `(tokens, student width)`.
        teacher_hidden: `(tokens, teacher width)`.
        student_weight: `(vocabulary, student width)`.
        teacher_weight: `(vocabulary, teacher width)`. For self-distillation, pass the same tensor: it is then read
            once.
        kind: Which divergence.
        temperature: Positive.
        teacher_share: The teacher's share of the mixture, in (0, 1); `jsd` only.
        vocab_size: Cut both heads to this many rows before the softmax: rows beyond the tokenizer are padding.
        tiling: Replaces the tiling chosen by device.

    Raises:
        InputError: Shapes that do not fit together, or an option outside its range.
    """
    student, teacher = _cut(_Side(student_hidden, student_weight), _Side(teacher_hidden, teacher_weight), vocab_size)
    plan = _Plan(kind, temperature, teacher_share, tiling or Tiling.for_device(student_hidden.device))
    if not torch.is_grad_enabled():
        student = student.detach()
    value: Tensor = _LinearDivergence.apply(*student, *teacher.detach(), plan)
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
    """The reference for `linear_divergence`: full logits and autograd, in the inputs' own type."""
    student, teacher = _cut(_Side(student_hidden, student_weight), _Side(teacher_hidden, teacher_weight), vocab_size)
    plan = _Plan(kind, temperature, teacher_share, Tiling.for_device(student_hidden.device))
    log_s = F.log_softmax(F.linear(*student) / plan.temperature, dim=-1)
    with torch.no_grad():
        log_t = F.log_softmax(F.linear(*teacher) / plan.temperature, dim=-1)
    if plan.kind == "forward_kl":
        return (log_t.exp() * (log_t - log_s)).sum(-1)
    if plan.kind == "reverse_kl":
        return (log_s.exp() * (log_s - log_t)).sum(-1)
    log_m = torch.logaddexp(log_t + math.log(teacher_share), log_s + math.log(1 - teacher_share))
    teacher_part = (log_t.exp() * (log_t - log_m)).sum(-1)
    return teacher_share * teacher_part + (1 - teacher_share) * (log_s.exp() * (log_s - log_m)).sum(-1)


class _Side(NamedTuple):
    """Hidden states `(tokens, width)` and head `(vocabulary, width)` of the student or of the teacher."""

    hidden: Tensor
    weight: Tensor

    def detach(self) -> _Side:
        return _Side(self.hidden.detach(), self.weight.detach())

    def block(self, tokens: slice) -> _Side:
        return _Side(self.hidden[tokens], self.weight)

    @property
    def native(self) -> bool:
        """Whether operands are multiplied as they are: a GPU multiplies bfloat16 and accumulates in float32."""
        return self.weight.is_cuda and self.hidden.dtype == self.weight.dtype == torch.bfloat16


@dataclass(frozen=True, slots=True)
class _Plan:
    """The checked options."""

    kind: Kind
    temperature: float
    teacher_share: float
    tiling: Tiling

    def __post_init__(self) -> None:
        if self.kind not in get_args(Kind):
            raise InputError(f"unknown divergence {self.kind!r}", remedy=f"use one of {', '.join(get_args(Kind))}")
        if not 0 < self.temperature < math.inf:
            raise InputError(f"temperature must be positive, not {self.temperature}")
        if not 0 < self.teacher_share < 1:
            raise InputError(
                f"teacher_share must lie between 0 and 1, not {self.teacher_share}",
                remedy="the limits are the two KL kinds",
            )
        if self.teacher_share != 0.5 and self.kind != "jsd":
            raise InputError(f"teacher_share has no meaning for {self.kind}", remedy="it belongs to jsd")

    def tiles(self, vocab: int) -> list[slice]:
        step = self.tiling.vocab_tile
        return [slice(start, min(start + step, vocab)) for start in range(0, vocab, step)]


def _cut(student: _Side, teacher: _Side, vocab_size: int | None) -> tuple[_Side, _Side]:
    """Both sides, with heads cut to `vocab_size` rows; raises `InputError` for shapes that do not fit together."""
    for name, (hidden, weight) in (("student", student), ("teacher", teacher)):
        if hidden.ndim != 2 or weight.ndim != 2 or hidden.shape[1] != weight.shape[1]:
            raise InputError(
                f"{name} hidden states {tuple(hidden.shape)} do not fit its head {tuple(weight.shape)}",
                remedy="expected (tokens, width) and (vocabulary, width)",
            )
        if vocab_size is not None and not 0 < vocab_size <= len(weight):
            raise InputError(f"vocab_size is {vocab_size}, but the {name}'s head has {len(weight)} rows")
    if len(student.hidden) != len(teacher.hidden):
        raise InputError(
            f"{len(student.hidden)} student tokens but {len(teacher.hidden)} teacher tokens",
            remedy="select the same response tokens on both sides",
        )
    student, teacher = (side._replace(weight=side.weight[:vocab_size]) for side in (student, teacher))
    if len(student.weight) != len(teacher.weight) or not len(student.weight):
        raise InputError(
            f"the student's head has {len(student.weight)} rows, the teacher's {len(teacher.weight)}",
            remedy="set vocab_size to the tokenizer's size to cut padded rows",
        )
    return student, teacher


class _LinearDivergence(torch.autograd.Function):
    """Frozen head: forward computes the gradient for an output gradient of 1. Trainable head: backward recomputes."""

    @staticmethod
    def forward(
        ctx: Any, hidden_s: Tensor, weight_s: Tensor, hidden_t: Tensor, weight_t: Tensor, plan: _Plan
    ) -> Tensor:
        student, teacher = _Side(hidden_s, weight_s), _Side(hidden_t, weight_t)
        hidden_grad, head_grad = ctx.needs_input_grad[:2]
        ctx.head_grad, ctx.plan, ctx.hidden_dtype = head_grad, plan, hidden_s.dtype
        grads = Gradients(wide_zeros(hidden_s)) if hidden_grad and not head_grad else None
        with torch.autocast(hidden_s.device.type, enabled=False):
            value = _walk(student, teacher, plan, grads)
        if head_grad:
            ctx.save_for_backward(*student, *teacher)
        elif grads is not None:
            ctx.save_for_backward(grads.hidden)
        return value

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        if torch.is_grad_enabled():  # create_graph=True; its graph would silently end here
            raise RuntimeError("linear_divergence has no second-order gradient; use dense_divergence for it")
        if not ctx.head_grad:
            (unit,) = ctx.saved_tensors
            return (unit * grad[:, None]).to(ctx.hidden_dtype), None, None, None, None
        hidden_s, weight_s, hidden_t, weight_t = ctx.saved_tensors
        hidden_grad, weight_grad = wide_zeros(hidden_s), wide_zeros(weight_s)
        with torch.autocast(hidden_s.device.type, enabled=False):
            grads = Gradients(hidden_grad, weight_grad, grad[:, None])
            _walk(_Side(hidden_s, weight_s), _Side(hidden_t, weight_t), ctx.plan, grads)
        return hidden_grad.to(hidden_s.dtype), weight_grad.to(weight_s.dtype), None, None, None


class Gradients(NamedTuple):
    """Accumulated gradients, in float32 or wider. `scale` `(tokens, 1)` is the gradient of the output."""

    hidden: Tensor
    weight: Tensor | None = None
    scale: Tensor | None = None

    def block(self, tokens: slice) -> Gradients:
        """Those of some tokens."""
        return Gradients(self.hidden[tokens], self.weight, None if self.scale is None else self.scale[tokens])


def wide_zeros(tensor: Tensor) -> Tensor:
    """Zeros of the same shape, in float32 or wider."""
    return torch.zeros_like(tensor, dtype=torch.promote_types(tensor.dtype, torch.float32))


@torch.no_grad()
def _walk(student: _Side, teacher: _Side, plan: _Plan, grads: Gradients | None) -> Tensor:
    """Values of all tokens, block by block; adds to `grads` if given."""
    dtype = torch.float32
    for tensor in (*student, *teacher):
        dtype = torch.promote_types(dtype, tensor.dtype)
    tokens, vocab = len(student.hidden), len(student.weight)
    rows = plan.tiling.block_tokens(vocab, dtype)
    room = student.hidden.new_empty((2, min(rows, tokens), vocab), dtype=dtype)
    values = student.hidden.new_zeros(tokens, dtype=dtype)
    for start in range(0, tokens, rows):
        block = slice(start, min(start + rows, tokens))
        sides = room[:, : block.stop - start]
        log_sums = _project(sides, student.block(block), teacher.block(block), plan)
        values[block], centre = _diverge(sides, log_sums, plan)
        if grads is not None:
            _add_gradients(grads.block(block), sides, centre, student.block(block), plan)
    return values


def _project(sides: Tensor, student: _Side, teacher: _Side, plan: _Plan) -> Tensor:
    """Fill `sides`, `(2, tokens, vocabulary)`, with both sides' logits, divided by the temperature. Returns their
    logsumexps, float64, `(2, tokens, 1)`. The running maximum keeps `exp` in range. Sums in float64 keep the total of
    many tiles exact.
    """
    peak = sides.new_full((*sides.shape[:2], 1), -math.inf)
    total = torch.zeros_like(peak, dtype=torch.float64)
    shared = student.native == teacher.native and _same(student.weight, teacher.weight)
    for words in plan.tiles(sides.shape[2]):
        tile_s = _widen(student.weight[words], sides.dtype, student.native)
        tile_t = tile_s if shared else _widen(teacher.weight[words], sides.dtype, teacher.native)
        logits = sides[:, :, words]
        _matmul(student.hidden, tile_s.T, out=logits[0])
        _matmul(teacher.hidden, tile_t.T, out=logits[1])
        if plan.temperature != 1:
            logits /= plan.temperature
        higher = torch.maximum(peak, logits.amax(-1, keepdim=True))
        total *= (peak - higher).exp_()
        total += (logits - higher).exp_().sum(-1, keepdim=True)
        peak = higher
    return peak + total.log_()


def _diverge(sides: Tensor, log_sums: Tensor, plan: _Plan) -> tuple[Tensor, Tensor | None]:
    """Values `(tokens,)` of a block, from its logits. Leaves S in `sides[0]` and the main part of the gradient in
    `sides[1]`. The gradient with respect to the student's logits is that part minus `centre * S`, with `centre`
    `(tokens, 1)`.
    """
    shifts, ratio_shift = log_sums.to(sides.dtype), (log_sums[1] - log_sums[0]).to(sides.dtype)
    value, centre = torch.zeros_like(log_sums)
    for words in plan.tiles(sides.shape[2]):
        s, t = tile = sides[:, :, words]
        # Logits are subtracted first: this is exact where both sides agree, and independent of the size of the
        # logsumexps.
        log_ratio = (t - s).sub_(ratio_shift)
        tile.sub_(shifts).exp_()
        if plan.kind == "forward_kl":
            value += log_ratio.mul_(t).sum(-1, keepdim=True)
            torch.sub(s, t, out=t)
        elif plan.kind == "reverse_kl":
            torch.mul(log_ratio.neg_(), s, out=t)
            centre += t.sum(-1, keepdim=True)
        else:
            over_s, over_t = _log_over_mixture(log_ratio, plan.teacher_share)
            value += plan.teacher_share * over_t.mul_(t).sum(-1, keepdim=True)
            torch.mul(over_s.mul_(1 - plan.teacher_share), s, out=t)
            centre += t.sum(-1, keepdim=True)
    # S comes from a rounded logsumexp, so its sum is not exactly 1; the centre is corrected for this.
    centre *= (shifts[0] - log_sums[0]).exp()
    values = (value + centre).squeeze(-1).to(sides.dtype)
    return values, None if plan.kind == "forward_kl" else centre.to(sides.dtype)


def _log_over_mixture(log_ratio: Tensor, share: float) -> tuple[Tensor, Tensor]:
    """`log S - log M` and `log T - log M` from `log T - log S`, for `M = share T + (1 - share) S`. This is logaddexp on
    the ratio. The larger of S and T is factored out, so nothing overflows, and equal distributions give exactly 0.
    """
    weight_of_smaller: Tensor | float = share
    if share != 0.5:
        weight_of_smaller = (log_ratio > 0).to(log_ratio.dtype).mul_(1 - 2 * share).add_(share)
    larger = log_ratio.abs().neg_().expm1_().mul_(weight_of_smaller).log1p_().neg_()
    return larger - log_ratio.clamp(min=0), larger + log_ratio.clamp(max=0)


def _add_gradients(grads: Gradients, sides: Tensor, centre: Tensor | None, student: _Side, plan: _Plan) -> None:
    """Propagate the gradient of the logits, as left by `_diverge`, to the hidden states and the head."""
    for words in plan.tiles(sides.shape[2]):
        s, grad = sides[:, :, words]
        if centre is not None:
            grad.addcmul_(s, centre, value=-1)
        if grads.scale is not None:
            grad *= grads.scale
        weight = student.weight[words]
        step = _matmul(grad, _widen(weight, grad.dtype, student.native), out=grad.new_empty(student.hidden.shape))
        grads.hidden.add_(step, alpha=1 / plan.temperature)
        if grads.weight is not None:
            hidden = _widen(student.hidden, grad.dtype, student.native)
            step = _matmul(grad.T, hidden, out=grad.new_empty(weight.shape))
            grads.weight[words].add_(step, alpha=1 / plan.temperature)


def _same(a: Tensor, b: Tensor) -> bool:
    """Whether two tensors are the same memory with the same layout, even as different objects (detached, sliced)."""
    return a.data_ptr() == b.data_ptr() and (a.dtype, a.shape, a.stride()) == (b.dtype, b.shape, b.stride())


def _widen(operand: Tensor, dtype: torch.dtype, native: bool) -> Tensor:
    return operand if native else operand.to(dtype)


def _matmul(a: Tensor, b: Tensor, out: Tensor) -> Tensor:
    """`out = a @ b`, accumulated in the type of `out`, if `b` has this type or is bfloat16."""
    if b.dtype == out.dtype:
        return torch.mm(a.to(out.dtype), b, out=out)
    return torch.mm(a.to(b.dtype), b, out_dtype=out.dtype, out=out)
