"""Matches the states of two views where they begin to answer (DiVA, arXiv 2410.02678): one position per response.

Shapes: N response tokens, H width.
"""

from __future__ import annotations

import torch
from torch import Tensor

from earwise.distil.teachers import Shape
from earwise.distil.terms.base import Side, Term, Wanted
from earwise.errors import InputError
from earwise.recipe.terms import FirstTokenTerm


class FirstToken(Term):
    """Distance of the hidden states, after the final norm, at the position that predicts a response's first token.

    `squared` is |h_S - h_T|^2 / |h_T|^2, without unit; `norm` is |h_S - h_T|, in units of the states, as in DiVA. With
    a shared frozen head, equal states are equal predictions, so no product with the vocabulary is needed.

    Normaliser: each token of a response has the distance at its first token. The trainer's division by the step's
    response tokens then gives a mean over responses, weighted by length like every other term. A value depends on its
    own response alone.
    """

    name = "first_token"

    def __init__(self, settings: FirstTokenTerm) -> None:
        self.weight = settings.weight
        self.teacher = settings.teacher_name
        self.view = settings.view
        self._distance = settings.distance

    def wants(self, student: Shape, teacher: Shape) -> Wanted:
        """The last hidden states; raises `InputError` for a teacher of another width."""
        if student.width != teacher.width:
            raise InputError(
                f"the first_token term compares states of one width: the teacher has {teacher.width}, the student "
                f"{student.width}",
                remedy="let the student teach itself",
            )
        return Wanted()

    def __call__(self, student: Side, teacher: Side | None) -> Tensor:
        """(N,) values."""
        assert teacher is not None
        turns = student.states.turns
        assert turns is not None
        first = torch.searchsorted(turns, torch.arange(int(turns.max()) + 1, device=turns.device))
        mine, theirs = student.states.hidden[first], teacher.states.hidden[first].detach()
        return distance(mine, theirs, self._distance)[turns]


def distance(mine: Tensor, theirs: Tensor, how: str) -> Tensor:
    """(...) from two (..., H): `squared`, relative to the squared norm of `theirs`, or `norm`; in float32 or wider."""
    wide = torch.promote_types(mine.dtype, torch.float32)
    apart = mine.to(wide) - theirs.to(wide)
    if how == "norm":
        return torch.linalg.vector_norm(apart, dim=-1)
    return apart.square().sum(-1) / theirs.to(wide).square().sum(-1)
