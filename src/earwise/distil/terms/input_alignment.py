"""Aligns speech with its own text at the decoder's input (DiVA, arXiv 2410.02678), without a teacher's pass.

Shapes: N response tokens, C clips, T tokens of a clip, W tokens of its text, H width.
"""

from __future__ import annotations

import torch
from torch import Tensor

from earwise.distil.teachers import Shape
from earwise.distil.terms.acoustic import mean_per_sample
from earwise.distil.terms.base import Side, Term, Wanted
from earwise.distil.terms.first_token import distance
from earwise.models.states import Wants
from earwise.recipe.terms import InputAlignmentTerm


class InputAlignment(Term):
    """Distance of the ears' embeddings of a spoken question from the input embeddings of the same question typed.

    With `pool = "mean"`, the mean of a clip's embeddings is compared with the mean of its text's embeddings. With
    `last`, the last min(T, W) embeddings of both are compared one by one and the distances averaged: DiVA's alignment,
    which needs no pooling. Learned marks around a clip are left out. `squared` is |a - t|^2 / |t|^2, without unit;
    `norm` is |a - t|, in units of the embeddings.

    Normaliser: a sample's value is the mean over its clips, and each of its response tokens has this value, as in
    `acoustic`. A value depends on its own sample alone. A sample without a spoken question has 0.
    """

    name = "input_alignment"

    def __init__(self, settings: InputAlignmentTerm) -> None:
        self.weight = settings.weight
        self._pool, self._distance = settings.pool, settings.distance

    def wants(self, student: Shape, teacher: Shape) -> Wanted:
        """The student's clips as embeddings."""
        return Wanted(Wants(hidden=False, inputs=True))

    def __call__(self, student: Side, teacher: Side | None) -> Tensor:
        """(N,) values."""
        clips = student.states.inputs
        assert clips is not None
        if not clips.rows:
            return 0 * student.states.hidden.sum(-1)
        values = torch.stack([self._clip(a, t.detach()) for a, t in zip(clips.speech, clips.text, strict=True)])
        rows = torch.tensor(clips.rows, device=values.device)
        return mean_per_sample(values, rows, clips.responses)

    def _clip(self, speech: Tensor, text: Tensor) -> Tensor:
        """The value of one clip, from (T, H) and (W, H)."""
        if self._pool == "mean":
            return distance(speech.mean(0), text.mean(0), self._distance)
        count = min(len(speech), len(text))
        return distance(speech[-count:], text[-count:], self._distance).mean()
