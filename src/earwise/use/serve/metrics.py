"""Counts of a server, in the text form that Prometheus reads."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field


@dataclass
class Metrics:
    """Counts since the server began."""

    answered: Counter[tuple[str, int]] = field(default_factory=Counter)
    """Requests by path and HTTP status."""
    seconds: float = 0.0
    """Spent on requests, summed over them."""
    batches: int = 0
    batched: int = 0
    """Requests in batches."""
    largest: int = 0
    tokens: int = 0
    """Generated."""
    hung_up: int = 0
    """Clients that did not wait for their answer."""

    def batch(self, size: int) -> None:
        """Count a batch of `size` requests."""
        self.batches += 1
        self.batched += size
        self.largest = max(self.largest, size)

    def text(self, waiting: int) -> str:
        """All counts; `waiting` is the number of requests in the queue."""
        lines = ["# TYPE earwise_requests_total counter"]
        lines += [
            f'earwise_requests_total{{path="{path}",status="{status}"}} {count}'
            for (path, status), count in sorted(self.answered.items())
        ]
        values = {
            "request_seconds_total": round(self.seconds, 6),
            "batches_total": self.batches,
            "batched_requests_total": self.batched,
            "generated_tokens_total": self.tokens,
            "hung_up_total": self.hung_up,
        }
        for name, value in values.items():
            lines += [f"# TYPE earwise_{name} counter", f"earwise_{name} {value}"]
        for name, value in {"largest_batch": self.largest, "waiting_requests": waiting}.items():
            lines += [f"# TYPE earwise_{name} gauge", f"earwise_{name} {value}"]
        return "\n".join(lines) + "\n"
