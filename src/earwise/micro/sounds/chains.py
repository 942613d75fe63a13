"""Chains of reasoning in the laboratory's grammar: one claim for each event, in order of time.

    bell at one . dog at three .

A claim is a kind, `at`, the slot's number from one, and a full stop that is a token of its own. So general rules
(`earwise.traces.claims.sentences`) take a chain apart, and every claim is true or false of a clip.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

from earwise.micro.sounds.words import END, KINDS, NUMBERS
from earwise.micro.sounds.world import SLOTS, Event

_SLOT_OF: Final = {word: slot for slot, word in enumerate(NUMBERS[1 : SLOTS + 1])}


def chain_of(events: Iterable[Event]) -> str:
    """The chain that claims `events`, in order of time; events of one slot in alphabetical order."""
    return " ".join(map(claim_of, sorted(events)))


def claim_of(event: Event) -> str:
    """`bell at one .`"""
    return f"{event.kind} at {NUMBERS[event.slot + 1]} {END}"


def event_of(claim: str) -> Event | None:
    """The event that a claim states, with or without its full stop; None for anything outside of the grammar."""
    match claim.removesuffix(END).split():
        case [kind, "at", number] if kind in KINDS and number in _SLOT_OF:
            return Event(_SLOT_OF[number], kind)
    return None


def parse_chain(chain: str) -> list[Event | None]:
    """The events of a chain, claim by claim; None for each claim outside of the grammar."""
    return [event_of(claim) for claim in _claims(chain)]


def claims_true(claims: Sequence[str], truth: Iterable[Event]) -> list[bool]:
    """Whether each claim states an event of `truth`; a claim outside of the grammar is not true."""
    events = set(truth)
    return [event_of(claim) in events for claim in claims]


def left_out(claims: Sequence[str], truth: Iterable[Event]) -> list[Event]:
    """Events of `truth` that no claim states: a chain of true claims can still be silent about something."""
    stated = {event_of(claim) for claim in claims}
    return [event for event in sorted(truth) if event not in stated]


def target(chain: str, answer: str) -> str:
    """Chain and answer as a model that reasons is taught to write them."""
    return f"<think> {chain} </think> <answer> {answer} </answer>"


def _claims(chain: str) -> list[str]:
    return [claim.strip() for claim in chain.split(END) if claim.strip()]
