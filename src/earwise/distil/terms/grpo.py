"""Group relative policy optimisation: advantages within a group, and the loss of each token (arXiv 2402.03300).

Shapes: G completions of one prompt, N completion tokens of a batch.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from earwise.recipe.terms import GrpoTerm

_EPSILON = 1e-4
"""Added to the standard deviation, as in R1-AQA and others."""


def advantages(rewards: Sequence[float], *, standardise: bool = True) -> list[float]:
    """(r - mean) / (std + 1e-4) within a group of G rewards; without `standardise` r - mean (Dr. GRPO, 2503.20783). std
    is the sample's, with G - 1. Equal rewards give exactly 0.
    """
    values = torch.tensor(list(rewards), dtype=torch.float64)
    if bool((values == values[0]).all()):
        return [0.0] * len(values)
    centred = values - values.mean()
    scaled = centred / (values.std() + _EPSILON) if standardise else centred
    return [float(one) for one in scaled]


@dataclass(frozen=True)
class TokenLosses:
    """Losses and metrics of N tokens."""

    value: Tensor
    """(N,) losses."""
    kl: Tensor | None
    """(N,) estimates of KL(policy || reference) in nats, detached; None without a reference."""
    clipped: Tensor
    """(N,) whether clipping removes the token's gradient."""


class Grpo:
    """Per token, in units of reward (advantages) and nats (KL):

        -min(q A, clip(q, 1 - clip, 1 + clip) A) + beta k3

    `q = exp(l - l_old)`, with the token's log-probability l under the current policy and l_old under the policy that
    drew the completion; A is the completion's advantage. `k3 = exp(l_ref - l) - (l_ref - l) - 1` estimates KL(policy ||
    reference): it is not negative, 0 where the two agree, and unbiased for tokens that the policy drew. It is
    differentiated directly, as published, so its gradient is not that of the KL itself. With unchanged weights both are
    0.

    Normaliser: none here. `PolicyObjective` averages over the tokens of a completion (`completion`, as published) or
    leaves that to the trainer (`token`).
    """

    name = "grpo"

    def __init__(self, settings: GrpoTerm) -> None:
        self.weight = settings.weight
        self._clip, self._beta = settings.clip, settings.beta

    def __call__(self, logprobs: Tensor, old: Tensor, reference: Tensor | None, advantage: Tensor) -> TokenLosses:
        """All are (N,); gradient flows to `logprobs` only."""
        ratio = (logprobs - old.detach()).exp()
        bounded = ratio.clamp(1 - self._clip, 1 + self._clip)
        gain, held = ratio * advantage, bounded * advantage
        value, kl = -torch.minimum(gain, held), None
        if reference is not None:
            apart = reference.detach() - logprobs
            k3 = apart.exp() - apart - 1
            value, kl = value + self._beta * k3, k3.detach()
        return TokenLosses(value, kl, (held < gain).detach())
