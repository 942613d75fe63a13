"""What the server takes, and how it says that it takes no more: OpenAI's form of errors."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

_TYPES: Final = {401: "authentication_error", 403: "permission_error", 429: "rate_limit_error"}


@dataclass(frozen=True)
class Limits:
    """Bounds of one server. Each is checked before the work that it bounds."""

    body_bytes: int = 32 * 2**20
    """Of a whole request, media included."""
    pixels: int = 2**24
    """Width times height of a picture."""
    images: int = 16
    """Pictures of a request."""
    seconds: float = 30.0
    """Of a recording."""
    messages: int = 64
    tokens: int = 1024
    """Of an answer."""
    default_tokens: int = 256
    """Of an answer whose request does not say how long it may be."""
    queue: int = 256
    """Requests that wait."""
    batch: int = 32
    """Requests that are answered together."""
    batch_tokens: int = 32_768
    """Requests answered together, times their longest prompt and answer."""
    gather_s: float = 0.004
    """How long the first request of a batch waits for others."""
    read_s: float = 30.0
    """Until a request has arrived as a whole."""
    stop_s: float = 30.0
    """Until the server ends although requests are unanswered."""


DEFAULT: Final = Limits()


class Refused(Exception):
    """A request that is not answered, with its HTTP status."""

    def __init__(self, status: int, message: str, *, param: str | None = None, code: str | None = None) -> None:
        super().__init__(message)
        self.status, self.message, self.param, self.code = status, message, param, code

    def to_json(self) -> dict[str, Any]:
        """`{"error": {"message", "type", "param", "code"}}`."""
        kind = _TYPES.get(self.status, "server_error" if self.status >= 500 else "invalid_request_error")
        return {"error": {"message": self.message, "type": kind, "param": self.param, "code": self.code}}
