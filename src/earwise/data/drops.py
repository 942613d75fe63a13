"""Records that readers leave out, by reason."""

from __future__ import annotations

from collections.abc import Iterator


class Drops:
    """Left-out records by reason. Reasons are few and fixed; the first record of a reason serves as an example."""

    def __init__(self) -> None:
        self._records: dict[str, list[str]] = {}

    def add(self, reason: str, record: str) -> None:
        """Count a record that was left out for `reason`."""
        self._records.setdefault(reason, []).append(record)

    def __len__(self) -> int:
        return sum(map(len, self._records.values()))

    def __getitem__(self, reason: str) -> int:
        return len(self._records.get(reason, ()))

    @property
    def counts(self) -> dict[str, int]:
        """Number of left-out records by reason."""
        return {reason: len(records) for reason, records in self._records.items()}

    @property
    def records(self) -> dict[str, list[str]]:
        """Left-out records by reason."""
        return {reason: list(records) for reason, records in self._records.items()}

    def lines(self) -> Iterator[str]:
        """One line for each reason, the most frequent first: `dropped 12: image file missing (first: record 7)`."""
        for reason, count in sorted(self.counts.items(), key=lambda pair: (-pair[1], pair[0])):
            yield f"dropped {count}: {reason} (first: {self._records[reason][0]})"
