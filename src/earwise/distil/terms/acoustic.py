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
        heard = torch.bincount(mine.rows, minlength=_samples(mine))
        sums = torch.zeros(len(heard), dtype=distances.dtype, device=distances.device)
        per_sample = sums.index_add(0, mine.rows, distances) / heard.clamp_min(1)
        return per_sample[mine.responses]

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


def _samples(heard: AudioStates) -> int:
    """One more than the last sample that hears or answers: at most B."""
    return int(torch.cat([heard.rows, heard.responses]).max()) + 1
