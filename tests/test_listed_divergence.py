"""Divergences over listed words and the rest: by hand, against all words, and their gradients."""

import math

import pytest
import torch
from text_models import in_float64
from torch.nn import functional as F

from earwise.distil.divergence import Tiling, dense_divergence
from earwise.distil.listed_divergence import Listed, listed_divergence

KINDS = ("forward_kl", "jsd")
SMALL = Tiling(workspace_bytes=2 * 8 * 11 * 2, vocab_tile=4)
"""Blocks of two tokens, three tiles."""


def sides(tokens=5, words=11):
    hidden, head = in_float64((tokens, 6), 1), in_float64((words, 6), 2)
    teacher, teacher_head = in_float64((tokens, 7), 3), in_float64((words, 7), 4)
    return hidden, head, teacher, teacher_head


def top(logits, k):
    logprobs = logits.log_softmax(-1)
    found = logprobs.topk(k)
    return Listed(found.indices, found.values)


def by_definition(hidden, head, listed, kind, share=0.5):
    """One token and one outcome at a time."""
    values = []
    for state, ids, logprobs in zip(hidden, listed.ids.tolist(), listed.logprobs.tolist(), strict=True):
        mine = (head @ state).softmax(-1)
        t = [math.exp(value) for word, value in zip(ids, logprobs, strict=True) if word >= 0]
        s = [mine[word] for word in ids if word >= 0]
        t, s = [*t, 1 - sum(t)], [*s, 1 - sum(s)]
        total = 0.0
        for a, b in zip(t, s, strict=True):
            m = share * a + (1 - share) * b
            total += a * math.log(a / b) if kind == "forward_kl" else (
                share * a * math.log(a / m) + (1 - share) * b * math.log(b / m)
            )  # fmt: skip
        values.append(total)
    return torch.tensor(values, dtype=torch.float64)


def test_two_listed_words_by_hand():
    """The student thinks 0.5, 0.25, 0.25 of three words; the teacher lists 0.6 and 0.3, so the rest has 0.1."""
    hidden, head = torch.ones(1, 1), torch.tensor([[0.5], [0.25], [0.25]]).log()
    listed = Listed(torch.tensor([[0, 1]]), torch.tensor([[0.6, 0.3]]).log())
    expected = 0.6 * math.log(0.6 / 0.5) + 0.3 * math.log(0.3 / 0.25) + 0.1 * math.log(0.1 / 0.25)
    assert float(listed_divergence(hidden, head, listed)) == pytest.approx(expected, rel=1e-6)
    mixed = [(0.6, 0.5, 0.55), (0.3, 0.25, 0.275), (0.1, 0.25, 0.175)]
    jsd = sum(t * math.log(t / m) + s * math.log(s / m) for t, s, m in mixed) / 2
    assert float(listed_divergence(hidden, head, listed, "jsd")) == pytest.approx(jsd, rel=1e-5)


@pytest.mark.parametrize("kind", KINDS)
def test_truncated_lists_are_compared_outcome_by_outcome(kind):
    hidden, head, teacher, teacher_head = sides()
    listed = top(teacher @ teacher_head.T, 4)
    listed.ids[2, 3], listed.logprobs[2, 3] = -1, -math.inf  # one word fewer there
    share = 0.3 if kind == "jsd" else 0.5
    got = listed_divergence(hidden, head, listed, kind, share, tiling=SMALL)
    torch.testing.assert_close(got, by_definition(hidden, head, listed, kind, share), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("kind", KINDS)
def test_with_every_word_listed_it_is_the_divergence_over_all_words(kind):
    hidden, head, teacher, teacher_head = sides()
    listed = top(teacher @ teacher_head.T, 11)
    expected = dense_divergence(hidden, teacher, head, teacher_head, kind)
    torch.testing.assert_close(listed_divergence(hidden, head, listed, kind), expected, rtol=1e-10, atol=1e-12)
    fewer = listed_divergence(hidden, head, Listed(*(part[:, :3] for part in listed)), kind)
    assert (fewer < expected).all()


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("k", [3, 11])
def test_the_same_distribution_gives_0_and_no_gradient(kind, k):
    hidden, head, *_ = sides()
    hidden.requires_grad_(True)
    value = listed_divergence(hidden, head, top((hidden @ head.T).detach(), k), kind)
    value.sum().backward()
    torch.testing.assert_close(value.detach(), torch.zeros(5, dtype=torch.float64), rtol=0, atol=1e-14)
    torch.testing.assert_close(hidden.grad, torch.zeros_like(hidden), rtol=0, atol=1e-14)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("trained_head", [False, True])
@pytest.mark.parametrize("k", [4, 11])
def test_the_gradient_is_that_of_finite_differences(kind, trained_head, k):
    hidden, head, teacher, teacher_head = sides()
    listed = top(teacher @ teacher_head.T, k)
    inputs = (hidden.requires_grad_(True), head.requires_grad_(trained_head))
    assert torch.autograd.gradcheck(lambda h, w: listed_divergence(h, w, listed, kind, tiling=SMALL), inputs)


def test_words_that_the_student_lacks_are_cut_as_from_a_live_teacher():
    """All listed, they leave the live teacher's divergence; a list of such words only says nothing."""
    hidden, head, teacher, teacher_head = sides()
    listed = top(teacher @ teacher_head.T, 11)
    expected = dense_divergence(hidden, teacher, head, teacher_head, "jsd", vocab_size=8)
    got = listed_divergence(hidden, head, listed, "jsd", vocab_size=8)
    torch.testing.assert_close(got, expected, rtol=1e-10, atol=1e-12)
    alien = Listed(torch.tensor([[9, 10]] * 5), torch.tensor([[0.75, 0.25]] * 5).log())
    assert torch.equal(listed_divergence(hidden, head, alien, vocab_size=8), torch.zeros(5, dtype=torch.float64))


def test_rounded_probabilities_that_sum_to_more_than_1_leave_no_rest():
    hidden, head = torch.ones(1, 1), torch.tensor([[0.5], [0.25], [0.25]]).log()
    listed = Listed(torch.tensor([[0, 1]]), torch.tensor([[0.75, 0.2500002]]).log())
    expected = 0.75 * math.log(0.75 / 0.5)
    assert float(listed_divergence(hidden, head, listed)) == pytest.approx(expected, abs=1e-6)


def test_bfloat16_states_are_added_up_in_float32():
    hidden, head, teacher, teacher_head = (side.bfloat16() for side in sides())
    listed = top(F.linear(teacher.double(), teacher_head.double()), 4)
    got = listed_divergence(hidden.requires_grad_(True), head, listed)
    got.sum().backward()
    assert (got.dtype, hidden.grad.dtype) == (torch.float32, torch.bfloat16)
    wide = listed_divergence(hidden.detach().float(), head.float(), listed)
    torch.testing.assert_close(got.detach(), wide, rtol=1e-6, atol=1e-6)
