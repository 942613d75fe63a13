"""The schema of `[scale]`: the machines for speech, traces and verification."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import Field, model_validator

from earwise.recipe.table import Settings


class Scale(Settings):
    """The workers. They affect no result, so a change repeats no stage."""

    workers: Literal["processes", "ray"] = "processes"
    """Processes of this machine, or actors of a Ray cluster."""
    address: str | None = None
    """`ray`: of a running cluster; a new one on this machine when absent."""
    gpus: float = Field(default=0.0, ge=0)
    """`ray`: GPUs of each worker; may be a fraction."""

    @model_validator(mode="after")
    def _address_and_gpus_with_ray(self) -> Self:
        if self.workers != "ray" and (self.address is not None or self.gpus):
            raise ValueError("address and gpus belong to workers 'ray'")
        return self
