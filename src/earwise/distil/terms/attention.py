"""Attention distillation between two views of one model: attend to the image as under the typed question.

Shapes: N response tokens, R of them in a sample, I image keys of the sample, K layers, H heads.
"""

from __future__ import annotations

import torch
from torch import Tensor

from earwise.distil.teachers import Shape
from earwise.distil.terms.base import Side, Term, Wanted
from earwise.errors import InputError
from earwise.models.families.base import ImageInput
from earwise.models.image_attention import AttentionAsk, ImageAttention, mean_of_heads
from earwise.models.states import Wants
from earwise.recipe.terms import AttentionTerm


class Attention(Term):
    """KL(teacher || student) of the attention from response positions to image keys, in nats per response token.

    For the position that predicts a response token, in layer l and head h, a(i) is the share of its attention on image
    key i. Attention is normalised over all keys that the position sees. Both views show the same image tokens, so both
    sides have the same keys i. The value of a response token is

        mean over layers of sum over outcomes o of T(o) (log T(o) - log S(o)).

    With `mass`, the outcomes are the I image keys and all other keys together: T(i) = a(i), T(rest) = 1 - sum of a.
    Without `mass`, they are the image keys alone: T(i) = a(i) / sum of a, which compares where in the image the model
    looks, but not how much. `heads = "mean"` averages a over heads first; `each` compares each head and averages the
    values.

    Normaliser: every response token has its own value, which depends on its own sample alone. A sample without images
    has 0. The teacher has no gradient.
    """

    name = "attention"

    def __init__(self, settings: AttentionTerm) -> None:
        self.weight = settings.weight
        self.teacher = settings.teacher_name
        self.view = settings.view
        self._every, self._mass, self._each_head = settings.every, settings.mass, settings.heads == "each"

    def wants(self, student: Shape, teacher: Shape) -> Wanted:
        """Attention of both sides in layers k, 2k, ... of the student. Raises `InputError` if there are none."""
        if self._every > student.depth:
            raise InputError(f"attention: every {self._every} layers of a student that has {student.depth}")
        ask = AttentionAsk(tuple(range(self._every, student.depth + 1, self._every)), self._each_head)
        return Wanted(Wants(attention=ask), Wants(attention=ask))

    def __call__(self, student: Side, teacher: Side | None) -> Tensor:
        """(N,) values."""
        assert teacher is not None
        mine, theirs = student.states.attention, teacher.states.attention
        if mine is None or theirs is None or not _same_images(mine, theirs):
            raise InputError(
                "teacher and student do not see the same images",
                remedy="give the attention term a teacher's view that shows what the student's shows",
            )
        return torch.cat([self._sample(s, t) for s, t in zip(self._read(mine), self._read(theirs), strict=True)])

    def _read(self, attention: ImageAttention) -> list[Tensor]:
        """For each sample (K, H or 1, R, I + 1) logarithms, reduced to this term's own layers and heads."""
        own = [n for n, number in enumerate(attention.layers) if number % self._every == 0]
        samples = [sample[own] for sample in attention.samples]
        return samples if self._each_head else [mean_of_heads(sample) for sample in samples]

    def _sample(self, mine: Tensor, theirs: Tensor) -> Tensor:
        """(R,) values of one sample."""
        theirs = theirs.detach()
        if not self._mass:
            mine, theirs = mine[..., :-1].log_softmax(-1), theirs[..., :-1].log_softmax(-1)
        return (theirs.exp() * (theirs - mine)).sum(-1).mean((0, 1))


def _same_images(mine: ImageAttention, theirs: ImageAttention) -> bool:
    """Whether both sides have the same image keys: as many per sample, and the same pixels in the same order."""
    keys = [[sample.shape[-1] for sample in side.samples] for side in (mine, theirs)]
    if keys[0] != keys[1] or len(mine.images) != len(theirs.images):
        return False
    return all(_equal(a, b) for a, b in zip(mine.images, theirs.images, strict=True))


def _equal(a: ImageInput, b: ImageInput) -> bool:
    if a is b:  # the usual case: an image is read once
        return True
    return a.tensors.keys() == b.tensors.keys() and all(torch.equal(a.tensors[k], b.tensors[k]) for k in a.tensors)
