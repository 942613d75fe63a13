"""Every benchmark: the built-in ones, one row each, and those registered by installed packages.

A package registers a `Benchmark` as an entry point of the group `earwise.benchmarks`. It is loaded when its name is
requested, or when all names are listed.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from functools import lru_cache
from importlib.metadata import entry_points
from typing import Final

from earwise.errors import InputError
from earwise.evaluate.benchmarks.avqa import AVQA
from earwise.evaluate.benchmarks.benchmark import Benchmark, Rules
from earwise.evaluate.benchmarks.chartqa import CHARTQA
from earwise.evaluate.benchmarks.documents import DOCVQA, INFOVQA
from earwise.evaluate.benchmarks.emotions import IEMOCAP, MELD
from earwise.evaluate.benchmarks.hallusionbench import HALLUSIONBENCH
from earwise.evaluate.benchmarks.mmalign import MMALIGN
from earwise.evaluate.benchmarks.mmar import MMAR
from earwise.evaluate.benchmarks.mmau import MMAU
from earwise.evaluate.benchmarks.mme import MME
from earwise.evaluate.benchmarks.music_avqa import MUSIC_AVQA
from earwise.evaluate.benchmarks.realworldqa import REALWORLDQA
from earwise.evaluate.benchmarks.rules import OWN, TRANSCRIPT
from earwise.evaluate.benchmarks.textvqa import TEXTVQA
from earwise.io import plugins

GROUP: Final = "earwise.benchmarks"
"""Entry points of other packages."""

_ROWS: Final = (
    MME,
    HALLUSIONBENCH,
    REALWORLDQA,
    TEXTVQA,
    *CHARTQA,
    DOCVQA,
    INFOVQA,
    *MMALIGN,
    *MMAU,
    MMAR,
    AVQA,
    MUSIC_AVQA,
    MELD,
    IEMOCAP,
)

BUILT_IN: Final[Mapping[str, Benchmark]] = {benchmark.name: benchmark for benchmark in _ROWS}

_TOTAL_LABELS: Final = {total.name: total.label for benchmark in _ROWS for total in benchmark.totals}

RULES: Final[Mapping[str, Rules]] = {
    **OWN,
    TRANSCRIPT.name: TRANSCRIPT,
    **{benchmark.rules.name: benchmark.rules for benchmark in _ROWS},
}
"""Rules by their own name, not that of a benchmark."""


def find(name: str) -> Benchmark | None:
    """The benchmark `name`; None for the user's own item file. Raises `InputError` naming a package that registers
    something else under this name.
    """
    return BUILT_IN[name] if name in BUILT_IN else _registered(name, tuple(sys.path))


def find_rules(name: str) -> Rules | None:
    """The rules of benchmark `name`, or the rules of this name."""
    if name in BUILT_IN:
        return BUILT_IN[name].rules
    if name in RULES:
        return RULES[name]
    benchmark = find(name)
    return benchmark.rules if benchmark is not None else None


def names() -> tuple[str, ...]:
    """The names of all benchmarks, those of installed packages last. Raises `InputError` naming a package whose
    benchmark has a built-in name, or cannot be loaded.
    """
    registered = plugins.names(GROUP)
    for name in registered:
        if name in BUILT_IN or name in RULES:
            raise InputError(
                f"package {_package(name)} registers the benchmark {name!r}, a name that earwise has itself",
                remedy=f"uninstall {_package(name)}, or give its benchmark another name",
            )
        find(name)
    return (*BUILT_IN, *registered)


def total_label(name: str) -> str:
    """The label of a number that some benchmark reports beside its score; empty for one that is not shown."""
    if name in _TOTAL_LABELS:
        return _TOTAL_LABELS[name]
    registered = (find(one) for one in plugins.names(GROUP))
    totals = [total for benchmark in registered if benchmark is not None for total in benchmark.totals]
    return next((total.label for total in totals if total.name == name), name)


@lru_cache(maxsize=256)
def _registered(name: str, places: tuple[str, ...]) -> Benchmark | None:
    """The benchmark that a package registers; `places`, the import path, is only a key of the cache."""
    value = plugins.found(GROUP, name)
    if value is None:
        return None
    if not isinstance(value, Benchmark) or value.name != name:
        what = f"a {type(value).__name__}" if not isinstance(value, Benchmark) else f"the benchmark {value.name!r}"
        raise InputError(
            f"package {_package(name)} registers {what} as {name!r} of {GROUP}",
            remedy="an entry point has the name of the Benchmark that it names",
        )
    return value


def _package(name: str) -> str:
    return next(
        (point.dist.name for point in entry_points(group=GROUP, name=name) if point.dist is not None), "unknown"
    )
