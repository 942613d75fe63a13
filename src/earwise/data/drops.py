"""What is left out while data are read: counted by reason, with one example of each."""

from __future__ import annotations

from collections.abc import Iterator


class Drops:
    """Counts of what was left out, by reason. Reasons are few and fixed; what differs from record to record is in the
    example.
    """

    def __init__(self) -> None:
        self._counts: dict[str, int] = {}
        self._first: dict[str, str] = {}

    def add(self, reason: str, record: str) -> None:
        """Count one more record that was left out for `reason`."""
        self._counts[reason] = self._counts.get(reason, 0) + 1
        self._first.setdefault(reason, record)

    def __len__(self) -> int:
        """How many records were left out."""
        return sum(self._counts.values())

    def __getitem__(self, reason: str) -> int:
        return self._counts.get(reason, 0)

    @property
    def counts(self) -> dict[str, int]:
        """Records left out, by reason."""
        return dict(self._counts)

    def lines(self) -> Iterator[str]:
        """One line for each reason, the most frequent first: `dropped 12: image file missing (first: record 7)`."""
        for reason, count in sorted(self._counts.items(), key=lambda pair: (-pair[1], pair[0])):
            yield f"dropped {count}: {reason} (first: {self._first[reason]})"
