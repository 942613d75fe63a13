"""Measures a checker before it judges. The measurement uses known true chains and corrupted copies of them; only a
checker that reaches a stated bar can filter.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final

from earwise.errors import InputError
from earwise.traces.corruption import Corruption, corrupt
from earwise.traces.verifier import Chain, Ruling, Verifier

_Z: Final = 1.959963984540054
"""97.5 % quantile of the normal distribution."""


@dataclass(frozen=True)
class Rate:
    """A share, 0-1, with its 95 % interval. Without any case it is unknown: value 0 within [0, 1]."""

    value: float
    low: float
    high: float
    n: int

    @classmethod
    def of(cls, hits: int, n: int) -> Rate:
        """The interval is Wilson's, which has a width also at 0 and 1: z^2-shrunk centre, score-test ends."""
        if n == 0:
            return cls(0.0, 0.0, 1.0, 0)
        share = hits / n
        scale = 1 + _Z**2 / n
        centre = (share + _Z**2 / (2 * n)) / scale
        half = _Z / scale * math.sqrt(share * (1 - share) / n + _Z**2 / (4 * n**2))
        return cls(share, max(0.0, centre - half), min(1.0, centre + half), n)

    def __str__(self) -> str:
        return f"{self.value:.3f} [{self.low:.3f}, {self.high:.3f}]"


@dataclass(frozen=True)
class Bar:
    """Minimum results of a checker. The lower end of each 95 % interval counts, so few lucky cases do not suffice."""

    precision: float = 0.8
    recall: float = 0.5
    accuracy: float = 0.7


@dataclass(frozen=True)
class Trust:
    """Results of a checker on equal numbers of true and false chains. An undecided chain is not accepted."""

    checker: str
    precision: Rate
    """Share of true chains among the accepted, for equal numbers of true and false chains."""
    recall: Rate
    """Share of accepted chains among the true."""
    accuracy: Rate
    refused: dict[str, Rate]
    """By corruption, the share of false chains that were refused."""
    undecided: int
    """Chains, true or false, without an answer of yes or no."""
    not_corrupted: int
    """True chains left out because no corruption applies to them."""

    def to_json(self) -> dict[str, Any]:
        """The form in files and summaries."""
        return asdict(self)

    def shortfalls(self, bar: Bar) -> list[str]:
        """Where the lower end of an interval is below the bar: `precision 0.711 [0.601, 0.799] < 0.8`."""
        wanted = asdict(bar)
        rates = {name: getattr(self, name) for name in wanted}
        return [f"{name} {rates[name]} < {least:g}" for name, least in wanted.items() if rates[name].low < least]


@dataclass(frozen=True)
class TrustedVerifier:
    """A verifier that reached the bar. Only `admit` creates it, and filters require it."""

    verifier: Verifier
    trust: Trust


def admit(verifier: Verifier, trust: Trust, bar: Bar) -> TrustedVerifier:
    """Let `verifier`, measured as `trust`, judge; raises `InputError` naming checker and numbers if it fails `bar`."""
    if short := trust.shortfalls(bar):
        what = f"the checker {trust.checker!r} may not filter: {', '.join(short)} (lower end of the 95 % interval)"
        raise InputError(what, remedy="use a better checker, more known chains, or state a lower bar")
    return TrustedVerifier(verifier, trust)


def measure(verifier: Verifier, chains: Sequence[Chain], corruptions: Sequence[Corruption], seed: int) -> Trust:
    """Judge `chains`, which are known to be true, and a corrupted copy of each.

    Raises `InputError` if there is nothing to judge.
    """
    twins = corrupt(chains, corruptions, seed)
    pairs = [(chain, *twin) for chain, twin in zip(chains, twins, strict=True) if twin is not None]
    if not pairs:
        what = f"none of {len(chains)} known chains can be corrupted, so the checker cannot be measured"
        raise InputError(what, remedy="give chains that are known to be true, and corruptions that apply to them")
    rulings = verifier.judge([chain for pair in pairs for chain in pair[:2]])
    true, false = rulings[0::2], rulings[1::2]
    accepted, deceived = _accepted(true), _accepted(false)
    by_name: dict[str, list[Ruling]] = {}
    for (*_, corruption), ruling in zip(pairs, false, strict=True):
        by_name.setdefault(corruption.name, []).append(ruling)
    return Trust(
        checker=verifier.checker.name,
        precision=Rate.of(accepted, accepted + deceived),
        recall=Rate.of(accepted, len(true)),
        accuracy=Rate.of(accepted + len(false) - deceived, len(rulings)),
        refused={name: Rate.of(len(some) - _accepted(some), len(some)) for name, some in sorted(by_name.items())},
        undecided=sum(not ruling.decided for ruling in rulings),
        not_corrupted=len(chains) - len(pairs),
    )


def _accepted(rulings: Sequence[Ruling]) -> int:
    return sum(ruling.accepted for ruling in rulings)
