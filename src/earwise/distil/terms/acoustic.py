"""The acoustic teacher: what the student heard before training keeps what it hears now in place (arXiv 2509.18579).

Shapes: K layers + 1, A audio positions, N response tokens, B samples.
"""

from __future__ import annotations

import torch
from torch import Tensor

from earwise.distil.teachers import Shape
from earwise.distil.terms.base import Side, Term, Wanted
from earwise.distil.terms.layer_map import cosine_distance
from earwise.errors import InputError
from earwise.models.states import AudioStates, Wants
from earwise.recipe.terms import AcousticTerm


class Acoustic(Term):
    """Distance of the decoder's states at audio positions from the teacher's, mean over positions and layers; no unit.

    `squared` is |h_S - h_T|^2 / |h_T|^2 for each position and layer, `cosine` is 1 - cos(h_S, h_T). Layers are 1 to K;
    the decoder's inputs, which come from the ears, are not compared. The last layer is after the final norm.

    Normaliser: a sample's value is the mean over its own audio positions, and each of its response tokens has this
    value. The trainer's division by the step's response tokens then gives a mean over samples, weighted by response
    length like every other term. A value depends on its own sample alone. A sample without audio has 0.
    """

    name = "acoustic"

    def __init__(self, settings: AcousticTerm) -> None:
        self.weight = settings.weight
        self.teacher = settings.teacher_name
        self.view = settings.view
        self._distance = settings.distance

    def wants(self, student: Shape, teacher: Shape) -> Wanted:
        """Audio states of both sides."""
        return Wanted(Wants(audio=True), Wants(audio=True))

    def __call__(self, student: Side, teacher: Side | None) -> Tensor:
        """(N,) values."""
        assert teacher is not None
        mine, theirs = student.states.audio, teacher.states.audio
        if mine is None and theirs is None:
            return 0 * student.states.hidden.sum(-1)
        if mine is None or theirs is None or mine.layers.shape != theirs.layers.shape or _elsewhere(mine, theirs):
            raise InputError(
                "teacher and student do not hear the same: their audio positions or layers differ",
                remedy="give the acoustic term the student's own view and a snapshot of the student",
            )
        distances = self._distances(mine.layers[1:], theirs.layers[1:])
        return mean_per_sample(distances, mine.rows, mine.responses)

    def _distances(self, mine: Tensor, theirs: Tensor) -> Tensor:
        """(A,) means over layers. One layer at a time, because float32 copies of all layers at all audio positions are
        large.
        """
        values = []
        for one, other in zip(mine, theirs.detach(), strict=True):
            if self._distance == "cosine":
                values.append(cosine_distance(one, other))
            else:
                wide = torch.promote_types(one.dtype, torch.float32)
                apart = (one.to(wide) - other.to(wide)).square().sum(-1)
                values.append(apart / other.to(wide).square().sum(-1))
        return torch.stack(values).mean(0)


def _elsewhere(mine: AudioStates, theirs: AudioStates) -> bool:
    return not torch.equal(mine.rows, theirs.rows)


def mean_per_sample(values: Tensor, rows: Tensor, responses: Tensor) -> Tensor:
    """(N,) each response token's sample mean of `values`, else 0; `rows` and `responses` are sample numbers."""
    samples = int(torch.cat([rows, responses]).max()) + 1
    sums = values.new_zeros(samples).index_add(0, rows, values)
    return (sums / torch.bincount(rows, minlength=samples).clamp_min(1))[responses]
