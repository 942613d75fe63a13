"""Verification of chains by a checker, as a whole or claim by claim."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from earwise.traces.checker import Case, Checker, Judgement, Word
from earwise.traces.claims import Splitter


@dataclass(frozen=True)
class Chain:
    """A reasoning about a sound; `id` is the key of its trace."""

    id: str
    sound: Path
    reasoning: str


@dataclass(frozen=True)
class Ruling:
    """Judgements of a chain: one for each claim, or one for the whole chain under the claim None."""

    chain: str
    judgements: tuple[tuple[str | None, Judgement], ...]

    @property
    def accepted(self) -> bool:
        """Whether every claim passed; a chain without claims does not."""
        return bool(self.judgements) and all(judgement.word is Word.YES for _, judgement in self.judgements)

    @property
    def decided(self) -> bool:
        """Whether the checker accepted all claims, or refused one."""
        words = {judgement.word for _, judgement in self.judgements}
        return Word.NO in words or words == {Word.YES}

    @property
    def reason(self) -> str:
        """The first judgement other than yes, in words; empty for an accepted chain."""
        if not self.judgements:
            return "the chain has no claim"
        return next((SAID[judgement.word] for _, judgement in self.judgements if judgement.word is not Word.YES), "")


SAID = {
    Word.NO: "the checker says no",
    Word.UNCLEAR: "the checker says neither yes nor no",
    Word.FAILED: "the checker did not answer",
}
"""A checker's judgement as the reason of a decision."""


@dataclass(frozen=True)
class Verifier:
    """A checker of whole chains (`split` None, as published), or of the claims of each."""

    checker: Checker
    split: Splitter | None = None

    def judge(self, chains: Sequence[Chain]) -> list[Ruling]:
        """One ruling for each chain, in order."""
        parts = [self.parts(chain) for chain in chains]
        cases = [
            Case(chain.id, chain.sound, chain.reasoning if claim is None else claim)
            for chain, claims in zip(chains, parts, strict=True)
            for claim in claims
        ]
        said = iter(self.checker.judge(cases))
        return [
            Ruling(chain.id, tuple((claim, next(said)) for claim in claims))
            for chain, claims in zip(chains, parts, strict=True)
        ]

    def parts(self, chain: Chain) -> list[str | None]:
        """The judged claims of `chain`, or None for the whole chain."""
        return [None] if self.split is None else list(self.split(chain.reasoning))
