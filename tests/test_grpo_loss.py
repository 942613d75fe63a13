import math

import pytest
import torch
from grpo_case import term_of

from earwise.distil.cross_entropy import CHUNK
from earwise.distil.terms.grpo import Grpo, advantages
from earwise.distil.token_logprobs import linear_logprobs


def tensor(*values):
    return torch.tensor(values, dtype=torch.float64)


def test_advantages_by_hand():
    """Mean 2, sample standard deviation sqrt((1 + 1 + 4 + 4) / 3)."""
    rewards = [1.0, 3.0, 0.0, 4.0]
    std = math.sqrt(10 / 3) + 1e-4
    assert advantages(rewards) == pytest.approx([-1 / std, 1 / std, -2 / std, 2 / std], rel=1e-12)
    assert advantages(rewards, standardise=False) == [-1.0, 1.0, -2.0, 2.0]


def test_equal_rewards_have_exactly_no_advantage():
    assert advantages([0.1] * 3) == [0.0] * 3
    assert advantages([0.7]) == [0.0]


def test_the_loss_of_a_token_by_hand():
    grpo = Grpo(term_of(clip=0.2, updates=2, beta=0.5))
    ratios, advantage = tensor(1.5, 1.5, 0.5, 0.5, 1.1), tensor(2.0, -2.0, 2.0, -2.0, 2.0)
    old = tensor(-1.0, -2.0, -3.0, -1.5, -0.5)
    new, apart = old + ratios.log(), tensor(0.3, -0.3, 0.0, 1.0, -1.0)
    found = grpo(new, old, new + apart, advantage)
    k3 = [math.exp(d) - d - 1 for d in apart.tolist()]
    gains = [1.2 * 2, 1.5 * -2, 0.5 * 2, 0.8 * -2, 1.1 * 2]
    assert found.kl.tolist() == pytest.approx(k3)
    assert found.value.tolist() == pytest.approx([-g + 0.5 * k for g, k in zip(gains, k3, strict=True)])
    assert found.clipped.tolist() == [True, False, False, True, False]


def test_clipping_stops_the_gradient_in_the_direction_that_was_gone_too_far():
    grpo = Grpo(term_of(clip=0.2, updates=2, beta=0.0))
    old = tensor(-1.0, -1.0, -1.0, -1.0)
    new = (old + tensor(1.5, 1.5, 0.5, 0.5).log()).requires_grad_()
    grpo(new, old, None, tensor(1.0, -1.0, 1.0, -1.0)).value.sum().backward()
    assert new.grad.tolist() == pytest.approx([0.0, 1.5, -0.5, 0.0])


def test_k3_is_unbiased_for_the_kl_of_the_policy_from_the_reference():
    """Its mean under the policy is KL(policy || reference), exactly, by summing over a vocabulary of six."""
    torch.manual_seed(0)
    policy, reference = torch.randn(2, 6, dtype=torch.float64).log_softmax(-1)
    grpo = Grpo(term_of(beta=1.0))
    k3 = grpo(policy, policy, reference, torch.zeros(6)).kl
    kl = (policy.exp() * (policy - reference)).sum()
    assert float((policy.exp() * k3).sum()) == pytest.approx(float(kl), rel=1e-12)
    assert float(k3.min()) > 0


def test_unchanged_weights_have_ratio_one_and_no_kl():
    same = torch.randn(7, dtype=torch.float64).requires_grad_()
    advantage = torch.randn(7, dtype=torch.float64)
    found = Grpo(term_of(beta=3.0))(same, same.detach(), same.detach(), advantage)
    assert torch.equal(found.value, -advantage)
    assert torch.equal(found.kl, torch.zeros_like(advantage))
    found.value.sum().backward()
    assert torch.equal(same.grad, -advantage)


def test_the_gradient_of_the_loss_from_hidden_states_is_right():
    """float64 gradcheck through log-probabilities, clipping and k3, away from the corners of the clipping."""
    torch.manual_seed(1)
    hidden, head = torch.randn(5, 3, dtype=torch.float64), torch.randn(9, 3, dtype=torch.float64)
    targets, grpo = torch.tensor([0, 3, 8, 1, 3]), Grpo(term_of(updates=2, beta=0.7))
    start = linear_logprobs(hidden, head, targets, temperature=0.8, banned=[5])[0]
    old, reference = start + tensor(0.4, -0.4, 0.05, -0.05, 0.5), start + 0.3 * torch.randn(5, dtype=torch.float64)

    def loss(h, w):
        logprobs, _ = linear_logprobs(h, w, targets, temperature=0.8, banned=[5])
        return grpo(logprobs, old, reference, tensor(1.0, 1.0, -1.0, 2.0, -2.0)).value

    assert torch.autograd.gradcheck(loss, (hidden.requires_grad_(), head.requires_grad_()))


def test_log_probabilities_and_entropies_are_those_of_the_dense_softmax():
    torch.manual_seed(2)
    count = 2 * CHUNK + 3
    hidden, head = torch.randn(count, 4), torch.randn(11, 4)
    targets = torch.randint(0, 5, (count,))
    found, entropy = linear_logprobs(hidden, head, targets, temperature=1.7, banned=[6, 9])
    allowed = [n for n in range(11) if n not in (6, 9)]
    dense = (hidden @ head[allowed].T / 1.7).log_softmax(-1)
    assert torch.allclose(found, dense[torch.arange(count), targets], atol=1e-6)
    assert torch.allclose(entropy, -(dense.exp() * dense).sum(-1), atol=1e-5)


def test_a_banned_token_gives_the_others_a_finite_gradient():
    hidden = torch.randn(3, 4).requires_grad_()
    linear_logprobs(hidden, torch.randn(6, 4), torch.tensor([0, 1, 2]), banned=[4])[0].sum().backward()
    assert bool(hidden.grad.isfinite().all())
