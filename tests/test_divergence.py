"""Divergences against hand-computed values, float64 definitions and each other; gradients against gradcheck."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import get_args

import pytest
import torch
from torch import Tensor

from earwise.distil.divergence import Kind, Tiling, dense_divergence, linear_divergence
from earwise.errors import InputError

KINDS: tuple[Kind, ...] = get_args(Kind)
SHARES = [("forward_kl", 0.5), ("reverse_kl", 0.5), ("jsd", 0.5), ("jsd", 0.2)]
TOKENS, WIDTH, VOCAB = 11, 6, 37


def small_tiles(vocab: int = VOCAB, itemsize: int = 4, tokens: int = 3, tile: int = 8) -> Tiling:
    """Blocks of 3 tokens and tiles of 8 words: neither divides the sizes used here."""
    return Tiling(workspace_bytes=2 * vocab * itemsize * tokens, vocab_tile=tile)


def inputs(
    dtype: torch.dtype = torch.float64, student_width: int = WIDTH, teacher_width: int = WIDTH
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Student and teacher hidden states, student and teacher heads."""
    generator = torch.Generator().manual_seed(7)
    shapes = (TOKENS, student_width), (TOKENS, teacher_width), (VOCAB, student_width), (VOCAB, teacher_width)
    hidden_s, hidden_t, weight_s, weight_t = (
        torch.randn(shape, generator=generator, dtype=torch.float64).to(dtype) for shape in shapes
    )
    return hidden_s, hidden_t, weight_s, weight_t


def value_and_gradient(divergence: Callable[[Tensor], Tensor], hidden: Tensor) -> tuple[Tensor, Tensor]:
    """Values, and the gradient of a sum with a different weight for each token."""
    leaf = hidden.detach().clone().requires_grad_()
    value = divergence(leaf)
    (value * torch.arange(1, len(value) + 1)).sum().backward()
    assert leaf.grad is not None
    return value.detach(), leaf.grad


def from_probabilities(*rows: list[float]) -> Tensor:
    """Hidden states that an identity head turns into these distributions."""
    return torch.tensor(rows, dtype=torch.float64).log()


def by_hand(student: list[float], teacher: list[float], kind: Kind, **options: float) -> float:
    head = torch.eye(len(student), dtype=torch.float64)
    return linear_divergence(
        from_probabilities(student), from_probabilities(teacher), head, head, kind, **options
    ).item()


def test_two_classes_by_hand() -> None:
    # T = (1/2, 1/2), S = (3/4, 1/4): KL(T || S) = log(2 / sqrt 3); KL(S || T) = 3/4 log 3 - log 2.
    assert by_hand([0.75, 0.25], [0.5, 0.5], "forward_kl") == pytest.approx(math.log(2 / math.sqrt(3)), rel=1e-12)
    assert by_hand([0.75, 0.25], [0.5, 0.5], "reverse_kl") == pytest.approx(0.75 * math.log(3) - math.log(2), rel=1e-12)
    # M = 1/5 T + 4/5 S = (7/10, 3/10).
    teacher_part = 0.5 * math.log(5 / 7) + 0.5 * math.log(5 / 3)
    student_part = 0.75 * math.log(15 / 14) + 0.25 * math.log(5 / 6)
    assert by_hand([0.75, 0.25], [0.5, 0.5], "jsd", teacher_share=0.2) == pytest.approx(
        0.2 * teacher_part + 0.8 * student_part, rel=1e-12
    )


def test_temperature_by_hand() -> None:
    # At temperature 2, odds of 9 to 1 become 3 to 1; there is no factor of 4.
    assert by_hand([0.9, 0.1], [0.5, 0.5], "forward_kl", temperature=2.0) == pytest.approx(
        math.log(2 / math.sqrt(3)), rel=1e-12
    )


def test_gradient_by_hand() -> None:
    # d KL(T || S) / d logits = S - T, divided by the temperature.
    hidden = from_probabilities([0.9, 0.1]).requires_grad_()
    head = torch.eye(2, dtype=torch.float64)
    linear_divergence(hidden, from_probabilities([0.5, 0.5]), head, head, temperature=2.0).sum().backward()
    assert hidden.grad is not None
    torch.testing.assert_close(hidden.grad, torch.tensor([[0.125, -0.125]], dtype=torch.float64))


def test_limits_of_the_teacher_share_are_the_two_kl() -> None:
    hidden_s, hidden_t, *heads = inputs()
    sides = 0.2 * hidden_s, 0.2 * hidden_t, *heads
    forward, reverse = (linear_divergence(*sides, kind) for kind in ("forward_kl", "reverse_kl"))
    low, high = (linear_divergence(*sides, "jsd", teacher_share=share) for share in (1e-7, 1 - 1e-7))
    torch.testing.assert_close(low / 1e-7, forward, rtol=1e-5, atol=1e-7)
    torch.testing.assert_close(high / 1e-7, reverse, rtol=1e-5, atol=1e-7)


def test_jsd_is_symmetric_and_at_most_log_2() -> None:
    hidden_s, hidden_t, weight_s, weight_t = inputs()
    one = linear_divergence(40 * hidden_s, hidden_t, weight_s, weight_t, "jsd")
    other = linear_divergence(hidden_t, 40 * hidden_s, weight_t, weight_s, "jsd")
    torch.testing.assert_close(one, other)
    assert 0 < one.min() <= one.max() <= math.log(2)


@pytest.mark.parametrize(("kind", "share"), SHARES)
@pytest.mark.parametrize("trainable_head", [False, True])
def test_gradcheck(kind: Kind, share: float, trainable_head: bool) -> None:
    hidden_s, hidden_t, weight_s, weight_t = (tensor[:, :3].contiguous() for tensor in inputs())
    hidden_s.requires_grad_()
    weight_s.requires_grad_(trainable_head)

    def divergence(hidden: Tensor, weight: Tensor) -> Tensor:
        tiling = small_tiles(itemsize=8)
        return linear_divergence(hidden, hidden_t, weight, weight_t, kind, 1.7, share, tiling=tiling)

    assert torch.autograd.gradcheck(divergence, (hidden_s, weight_s))


@pytest.mark.parametrize(("kind", "share"), SHARES)
@pytest.mark.parametrize("temperature", [1.0, 2.5])
def test_equals_dense(kind: Kind, share: float, temperature: float) -> None:
    hidden, *rest = inputs(student_width=5, teacher_width=9)
    options = {"kind": kind, "temperature": temperature, "teacher_share": share}
    expected = value_and_gradient(lambda h: dense_divergence(h, *rest, **options), hidden)
    hidden, *rest = inputs(torch.float32, student_width=5, teacher_width=9)
    for tiling in (None, small_tiles(), small_tiles(tokens=8, tile=VOCAB), small_tiles(tokens=1, tile=1)):
        value, gradient = value_and_gradient(
            lambda h, tiling=tiling: linear_divergence(h, *rest, **options, tiling=tiling), hidden
        )
        assert value.dtype == gradient.dtype == torch.float32
        torch.testing.assert_close(value.double(), expected[0], rtol=1e-5, atol=1e-7)
        assert (gradient - expected[1]).norm() < 1e-5 * expected[1].norm()


@pytest.mark.parametrize(("kind", "share"), SHARES)
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float64])
def test_exactly_zero_when_both_sides_are_the_same(kind: Kind, share: float, dtype: torch.dtype) -> None:
    hidden, _, weight, _ = inputs(dtype)
    for teacher_weight in (weight, weight.clone()):
        value, gradient = value_and_gradient(
            lambda h, w=teacher_weight: linear_divergence(h, hidden, weight, w, kind, 1.3, share, tiling=small_tiles()),
            hidden,
        )
        assert value.abs().max() == 0
        assert gradient.abs().max() == 0


@pytest.mark.parametrize("kind", KINDS)
def test_one_weight_for_both_sides_equals_two_copies_bitwise(kind: Kind) -> None:
    hidden_s, hidden_t, weight, _ = inputs(torch.bfloat16)
    shared = value_and_gradient(lambda h: linear_divergence(h, hidden_t, weight, weight, kind), hidden_s)
    copied = value_and_gradient(lambda h: linear_divergence(h, hidden_t, weight, weight.clone(), kind), hidden_s)
    assert all(torch.equal(one, other) for one, other in zip(shared, copied, strict=True))


@pytest.mark.parametrize(("kind", "share"), SHARES)
def test_trainable_head_gets_the_dense_gradient_and_the_teacher_none(kind: Kind, share: float) -> None:
    """Self-distillation with one trainable weight: its gradient comes from the student's side alone."""
    gradients = []
    for divergence in (dense_divergence, linear_divergence):
        hidden_s, hidden_t, weight, _ = (tensor.requires_grad_() for tensor in inputs())
        value = divergence(hidden_s, hidden_t, weight, weight, kind, 0.8, share)
        (value * torch.arange(TOKENS)).sum().backward()
        assert hidden_t.grad is None
        gradients.append((hidden_s.grad, weight.grad))
    for expected, got in zip(*gradients, strict=True):
        torch.testing.assert_close(got, expected)


def test_trainable_head_over_a_frozen_body() -> None:
    hidden_s, hidden_t, weight_s, weight_t = inputs()
    weight_s.requires_grad_()
    linear_divergence(hidden_s, hidden_t, weight_s, weight_t).sum().backward()
    expected = torch.autograd.grad(dense_divergence(hidden_s, hidden_t, weight_s, weight_t).sum(), weight_s)
    torch.testing.assert_close((weight_s.grad,), expected)


def test_frozen_head_does_no_work_in_backward(monkeypatch: pytest.MonkeyPatch) -> None:
    hidden_s, hidden_t, weight_s, weight_t = inputs()
    value = linear_divergence(hidden_s.requires_grad_(), hidden_t, weight_s, weight_t)

    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("a product in backward")

    monkeypatch.setattr(torch, "mm", refuse)
    value.sum().backward()
    assert hidden_s.grad is not None
    assert weight_s.grad is None


@pytest.mark.parametrize("kind", KINDS)
def test_no_graph_without_gradient(kind: Kind) -> None:
    hidden_s, hidden_t, weight_s, weight_t = (tensor.requires_grad_() for tensor in inputs())
    with torch.no_grad():
        value = linear_divergence(hidden_s, hidden_t, weight_s, weight_t, kind)
    assert not value.requires_grad
    torch.testing.assert_close(value, dense_divergence(hidden_s, hidden_t, weight_s, weight_t, kind).detach())


@pytest.mark.parametrize("kind", KINDS)
def test_bfloat16_inputs_are_computed_in_float32(kind: Kind) -> None:
    hidden, *rest = inputs(torch.bfloat16)
    expected = value_and_gradient(
        lambda h: dense_divergence(h, *(tensor.double() for tensor in rest), kind), hidden.double()
    )
    value, gradient = value_and_gradient(lambda h: linear_divergence(h, *rest, kind), hidden)
    assert value.dtype == torch.float32
    assert gradient.dtype == torch.bfloat16
    torch.testing.assert_close(value.double(), expected[0], rtol=1e-5, atol=1e-7)
    torch.testing.assert_close(gradient.double(), expected[1], rtol=2**-8, atol=1e-6)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("trainable_head", [False, True])
def test_autocast_changes_nothing(kind: Kind, trainable_head: bool) -> None:
    results = []
    for enabled in (False, True):
        hidden_s, hidden_t, weight_s, weight_t = inputs(torch.float32)
        leaves = [hidden_s.requires_grad_()] + [weight_s.requires_grad_()] * trainable_head
        with torch.autocast("cpu", torch.bfloat16, enabled=enabled):
            value = linear_divergence(hidden_s, hidden_t, weight_s, weight_t, kind)
            value.sum().backward()
        results.append([value.detach(), *(leaf.grad for leaf in leaves)])
    assert all(torch.equal(one, other) for one, other in zip(*results, strict=True))


@pytest.mark.parametrize(("kind", "expected"), [("forward_kl", 2e4), ("reverse_kl", 2e4), ("jsd", math.log(2))])
def test_logits_of_ten_thousand(kind: Kind, expected: float) -> None:
    """Two certain and opposite distributions, then two certain and equal ones."""
    logits = torch.tensor([[1e4, -1e4, -1e4], [1e4, -1e4, -1e4]])
    opposite = torch.tensor([[-1e4, 1e4, -1e4], [1e4, -1e4, -1e4]])
    value, gradient = value_and_gradient(
        lambda h: linear_divergence(h, opposite, torch.eye(3), torch.eye(3), kind), logits
    )
    torch.testing.assert_close(value, torch.tensor([expected, 0.0]))
    assert gradient.isfinite().all()
    assert gradient[1].abs().max() == 0


@pytest.mark.parametrize("kind", KINDS)
def test_words_impossible_to_both_sides_contribute_nothing(kind: Kind) -> None:
    """Probabilities that underflow on both sides (log p of -200) must neither be NaN nor change the value."""
    tail = torch.full((1, 4), -200.0)
    student = torch.cat([torch.tensor([[0.75, 0.25]]).log(), tail], dim=1)
    teacher = torch.cat([torch.tensor([[0.5, 0.5]]).log(), tail + 3], dim=1)
    value, gradient = value_and_gradient(
        lambda h: linear_divergence(h, teacher, torch.eye(6), torch.eye(6), kind), student
    )
    assert value.item() == pytest.approx(by_hand([0.75, 0.25], [0.5, 0.5], kind), rel=1e-5)
    assert gradient.isfinite().all()


@pytest.mark.parametrize("trainable_head", [False, True])
def test_no_tokens_gives_an_empty_value_with_a_live_graph(trainable_head: bool) -> None:
    hidden_s, hidden_t, weight_s, weight_t = inputs()
    hidden_s = hidden_s.requires_grad_()
    weight_s.requires_grad_(trainable_head)
    value = linear_divergence(hidden_s[:0], hidden_t[:0], weight_s, weight_t)
    assert value.shape == (0,)
    value.sum().backward()
    assert hidden_s.grad is not None
    assert hidden_s.grad.abs().max() == 0
    assert not trainable_head or (weight_s.grad is not None and weight_s.grad.abs().max() == 0)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("trainable_head", [False, True])
def test_padded_vocabulary_rows_are_cut(kind: Kind, trainable_head: bool) -> None:
    hidden_s, hidden_t, weight_s, weight_t = inputs()
    padded_s = torch.cat([weight_s, torch.full((3, WIDTH), 5.0)]).requires_grad_(trainable_head)
    padded_t = torch.cat([weight_t, torch.full((7, WIDTH), -5.0)])
    expected = value_and_gradient(lambda h: dense_divergence(h, hidden_t, weight_s, weight_t, kind), hidden_s)
    got = value_and_gradient(
        lambda h: linear_divergence(h, hidden_t, padded_s, padded_t, kind, vocab_size=VOCAB), hidden_s
    )
    torch.testing.assert_close(got, expected)
    if trainable_head:
        assert padded_s.grad is not None
        assert padded_s.grad[VOCAB:].abs().max() == 0 < padded_s.grad[:VOCAB].abs().max()


@pytest.mark.parametrize("kind", KINDS)
def test_permuting_tokens_permutes_values(kind: Kind) -> None:
    hidden_s, hidden_t, weight_s, weight_t = inputs()
    order = torch.randperm(TOKENS, generator=torch.Generator().manual_seed(0))
    one = linear_divergence(hidden_s, hidden_t, weight_s, weight_t, kind, tiling=small_tiles(itemsize=8))
    other = linear_divergence(hidden_s[order], hidden_t[order], weight_s, weight_t, kind)
    torch.testing.assert_close(one[order], other)


@pytest.mark.parametrize("trainable_head", [False, True])
def test_second_order_gradient_is_refused(trainable_head: bool) -> None:
    hidden_s, hidden_t, weight_s, weight_t = inputs()
    hidden_s.requires_grad_()
    weight_s.requires_grad_(trainable_head)
    value = linear_divergence(hidden_s, hidden_t, weight_s, weight_t)
    with pytest.raises(RuntimeError, match="no second-order gradient"):
        torch.autograd.grad(value.sum(), hidden_s, create_graph=True)


def test_tiling_keeps_within_its_workspace() -> None:
    tiling = Tiling.for_device(torch.device("cpu"))
    tokens = tiling.block_tokens(152_064, torch.float32)
    assert tokens == 32
    assert 2 * tokens * 152_064 * 4 <= tiling.workspace_bytes
    assert Tiling(workspace_bytes=1, vocab_tile=8).block_tokens(152_064, torch.float32) == 1


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"kind": "kl"}, r"'kl'.*forward_kl, reverse_kl, jsd"),
        ({"temperature": 0.0}, "temperature must be positive, not 0.0"),
        ({"temperature": math.nan}, "temperature must be positive, not nan"),
        ({"kind": "jsd", "teacher_share": 1.0}, "teacher_share must lie between 0 and 1, not 1.0"),
        ({"kind": "forward_kl", "teacher_share": 0.9}, "teacher_share has no meaning for forward_kl"),
        ({"vocab_size": -1}, "vocab_size is -1"),
        ({"vocab_size": VOCAB + 1}, f"vocab_size is {VOCAB + 1}, but the student's head has {VOCAB} rows"),
    ],
)
def test_options_out_of_range_are_named(options: dict[str, object], message: str) -> None:
    for divergence in (linear_divergence, dense_divergence):
        with pytest.raises(InputError, match=message):
            divergence(*inputs(), **options)


def test_shapes_that_do_not_fit_are_named() -> None:
    hidden_s, hidden_t, weight_s, weight_t = inputs()
    with pytest.raises(InputError, match="11 student tokens but 10 teacher tokens"):
        linear_divergence(hidden_s, hidden_t[1:], weight_s, weight_t)
    with pytest.raises(InputError, match=r"head has 37 rows, the teacher's 36 \(set vocab_size"):
        linear_divergence(hidden_s, hidden_t, weight_s, weight_t[1:])
    with pytest.raises(InputError, match=r"teacher hidden states \(11, 5\) do not fit its head \(37, 6\)"):
        linear_divergence(hidden_s, hidden_t[:, 1:], weight_s, weight_t)
    with pytest.raises(InputError, match="head has 0 rows"):
        linear_divergence(hidden_s, hidden_t, weight_s[:0], weight_t[:0])


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
@pytest.mark.parametrize(("kind", "share"), SHARES)
def test_bfloat16_on_a_gpu_is_added_up_in_float32(kind: Kind, share: float) -> None:
    hidden, *rest = (tensor.cuda() for tensor in inputs(torch.bfloat16))
    expected = value_and_gradient(
        lambda h: dense_divergence(h, *(t.double() for t in rest), kind, 1.0, share).cpu(), hidden.double()
    )
    value, gradient = value_and_gradient(lambda h: linear_divergence(h, *rest, kind, 1.0, share).cpu(), hidden)
    torch.testing.assert_close(value.double(), expected[0], rtol=1e-4, atol=1e-6)
    assert (gradient.double() - expected[1]).norm() < 2**-6 * expected[1].norm()
