"""The schema of `[choose.NAME]`: of several trainings the one that does best on held-out questions."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator, Field

from earwise.schema import Count, Name, Settings, unique


class Choice(Settings):
    """The training whose weights answered the held-out questions of `[training.select]` best, for each seed."""

    of: Annotated[tuple[Name, ...], Field(min_length=2), AfterValidator(unique)]
    """Trainings; the first of those that are equally good is chosen."""
    steps: Count
    """For which the chosen one goes on, from its weights, by its own objective on its own items."""
