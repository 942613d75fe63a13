"""The parts of `summary.json` on sounds, chains and trainings that are compared with one another."""

from __future__ import annotations

from pydantic import Field

from earwise.report.parts import Interval, Part, Share


class Gain(Part):
    """A row of an ablation minus its baseline, in points, paired by item."""

    value: float
    ci95: Interval
    p: float | None = None
    n: int
    by_seed: tuple[float, ...] = ()

    @property
    def words(self) -> str:
        """What the interval shows."""
        return "better" if self.ci95[0] > 0 else "worse" if self.ci95[1] < 0 else "no difference shown"


class FaithfulnessGain(Part):
    """By how much more of all answers one model reasons without a false claim than another, from -1 to 1, paired."""

    value: float
    ci95: Interval | None
    n: int
    by_seed: tuple[float, ...]

    @property
    def points(self) -> Gain | None:
        """The same in points; None without an interval."""
        if self.ci95 is None:
            return None
        low, high = (100 * end for end in self.ci95)
        seeds = tuple(100 * one for one in self.by_seed)
        return Gain(value=100 * self.value, ci95=(low, high), n=self.n, by_seed=seeds)


class ControlScore(Part):
    """One model on one benchmark without its sound: the score, and by how much the score with its sound is above it."""

    score: float
    gap: float
    ci95: Interval
    by_seed: tuple[float, ...] = ()
    hears: bool
    """Whether the interval of the gap is above 0."""


class PooledShare(Part):
    """A share of cases over all seeds, from 0 to 1, with its interval over clusters."""

    value: Share
    ci95: Interval | None = None
    n: int
    by_seed: tuple[float | None, ...] = ()


class Faithfulness(Part):
    """How far what one model says about the sounds of one benchmark is true; None where there is nothing to judge."""

    n: int
    no_truth: int = 0
    """Chains about sounds of which no truth is known."""
    reasons: PooledShare
    true_chains: PooledShare | None = None
    true_claims: PooledShare | None = None
    complete_chains: PooledShare | None = None


class FilterStep(Part):
    """The traces that are left after a filter."""

    traces: int
    items: int
    hallucinated: PooledShare | None = None
    true_claims: PooledShare | None = None
    omitting: PooledShare | None = None
    recall: PooledShare | None = None
    right: PooledShare | None = None
    labels: dict[str, Share] = Field(default={})


class CheckerWorth(Part):
    """Precision and recall of the checker on the traces that it judged, where their truth is known."""

    judged: int
    precision: PooledShare | None = None
    recall: PooledShare | None = None


class TrustRate(Part):
    """A share with its interval."""

    value: Share
    low: Share
    high: Share
    n: int


class Trust(Part):
    """A checker before it judged: on known chains, and as many corrupted ones."""

    checker: str
    precision: TrustRate
    recall: TrustRate
    accuracy: TrustRate


class Spent(Part):
    """What a model that was asked for traces or verdicts has read and written."""

    prompt_tokens: int
    completion_tokens: int
    cost: float = 0.0


class TraceFilters(Part):
    """The traces of a teacher, and what each filter left of them."""

    items: int
    drawn: int
    no_truth: int = 0
    steps: dict[str, FilterStep]
    dropped: dict[str, dict[str, int]] = Field(default={})
    """By filter: how many are kept, and how many dropped for each reason."""
    checker: CheckerWorth | None = None
    trust: Trust | None = None
    failed: int = 0
    """Items without a full set of samples, as the teacher did not answer."""
    spent: dict[str, Spent] = Field(default={})
