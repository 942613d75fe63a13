"""The jobs of `[data]`, what is tested, and how jobs are made once."""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property, wraps
from pathlib import Path
from typing import Any, ParamSpec, TypeVar

from earwise.planning.check_jobs import check_pools
from earwise.planning.inputs import corpora_files
from earwise.recipe.data import CorporaData, FolderData
from earwise.recipe.evaluate import Evaluate
from earwise.recipe.recipe import Recipe
from earwise.recipe.uses import (
    shown_of,
    used_item_files,
)
from earwise.stages.jobs.data import BenchmarkSource, DataJob, MediaJob, ShownFile
from earwise.work.job import Input, imported

Check = Callable[[], None]
P = ParamSpec("P")
T = TypeVar("T")


def once(make: Callable[P, T]) -> Callable[P, T]:
    """A method that makes a job once for the same arguments: many jobs name it."""

    @wraps(make)
    def made(*args: P.args, **kwargs: P.kwargs) -> T:
        known: dict[object, T] = args[0].made  # type: ignore[attr-defined]  # a Compiler
        key = (make.__name__, args[1:], tuple(kwargs.items()))
        if key not in known:
            known[key] = make(*args, **kwargs)
        return known[key]

    return made


class _Later:
    """A check of a recipe that is imported when it is made. Two are equal if they check the same."""

    def __init__(self, name: str, recipe: Recipe) -> None:
        self._name, self._recipe = name, recipe

    def __call__(self) -> None:
        imported(self._name)(self._recipe)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Later) and (self._name, self._recipe) == (other._name, other._recipe)

    def __hash__(self) -> int:
        return hash(self._name)


class FromData:
    """The jobs that only the data decides. Each is made once, so that all that read a stage name the same job."""

    def __init__(self, recipe: Recipe) -> None:
        self.recipe = recipe
        folders = _Later("earwise.planning.folders:check_folders", recipe)
        models = _Later("earwise.planning.model_checks:check_all_models", recipe)
        self.folder_check: tuple[Check, ...] = (folders,)
        self.model_check: tuple[Check, ...] = (folders, models)
        self.made: dict[object, Any] = {}

    @cached_property
    def data(self) -> DataJob:
        """The job of `[data]`."""
        source, files = self.recipe.data, tuple[Input, ...]()
        if isinstance(source, FolderData):
            files = (Input("data.path", source.path, Path(source.path)),)
        elif isinstance(source, CorporaData):
            check_pools(self.recipe, source, used_item_files(self.recipe))
            files = corpora_files(source)
        return DataJob(source=source, files=files, check=self.folder_check)

    @cached_property
    def media(self) -> MediaJob:
        """A look at all that is shown."""
        evaluate, recipe = self.recipe.evaluate, self.recipe
        shown = []
        for source in self.benchmarks.values():
            assert evaluate is not None
            key = f"evaluate.views_of.{source.name}" if source.name in evaluate.views_of else "evaluate.views"
            shown.append(ShownFile(name=source.name, views={key: evaluate.asked(source.name)}))
        return MediaJob(
            data=self.data,
            files=tuple(ShownFile(name=name, views=shown_of(recipe, name)) for name in used_item_files(recipe)),
            benchmarks=tuple(self.benchmarks.values()),
            shown=tuple(shown),
            profile=evaluate.profile if evaluate is not None else None,
            bring_descriptions=recipe.descriptions is None,
            check=self.folder_check,
        )

    @cached_property
    def benchmarks(self) -> dict[str, BenchmarkSource]:
        """What is tested, by name."""
        evaluate = self.recipe.evaluate
        return {name: benchmark_of(evaluate, name) for name in evaluate.benchmarks} if evaluate is not None else {}


def benchmark_of(evaluate: Evaluate, name: str, *, scored: bool = False) -> BenchmarkSource:
    """A benchmark. Unless it is `scored`, how it is scored does not count."""
    own = evaluate.own.get(name)
    return BenchmarkSource(
        name=name,
        own=own if own is None or scored else own.model_copy(update={"scoring": None}),
        file=Input(f"evaluate.own.{name}.file", own.file, Path(own.file)) if own is not None else None,
        limit=evaluate.limit,
        mmalign=evaluate.mmalign if name.startswith("mmalign") else None,
        iemocap=evaluate.iemocap if name == "iemocap" else None,
    )
