"""Distillation of hidden states between two views of one model: same response tokens, same weights, no projection.

Shapes: K layers, N response tokens, H width.
"""

from __future__ import annotations

from torch import Tensor

from earwise.distil.teachers import Shape
from earwise.distil.terms.base import Side, Term, Wanted
from earwise.errors import InputError
from earwise.models.states import Wants
from earwise.recipe.train import LayersTerm


class Layers(Term):
    """Mean over the decoder's layers of |h_S - h_T|^2 / |h_T|^2 per response token; no unit, 0 if the views agree. The
    last layer is after the final norm. The teacher's norm is taken per token, so a token's value does not depend on its
    batch. Ours: the published system matches outputs only (see docs/papers/self_kd.md).
    """

    name = "layers"

    def __init__(self, settings: LayersTerm) -> None:
        self.weight = settings.weight
        self.teacher = settings.teacher_name
        self.view = settings.view

    def wants(self, student: Shape, teacher: Shape) -> Wanted:
        """All layers of both sides."""
        mine, theirs = (Wants(layers=frozenset(range(1, one.depth + 1))) for one in (student, teacher))
        return Wanted(mine, theirs)

    def __call__(self, student: Side, teacher: Side | None) -> Tensor:
        """(N,) relative squared distances."""
        assert teacher is not None
        mine, theirs = student.states.layers, teacher.states.layers
        assert mine is not None
        assert theirs is not None
        if mine.shape != theirs.shape:
            raise InputError(
                f"the teacher's layers are {tuple(theirs.shape)}, the student's {tuple(mine.shape)}",
                remedy="the layers term compares two views of one architecture",
            )
        # Layer 0 is left out: both views embed the same response tokens.
        mine, theirs = mine[1:].float(), theirs[1:].float().detach()
        return ((mine - theirs).square().sum(-1) / theirs.square().sum(-1)).mean(0)
