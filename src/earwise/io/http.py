"""Server answers within limits: total time of a call, bytes as sent and as unpacked, and one address.

A server may send a byte per minute, endless headers or content, or a small file that unpacks to terabytes.
"""

from __future__ import annotations

import asyncio
import sys
import threading
import zlib
from collections.abc import Coroutine
from typing import Any, Final, TypeVar

import openai

T = TypeVar("T")

LARGEST_BYTES: Final = 64 * 2**20
"""Largest answer, as sent and as unpacked: more than minutes of speech, or thousands of tokens with alternatives."""


class BadAnswerError(Exception):
    """An answer that is too large or cannot be unpacked within the limit; it is never requested again."""


class BoundedClient(openai.DefaultAsyncHttpxClient):
    """The HTTP client for `openai`. It reads answers to their end, and follows no redirect, which could send the
    request and the key to another address.

    Args:
        limit_s: for a whole call, from the first byte of the request to the last of the answer.
        largest_bytes: of an answer.
    """

    def __init__(self, limit_s: float, largest_bytes: int = LARGEST_BYTES) -> None:
        super().__init__(timeout=limit_s, follow_redirects=False)
        self._limit_s, self._largest_bytes = limit_s, largest_bytes

    async def send(self, request: Any, **options: Any) -> Any:
        """As in httpx, with the whole answer; also raises `BadAnswerError`."""
        request.headers["Accept-Encoding"] = "identity"
        try:
            async with asyncio.timeout(self._limit_s):
                response = await super().send(request, **{**options, "stream": True, "follow_redirects": False})
                try:
                    content = await self._content(response)
                finally:
                    await response.aclose()
        except TimeoutError:
            library = sys.modules[type(request).__module__.partition(".")[0]]  # httpx, or openai's replacement
            raise library.ReadTimeout("no answer in time", request=request) from None
        except zlib.error:
            raise BadAnswerError("the answer cannot be unpacked") from None
        gone = ("content-encoding", "content-length", "transfer-encoding")
        headers = [(name, value) for name, value in response.headers.multi_items() if name.lower() not in gone]
        return type(response)(response.status_code, headers=headers, content=content, request=request)

    async def _content(self, response: Any) -> bytes:
        promised = response.headers.get("content-length", "")
        if promised.isdecimal() and len(promised) < 20 and int(promised) > self._largest_bytes:
            raise BadAnswerError(f"the answer is larger than {self._largest_bytes} bytes")
        unpack = _unpacker(response.headers.get("content-encoding", "identity").strip().lower())
        content, sent = bytearray(), 0
        async for chunk in response.aiter_raw():
            sent += len(chunk)
            left = self._largest_bytes - len(content)
            content += chunk[: left + 1] if unpack is None else unpack.decompress(chunk, left + 1)
            if len(content) > self._largest_bytes or sent > self._largest_bytes:
                raise BadAnswerError(f"the answer is larger than {self._largest_bytes} bytes")
        return bytes(content)


def _unpacker(encoding: str) -> Any:
    """Decompressor for an answer that a server compressed without being asked to; None for a plain one."""
    if encoding in ("", "identity"):
        return None
    if encoding in ("gzip", "x-gzip", "deflate"):
        return zlib.decompressobj(wbits=47)
    raise BadAnswerError("the answer is compressed in an unknown way")


def reason_of(error: openai.APIError) -> str:
    """The reason for a failed call, without any part of the request or the key."""
    if isinstance(error, openai.APIStatusError):
        if 300 <= error.status_code < 400:
            return f"status {error.status_code}: it sends us to another address, which is not followed"
        return f"status {error.status_code}"
    if isinstance(error, openai.APITimeoutError):
        return "no answer in time"
    return "the connection broke or the server cannot be reached"


class LoopThread:
    """An event loop in its own thread, for callers that wait for one answer at a time."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """The result of `work`, or what it raises; any thread may call this."""
        return asyncio.run_coroutine_threadsafe(work, self._loop).result()

    def close(self) -> None:
        """End the thread."""
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()
