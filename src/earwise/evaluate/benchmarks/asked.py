"""Items of a benchmark as a recipe asks for it: a known one with its options, or a file of one's own."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from earwise.evaluate.benchmarks.answers import load_benchmark, scorer_name
from earwise.evaluate.benchmarks.own import load_own
from earwise.evaluate.benchmarks.registry import find
from earwise.evaluate.benchmarks.scorers import find_scorer
from earwise.recipe.evaluate import Own
from earwise.records import Item


def load_asked(
    name: str, folder: Path, options: Mapping[str, object], own: Mapping[str, Own], profile: str | None
) -> list[Item]:
    """Items of benchmark `name`; media paths are relative to `folder`, where public files are.

    Args:
        name: of `[evaluate] benchmarks`.
        folder: of the benchmarks.
        options: of the recipe's tables below `[evaluate]`, by the table's name (`Benchmark.table`).
        own: of `[evaluate.own]`.
        profile: answers will be scored under it; raises `InputError` where the benchmark has none of this name.
    """
    if name in own:
        items = load_own(name, own[name], folder)
    else:
        known = find(name)
        items = load_benchmark(name, folder, options.get(known.table) if known is not None else None)
    if profile is not None:
        find_scorer(scorer_name(name, items[0]), profile)
    return items
