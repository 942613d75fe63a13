"""Chains of reasoning in the laboratory's grammar: one claim for each event, in order of time.

    bell at one . dog at three .

A claim is a kind, `at`, the slot's number from one, and a full stop as a separate token. So general rules
(`earwise.traces.claims.sentences`) can split a chain, and every claim is true or false for a clip.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from earwise.micro.sounds.words import END, KINDS, NUMBERS
from earwise.micro.sounds.world import SLOTS, Event

_SLOT_OF: Final = {word: slot for slot, word in enumerate(NUMBERS[1 : SLOTS + 1])}


def chain_of(events: Iterable[Event]) -> str:
    """The chain that claims `events`, in order of time, and alphabetical within a slot."""
    return " ".join(map(claim_of, sorted(events)))


def claim_of(event: Event) -> str:
    """`bell at one .`"""
    return f"{event.kind} at {NUMBERS[event.slot + 1]} {END}"


def event_of(claim: str) -> Event | None:
    """The event of a claim, with or without its full stop; None for a claim outside of the grammar."""
    match claim.removesuffix(END).split():
        case [kind, "at", number] if kind in KINDS and number in _SLOT_OF:
            return Event(_SLOT_OF[number], kind)
    return None


def parse_chain(chain: str) -> list[Event | None]:
    """The events of a chain, claim by claim; None for each claim outside of the grammar."""
    return [event_of(claim.strip()) for claim in chain.split(END) if claim.strip()]


def target(chain: str, answer: str) -> str:
    """Chain and answer in the format that a model learns to write."""
    return f"<think> {chain} </think> <answer> {answer} </answer>"
