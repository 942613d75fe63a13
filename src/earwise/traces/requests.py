"""Requests to a model and its responses, for any engine.

A `Request` is asked for n samples. An answer is identified by the model, the sampling parameters, the messages, the
content of the media and the index of the sample. It is not identified by n, so a larger n keeps the existing samples.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal

from pydantic import Field

from earwise.errors import InputError
from earwise.records import NonEmpty, Record


@dataclass(frozen=True)
class Picture:
    """An image file (PNG, JPEG or WebP)."""

    path: Path


@dataclass(frozen=True)
class Frames:
    """A silent video: image files in order of time."""

    paths: tuple[Path, ...]


@dataclass(frozen=True)
class Sound:
    """A WAV or MP3 file."""

    path: Path


Part = str | Picture | Frames | Sound
"""Parts of a message; a plain string is text."""


@dataclass(frozen=True)
class Message:
    """One turn of a conversation."""

    role: Literal["system", "user", "assistant"]
    parts: tuple[Part, ...]


@dataclass(frozen=True)
class Sampling:
    """Sampling parameters. With a `seed`, sample number i is drawn with `seed + i`."""

    max_tokens: int
    temperature: float = 1.0
    top_p: float = 1.0
    seed: int | None = None
    logprobs: bool = False
    """Whether to request the log-probability of each token of the answer, in nats."""


@dataclass(frozen=True)
class Request:
    """One conversation to be continued `n` times; `id` names it in errors and has no part in its key."""

    id: str
    messages: tuple[Message, ...]
    sampling: Sampling
    n: int = 1

    def key(self, model: str) -> str:
        """Hex SHA-256 of everything that determines the answer of `model`. Raises `InputError` for a media file that is
        not there.

        Media count by content, so a renamed file is the same request and a changed one is another.
        """
        said = [[message.role, [_identity(part, self.id) for part in message.parts]] for message in self.messages]
        whole = {"model": model, "sampling": asdict(self.sampling), "messages": said}
        return hashlib.sha256(json.dumps(whole, sort_keys=True, ensure_ascii=False).encode()).hexdigest()

    def media(self) -> Iterator[Path]:
        """Every media file, in order."""
        for message in self.messages:
            for part in message.parts:
                if not isinstance(part, str):
                    yield from part.paths if isinstance(part, Frames) else (part.path,)


class Response(Record):
    """One sample of an answer, as it is stored."""

    request: NonEmpty
    """Key of the request."""
    sample: int = Field(ge=0)
    text: NonEmpty
    finish_reason: str
    """As the engine says it: `stop`, or `length` where `max_tokens` cut the answer off."""
    logprobs: tuple[float, ...] | None = None
    """Log-probability of each token, in nats; None if not requested or not offered."""
    prompt_tokens: int = Field(default=0, ge=0)
    """Tokens of the call, counted once: at its first sample, 0 at the others."""
    completion_tokens: int = Field(default=0, ge=0)

    @property
    def key(self) -> str:
        """Request and sample."""
        return response_key(self.request, self.sample)


def response_key(request: str, sample: int) -> str:
    """Store key of sample number `sample` of the request with key `request`."""
    return f"{request}#{sample}"


@dataclass(frozen=True)
class Completion:
    """Result of a request: a response for each of its n samples, or None with the reason."""

    request: Request
    responses: tuple[Response | None, ...]
    failure: str | None = None


def _identity(part: Part, record: str) -> Any:
    if isinstance(part, str):
        return part
    paths = part.paths if isinstance(part, Frames) else (part.path,)
    return {type(part).__name__.lower(): [file_digest(path, record) for path in paths]}


def file_digest(path: Path, record: str) -> str:
    """Hex SHA-256 of a file that the request named `record` shows; read again only if its size or time changed."""
    try:
        stat = path.stat()
        return _digest(path, stat.st_size, stat.st_mtime_ns)
    except OSError as error:
        raise InputError(f"cannot read: {error.strerror}", file=path, record=record) from None


@lru_cache(maxsize=65536)
def _digest(path: Path, size: int, time_ns: int) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
