"""The scorer of a benchmark under a profile, by name."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from typing import Final

from earwise.errors import InputError
from earwise.evaluate.benchmarks.registry import BUILT_IN, RULES, find_rules, names
from earwise.evaluate.benchmarks.rules import EXACT, PROFILES, TRANSCRIPT
from earwise.evaluate.reading import Scorer

SCORERS: Final = {
    rules.name: rules.scorers for rules in (*(benchmark.rules for benchmark in BUILT_IN.values()), EXACT, TRANSCRIPT)
}
"""Rules of the built-in benchmarks -> profile -> scorer of outputs."""

SPLITS: Final = {name: one.rules.name for name, one in BUILT_IN.items() if one.rules.name != name}
"""Parts of a benchmark, which share its scorers -> rules."""


def find_scorer(benchmark: str, profile: str = "strict") -> Scorer:
    """The scorer behind `scoring.score`; raises `InputError` for an unknown benchmark or profile."""
    rules = find_rules(benchmark)
    if rules is None:
        raise unknown("benchmark", benchmark, dict.fromkeys((*SCORERS, *SPLITS, *RULES, *names())))
    if profile not in PROFILES:
        raise unknown("profile", profile, PROFILES)
    if profile not in rules.scorers:
        remedy = f"profiles of {benchmark}: {', '.join(rules.scorers)}"
        raise InputError(f"{benchmark} has no profile {profile!r} that needs no judge", remedy=remedy)
    return rules.scorers[profile]


def read(benchmark: str, prediction: str, profile: str = "strict") -> str | None:
    """The answer that `scoring.score` takes from an output; None if there is none."""
    return (find_rules(benchmark) or EXACT).reader(profile)(prediction)


def unknown(what: str, name: str, known: Iterable[str]) -> InputError:
    """The error for an unknown name; it names the nearest known one."""
    known = list(known)
    nearest = difflib.get_close_matches(name, known, n=1, cutoff=0.5)
    remedy = f"did you mean {nearest[0]!r}?" if nearest else f"known: {', '.join(known)}"
    return InputError(f"unknown {what} {name!r}", remedy=remedy)
