"""The schema of a recipe.

A recipe is a TOML file; `earwise.recipe.load_recipe` reads it into a `Recipe`. Every table is strict: an unknown key, a
value of another type and a missing required key are errors. Nothing is coerced, except a whole number to a number. A
field without a default is required if its table is present. Paths are relative to the working directory.
"""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator, Field

from earwise.recipe.base import Base
from earwise.recipe.data import CorporaData, FolderData, MicroData, MicroFeelings, MicroSounds
from earwise.recipe.evaluate import Attention, Evaluate, Guards, Likelihood, Report
from earwise.recipe.model import ALIGNED, BASE, Model
from earwise.recipe.scale import Scale
from earwise.recipe.speech import Condition, Gate, Speech
from earwise.recipe.table import Name, Seed, Settings, unique
from earwise.recipe.teach import Answers, Descriptions, Traces, Verify
from earwise.recipe.train import Align, Choice, Encoder, Train, Training


class Recipe(Settings):
    """A whole recipe: the tables of one run. An absent table has no stage."""

    name: Name
    description: str = ""
    seeds: Annotated[tuple[Seed, ...], Field(min_length=1), AfterValidator(unique)] = (0,)
    """Training seeds; training and evaluation are repeated for each."""
    data: Annotated[MicroData | MicroSounds | MicroFeelings | FolderData | CorporaData, Field(discriminator="source")]
    speech: Speech | None = None
    conditions: dict[Name, Condition] = Field(default={})
    gate: Gate | None = None
    traces: Traces | None = None
    verify: Verify | None = None
    descriptions: Descriptions | None = None
    model: Model | None = None
    training: Training | None = None
    base: Base | None = None
    encoder: Encoder | None = None
    answers: Answers | None = None
    align: Align | None = None
    train: dict[Name, Train] = Field(default={})
    choose: dict[Name, Choice] = Field(default={})
    evaluate: Evaluate | None = None
    guards: Guards | None = None
    likelihood: Likelihood | None = None
    attention: Attention | None = None
    report: Report | None = None
    scale: Scale | None = None

    @property
    def models(self) -> tuple[str, ...]:
        """Names of the trained models, in the order of the recipe; `base` if there are none."""
        ears = ((ALIGNED,) if self.align else ()) + tuple(self.train) + tuple(self.choose)
        return ears or (BASE,)

    @property
    def evaluated(self) -> tuple[str, ...]:
        """Names of the evaluated models."""
        if self.evaluate is None:
            return ()
        return self.models if self.evaluate.models == "all" else self.evaluate.models

    def optimisation(self, name: str) -> Training:
        """`[training]` with the overrides of `[train.NAME]`."""
        own = self.train[name]
        if self.training is None:
            raise ValueError("a recipe with trainings has a [training] table")
        given = {
            key: value
            for key, value in {"steps": own.steps, "lr": own.lr, "batch_size": own.batch_size}.items()
            if value is not None
        }
        return self.training.model_copy(update=given)
