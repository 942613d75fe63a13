"""Waiting times between calls to a server."""

from __future__ import annotations

import random
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Final

FIRST_S: Final = 0.5
LONGEST_S: Final = 30.0
LONGEST_ASKED_S: Final = 120.0
"""Longest wait, even if a server asks for more."""


def pause_s(attempt: int, retry_after: str | None, rng: random.Random) -> float:
    """Seconds to wait after failed attempt number `attempt`, from 1.

    The wait is the value of `Retry-After` and up to a tenth more, so that many clients do not return at once; without
    it, half to all of a time that doubles with every attempt.
    """
    asked = asked_s(retry_after, datetime.now(UTC))
    if asked is not None:
        return min(asked, LONGEST_ASKED_S) * rng.uniform(1.0, 1.1)
    return float(min(FIRST_S * 2 ** (attempt - 1), LONGEST_S) * rng.uniform(0.5, 1.0))


def asked_s(retry_after: str | None, now: datetime) -> float | None:
    """Seconds that the header `Retry-After` asks for: a number of them, or a date (RFC 9110); None if it is neither."""
    if retry_after is None:
        return None
    try:
        seconds = float(retry_after)
        return seconds if 0 <= seconds < float("inf") else None
    except ValueError:
        pass
    try:
        date = parsedate_to_datetime(retry_after)
    except ValueError:
        return None
    return max(0.0, (date.replace(tzinfo=date.tzinfo or UTC) - now).total_seconds())
