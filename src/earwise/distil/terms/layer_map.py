"""Layer-wise distillation from a teacher of another depth and width (arXiv 2509.18579, section 3).

Shapes: K layers, P compared pairs of layers, N response tokens, H width (S the student's, T the teacher's).
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from earwise.distil.divergence import linear_divergence
from earwise.distil.layer_map import layer_map
from earwise.distil.teachers import Shape
from earwise.distil.terms.base import Side, Term, Wanted, shared_rows
from earwise.models.states import Wants
from earwise.recipe.terms import LayerMapTerm

Pairs = tuple[tuple[int, int], ...]


class LayerMap(Term):
    """Each compared layer of the student with its teacher layer, summed (or averaged) over layers, per response token.

    * `logit_lens`: `JSD(T_j, S_i)` in nats, of the next-token distributions that each model's own final norm and head
      compute from its layer, over the shared vocabulary. The last layer's distribution is that of the outputs. The
      paper says only that the divergence is that of the top layer; this needs no projection and keeps its unit.
    * `cosine`: `1 - cos(P h_S, h_T)`, with one linear map P for all layers, trained with the student. No unit.
    * `cka`: `1 - CKA` of the batch's response tokens, `|Y'X|^2 / (|X'X| |Y'Y|)` on centred states, the same value for
      each token. It ignores rotations, shifts and the scale of either space. It compares how tokens differ from one
      another, so unlike every other value here it depends on which tokens share a batch. It is 0 for fewer than three
      tokens: two centred points are always alike.

    Equal layers under equal weights give 0 with a gradient of 0.
    """

    name = "layer_map"

    def __init__(self, settings: LayerMapTerm) -> None:
        self.weight = settings.weight
        self.teacher = settings.teacher_name
        self.view = settings.view
        self._settings = settings

    def wants(self, student: Shape, teacher: Shape) -> Wanted:
        """The mapped layers."""
        mine, theirs = zip(*layer_map(student.depth, teacher.depth, self._settings.every), strict=True)
        return Wanted(Wants(layers=frozenset(mine)), Wants(layers=frozenset(theirs)))

    def aid(self, student: Shape, teacher: Shape) -> nn.Module | None:
        """The projection of `cosine`."""
        if self._settings.space != "cosine":
            return None
        pairs = layer_map(student.depth, teacher.depth, self._settings.every)
        return Projection(student.width, teacher.width, tuple(layer for layer, _ in pairs))

    def __call__(self, student: Side, teacher: Side | None) -> Tensor:
        """(N,) values."""
        assert teacher is not None
        mine, theirs = student.states.layers, teacher.states.layers
        assert mine is not None
        assert theirs is not None
        pairs = layer_map(len(mine) - 1, len(theirs) - 1, self._settings.every)
        if self._settings.space == "logit_lens":
            total = _logit_lens(student, teacher, mine, theirs, pairs)
        elif self._settings.space == "cosine":
            projected = student.states.aided[self.name]
            total = sum_of([cosine_distance(projected[n], theirs[j]) for n, (_, j) in enumerate(pairs)])
        else:
            total = sum_of([cka_distance(mine[i], theirs[j]).expand(mine.shape[1]) for i, j in pairs])
        return total / len(pairs) if self._settings.reduce == "mean" else total


class Projection(nn.Module):
    """One linear map without bias for all compared layers; one per layer would have 400 million weights at the
    published sizes. Starts as the identity for equal widths, else with orthonormal rows or columns, always the same.
    """

    def __init__(self, student_width: int, teacher_width: int, layers: tuple[int, ...]) -> None:
        super().__init__()
        self.layers = layers
        self.linear = nn.Linear(student_width, teacher_width, bias=False)
        with torch.random.fork_rng(), torch.no_grad():
            torch.manual_seed(0)
            if student_width == teacher_width:
                nn.init.eye_(self.linear.weight)
            else:
                nn.init.orthogonal_(self.linear.weight)

    def forward(self, layers: Tensor) -> Tensor:
        """(P, N, T) from (K, N, S)."""
        projected: Tensor = self.linear(layers[list(self.layers)].to(self.linear.weight.dtype))
        return projected


def _logit_lens(student: Side, teacher: Side, mine: Tensor, theirs: Tensor, pairs: Pairs) -> Tensor:
    """(N,) nats, summed over pairs; the logits of one layer exist at a time, in tiles."""
    return sum_of(
        [
            linear_divergence(
                _read(student, mine, i),
                _read(teacher, theirs, j).detach(),
                student.head,
                teacher.head,
                kind="jsd",
                vocab_size=shared_rows(student, teacher),
            )
            for i, j in pairs
        ]
    )


def _read(side: Side, layers: Tensor, number: int) -> Tensor:
    """(N, H) what the head reads of layer `number`; the last one is already normed."""
    if number == len(layers) - 1:
        return layers[number]
    assert side.norm is not None
    normed: Tensor = side.norm(layers[number])
    return normed


def sum_of(values: list[Tensor]) -> Tensor:
    """The element-wise sum."""
    return torch.stack(values).sum(0)


def cosine_distance(mine: Tensor, theirs: Tensor) -> Tensor:
    """(N,) 1 - cosine of (N, H) rows, as half the squared distance of unit vectors: exactly 0 for equal rows, and
    accurate near it. No gradient to `theirs`.
    """
    unit_s, unit_t = (nn.functional.normalize(x, dim=-1) for x in (_wide(mine), _wide(theirs).detach()))
    return (unit_s - unit_t).square().sum(-1) / 2


def cka_distance(mine: Tensor, theirs: Tensor) -> Tensor:
    """() 1 - linear centred kernel alignment of (N, S) and (N, T) states; 0 for fewer than three tokens."""
    x, y = _wide(mine), _wide(theirs).detach()
    if len(x) < 3:
        return 0 * x.sum()
    x, y = x - x.mean(0), y - y.mean(0)
    # N x N Gram matrices, because a batch has fewer tokens than dimensions.
    gram_s, gram_t = x @ x.T, y @ y.T
    tiny = torch.finfo(x.dtype).tiny
    return 1 - (gram_s * gram_t).sum() / (gram_s.norm() * gram_t.norm()).clamp_min(tiny)


def _wide(states: Tensor) -> Tensor:
    return states.to(torch.promote_types(states.dtype, torch.float32))
