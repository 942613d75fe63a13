"""A training run with several parts: each batch mixes kinds of items, and each kind has its own view and terms.

The loss is the sum over parts of what each part's objective gives for its own samples, divided once by the response
tokens of the whole optimiser step. So a part's influence follows from its share of the items, the length of their
answers and the weights of its terms.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import torch
from torch import Tensor, nn

from earwise.distil.objective import Objective, TrainBatch
from earwise.distil.reach import Heard
from earwise.distil.terms import Term
from earwise.models.sample import Sample


@dataclass
class PartsBatch:
    """One micro-batch: passes by part, without parts that have no samples in it."""

    parts: dict[str, TrainBatch]

    @property
    def num_responses(self) -> int:
        """Response tokens of all parts."""
        return sum(part.num_responses for part in self.parts.values())

    def responses_of(self, term: str) -> int:
        """Response tokens of the part that `term` belongs to."""
        part = self.parts.get(term.partition("/")[0])
        return part.num_responses if part is not None else 0

    def heard(self, term: str) -> Heard:
        """See `Hearing`: of the part that `term` belongs to."""
        part = self.parts.get(term.partition("/")[0])
        return part.heard(term) if part is not None else Heard(0, 0)

    def to(self, device: torch.device | str) -> Self:
        """Move the tensors to `device`."""
        for part in self.parts.values():
            part.to(device)
        return self


class PartsObjective:
    """The objectives of one student by part; each has its own view, terms and teachers.

    Args:
        parts: objectives whose terms are named `PART/TERM`. `Sample.part` names the part of a sample.
    """

    def __init__(self, parts: Mapping[str, Objective]) -> None:
        for name, objective in parts.items():
            if strange := [term.name for term in objective.terms if not term.name.startswith(f"{name}/")]:
                raise ValueError(f"term {strange[0]!r} of part {name!r} is not named after it")
        self.objectives = dict(parts)

    @property
    def terms(self) -> list[Term]:
        """The terms of all parts."""
        return [term for objective in self.objectives.values() for term in objective.terms]

    def collate(self, samples: Sequence[Sample]) -> dict[str, PartsBatch]:
        """A micro-batch for `DistilTrainer`."""
        mine = {name: [sample for sample in samples if sample.part == name] for name in self.objectives}
        assert sum(map(len, mine.values())) == len(samples), "a sample belongs to no part"
        return {"batch": PartsBatch({n: self.objectives[n].collate(some)["batch"] for n, some in mine.items() if some})}

    def losses(self, model: nn.Module, batch: PartsBatch) -> dict[str, Tensor]:
        """Unweighted values of every term, by name, one per response token of its part."""
        values = {term.name: torch.zeros(0) for term in self.terms}
        for name, part in batch.parts.items():
            values |= self.objectives[name].losses(model, part)
        return values

    def save_aids(self, folder: Path) -> None:
        """See `Objective.save_aids`: any part saves those of all parts, because the student holds them."""
        next(iter(self.objectives.values())).save_aids(folder)
