"""What a recipe's tables contradict each other in, where more than its schema is needed to see it."""

from __future__ import annotations

from earwise.errors import InputError
from earwise.recipe.checks import keyed_parts, part_views
from earwise.recipe.data import CorporaData, IemocapPart
from earwise.recipe.evaluate import Iemocap
from earwise.recipe.recipe import Recipe
from earwise.recipe.train import Train
from earwise.views import view_spec


def check_pools(recipe: Recipe, source: CorporaData, used: list[str]) -> None:
    """Raise `InputError` if a training reads an item file that no pool makes."""
    if missing := [name for name in used if name not in source.pools]:
        raise InputError(f"missing table, a training reads {missing[0]!r}", record=f"data.{missing[0]}")
    if recipe.evaluate is not None and source.benchmarks is None:
        raise InputError("missing, [evaluate] reads the benchmarks there", record="data.benchmarks")
    _check_sessions(recipe, source)


def _check_sessions(recipe: Recipe, source: CorporaData) -> None:
    """A session of IEMOCAP has its own two speakers, so who learns from it is not tested on it."""
    if recipe.evaluate is None or "iemocap" not in recipe.evaluate.benchmarks:
        return
    tested = (recipe.evaluate.iemocap or Iemocap()).sessions
    for name, pool in source.pools.items():
        for part in pool.parts:
            if isinstance(part, IemocapPart) and (both := sorted({*part.sessions} & {*tested})):
                what = f"session {both[0]} of IEMOCAP is learned from, and tested by [evaluate]"
                raise InputError(what, record=f"data.{name}.parts", remedy="leave it out of sessions here or there")


def check_views(name: str, own: Train) -> None:
    """Raise `InputError` for a view that cannot be shown: before the first stage, not when this one's turn comes."""
    for key, part in keyed_parts(f"train.{name}", own):
        for view in part_views(part):
            try:
                context = view_spec(view).context
            except InputError as error:
                raise InputError(error.what, record=key, remedy=error.remedy) from None
            if context in ("silence", "other_sound"):
                raise InputError(f"{view!r} is a control", record=key, remedy="train on the sound itself")
