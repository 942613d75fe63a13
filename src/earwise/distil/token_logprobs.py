"""Log-probabilities of given tokens from hidden states. The logits of only one chunk of tokens exist at a time.

Shapes: N tokens, H width, V vocabulary.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.utils.checkpoint import checkpoint

from earwise.distil.cross_entropy import CHUNK


def linear_logprobs(
    hidden: Tensor, weight: Tensor, targets: Tensor, *, temperature: float = 1.0, banned: Sequence[int] = ()
) -> tuple[Tensor, Tensor]:
    """(N,) log p(target) and (N,) entropies, in nats, from (N, H), (V, H), (N,); float32, or float64 for float64
    inputs. p is softmax(hidden @ weight.T / temperature) without the `banned` ids: the distribution that completions
    are drawn from. Backward recomputes the logits of each chunk; entropies carry no gradient.
    """
    chunks = zip(hidden.split(CHUNK), targets.split(CHUNK), strict=True)
    never = torch.tensor(list(banned), dtype=torch.long, device=hidden.device)
    parts = [checkpoint(_chunk, h, weight, t, temperature, never, use_reentrant=False) for h, t in chunks]
    return torch.cat([logprob for logprob, _ in parts]), torch.cat([entropy for _, entropy in parts])


def _chunk(
    hidden: Tensor, weight: Tensor, targets: Tensor, temperature: float, banned: Tensor
) -> tuple[Tensor, Tensor]:
    with torch.autocast(hidden.device.type, enabled=False):
        logits = hidden.to(weight.dtype) @ weight.T
        logits = logits if logits.dtype == torch.float64 else logits.float()
        logprobs = (logits / temperature).index_fill(-1, banned, float("-inf")).log_softmax(-1)
        entropy = torch.special.entr(logprobs.detach().exp()).sum(-1)
        return logprobs.gather(-1, targets[:, None])[:, 0], entropy
