"""The parts of `summary.json` on likelihoods, in nats per token."""

from __future__ import annotations

from earwise.report.parts import Interval, Part


class Nats(Part):
    """A number in nats per token, or a difference of two."""

    value: float
    ci95: Interval
    by_seed: tuple[float, ...] = ()


class LikelihoodRow(Part):
    """One model under one condition: how likely the base's own typed answers are."""

    model: str
    how: str
    cross_entropy: Nats
    kl: Nats
    minus_cascade: Nats | None = None
    """Its cross-entropy less that of the base that reads a recogniser's transcript."""
    minus_speech: Nats | None = None
    """Of a control: its cross-entropy less the model's own by ear."""


class LikelihoodResult(Part):
    """All rows of one benchmark; `tokens` is the number of tokens of the references."""

    n: int
    tokens: int
    rows: tuple[LikelihoodRow, ...]
