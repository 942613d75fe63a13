"""The speaker and delivery of each item, drawn from its id and the seed, independent of its place in a list."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from earwise.speech.engine import SpeechEngine


@dataclass(frozen=True)
class Cast:
    """An engine with its voices, and the share of the items that it speaks."""

    engine: Callable[[], SpeechEngine]
    """Opens the engine in each worker process; must be picklable for more than one worker."""
    voices: Sequence[str]
    """One voice is drawn for each item."""
    rates: tuple[float, float]
    """Words per minute."""
    pitches: tuple[float, float]
    """espeak's scale of 0 to 99."""
    share: float = 1.0
    """Share of the items, drawn for each item. The first `Cast` speaks the items that the others leave."""


@dataclass(frozen=True)
class Delivery:
    """How one item is spoken."""

    voice: str
    rate: float
    pitch: float
    seed: int


def cast_of(item: str, shares: Sequence[float], seed: int) -> int:
    """The number, from 1, of the share that the item belongs to, or 0 if it belongs to none."""
    digest = hashlib.blake2b(f"{seed}\n{item}\ncast".encode(), digest_size=8).digest()
    drawn = int.from_bytes(digest, "big") / 2**64
    for number, share in enumerate(shares, start=1):
        drawn -= share
        if drawn < 0:
            return number
    return 0


def draw_delivery(
    item: str, voices: Sequence[str], rates: tuple[float, float], pitches: tuple[float, float], seed: int
) -> Delivery:
    """The item's voice, rate and pitch (uniform, rounded to whole numbers)."""
    digest = hashlib.blake2b(f"{seed}\n{item}".encode(), digest_size=32).digest()
    voice, rate, pitch, own_seed = (int.from_bytes(digest[start : start + 8], "big") for start in (0, 8, 16, 24))
    return Delivery(
        voice=voices[voice % len(voices)],
        rate=_uniform(rates, rate),
        pitch=_uniform(pitches, pitch),
        seed=own_seed % 2**31,
    )


def _uniform(bounds: tuple[float, float], word: int) -> float:
    low, high = bounds
    return float(round(low + (high - low) * word / 2**64))
