"""Seeded functions that make true chains false. A trusted checker must refuse the result.

A corruption changes the claims about the sound and keeps the style, so that the style reveals nothing. It returns None
if it does not apply. The docstrings state under which conditions the result is false; a laboratory with known sounds
can have its own corruptions.
"""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from earwise.traces.claims import Splitter, sentences
from earwise.traces.verifier import Chain


@dataclass(frozen=True)
class Corruption:
    """A named corruption. `apply` gets the chain, all chains and a source of randomness."""

    name: str
    apply: Callable[[Chain, Sequence[Chain], random.Random], str | None]


def replaced(words: Sequence[str]) -> Corruption:
    """Replaces one of `words` in the chain, everywhere, by another of them that is not in the chain.

    False if the words exclude each other (kinds of sounds, numbers), and the chain contains all of them that are heard.
    """
    pattern = re.compile(rf"\b({'|'.join(map(re.escape, sorted(words, key=len, reverse=True)))})\b", re.IGNORECASE)

    def apply(chain: Chain, _: Sequence[Chain], rng: random.Random) -> str | None:
        named = sorted({found.lower() for found in pattern.findall(chain.reasoning)})
        others = [word for word in words if word.lower() not in named]
        if not named or not others:
            return None
        old, new = rng.choice(named), rng.choice(others)
        return pattern.sub(lambda found: new if found[0].lower() == old else found[0], chain.reasoning)

    return Corruption("replaced word", apply)


def swapped(first: str, second: str) -> Corruption:
    """Swaps `first` and `second` ("before" and "after") everywhere; false for an order in time."""
    other = {first.lower(): second, second.lower(): first}
    pattern = re.compile(rf"\b({re.escape(first)}|{re.escape(second)})\b", re.IGNORECASE)

    def apply(chain: Chain, _: Sequence[Chain], rng: random.Random) -> str | None:
        changed = pattern.sub(lambda found: other[found[0].lower()], chain.reasoning)
        return changed if changed != chain.reasoning else None

    return Corruption(f"swapped {first} and {second}", apply)


def foreign() -> Corruption:
    """Replaces the chain by that of another sound; false if no two sounds have the same chain."""

    def apply(chain: Chain, chains: Sequence[Chain], rng: random.Random) -> str | None:
        others = [one for one in chains if one.sound != chain.sound and one.reasoning != chain.reasoning]
        return rng.choice(others).reasoning if others else None

    return Corruption("chain of another sound", apply)


def added(split: Splitter = sentences, joint: str = " ") -> Corruption:
    """Adds a claim of another sound's chain in a random place: the smallest hallucination."""

    def apply(chain: Chain, chains: Sequence[Chain], rng: random.Random) -> str | None:
        own = split(chain.reasoning)
        others = [one for one in chains if one.sound != chain.sound]
        for other in rng.sample(others, len(others)):
            if strange := [claim for claim in split(other.reasoning) if claim not in own]:
                place = rng.randint(0, len(own))
                return joint.join([*own[:place], rng.choice(strange), *own[place:]])
        return None

    return Corruption("added claim", apply)


def corrupt(
    chains: Sequence[Chain], corruptions: Sequence[Corruption], seed: int
) -> list[tuple[Chain, Corruption] | None]:
    """A corrupted copy of each chain, by corruptions in turn; None for a chain to which none applies.

    The copy of a chain depends on the seed, the chain's id and the set of chains, not on their order.
    """
    pool = sorted(chains, key=lambda chain: chain.id)
    places = {chain.id: place for place, chain in enumerate(pool)}
    return [_twin(chain, pool, places[chain.id], corruptions, seed) for chain in chains]


def _twin(
    chain: Chain, pool: Sequence[Chain], place: int, corruptions: Sequence[Corruption], seed: int
) -> tuple[Chain, Corruption] | None:
    rng = random.Random(f"{seed}/{chain.id}")
    for turn in range(len(corruptions)):
        corruption = corruptions[(place + turn) % len(corruptions)]
        text = corruption.apply(chain, pool, rng)
        if text is not None and text != chain.reasoning:
            return Chain(f"{chain.id}|{corruption.name}", chain.sound, text), corruption
    return None
