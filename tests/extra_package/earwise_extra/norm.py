"""A term."""

from torch import Tensor

from earwise.distil.teachers import Shape
from earwise.distil.terms import Side, Term, Wanted
from earwise.errors import InputError
from earwise.models.states import Wants
from earwise_extra.settings import NormTerm


class Norm(Term):
    """|h|^2 / H of one layer's state per response token; no unit."""

    name = "norm"

    def __init__(self, settings: NormTerm) -> None:
        self.weight = settings.weight
        self._layer = settings.layer

    def wants(self, student: Shape, teacher: Shape) -> Wanted:
        if self._layer > student.depth:
            raise InputError(f"norm: layer {self._layer} of a student that has {student.depth}")
        return Wanted(Wants(layers=frozenset({self._layer})))

    def __call__(self, student: Side, teacher: Side | None) -> Tensor:
        assert student.states.layers is not None
        return student.states.layers[self._layer].square().mean(-1)
