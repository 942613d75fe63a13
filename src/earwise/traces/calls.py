"""Concurrent calls to an OpenAI-compatible server: a check at the start, workers, and retries.

Requests and their results are defined by the caller: answers (`traces.server`), scores (`traces.scoring`).
"""

from __future__ import annotations

import asyncio
import os
import random
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final, Generic, TypeVar

import openai
from pydantic import BaseModel, ValidationError

from earwise.errors import InputError
from earwise.io.http import BadAnswerError, BoundedClient, reason_of
from earwise.traces.backoff import pause_s
from earwise.traces.wire import FramesAs, Usage

W = TypeVar("W")
E = TypeVar("E")

_PASSING: Final = (408, 409, 425, 429)
_EXPLAINED: Final = (400, 413, 422)
"""Refusals whose text is about the request (too long, an unknown parameter), so it is shown; others may hold a key."""
_SHOWN: Final = 200


@dataclass(frozen=True)
class Server:
    """Address and call settings of a server.

    The key is read from the environment variable `api_key_env` and is written nowhere: not in stores, logs or errors.
    """

    base_url: str
    model: str
    api_key_env: str | None = None
    concurrency: int = 16
    """Concurrent calls."""
    timeout_s: float = 300.0
    """Limit of a whole call, also if its reply arrives slowly."""
    max_attempts: int = 6
    """Consecutive calls without a new result before the rest of a request is given up."""
    frames_as: FramesAs = "images"
    check_s: float = 10.0
    """Limit of the request for the server's models."""


class Fault(Exception):
    """A failed call; `passing` if a retry may succeed."""

    def __init__(
        self, reason: str, *, passing: bool = True, retry_after: str | None = None, usage: Usage | None = None
    ) -> None:
        super().__init__(reason)
        self.reason, self.passing, self.retry_after, self.usage = reason, passing, retry_after, usage or Usage()


class ServerCalls(ABC, Generic[W, E]):
    """Processes pieces of work W by concurrent calls to a `Server`; each call yields events E.

    Statuses 408, 409, 425, 429 and 5xx, broken connections and timeouts are passing faults: they are retried after the
    time that `Retry-After` asks for or a doubling pause with jitter.
    """

    def __init__(self, server: Server) -> None:
        key = os.environ.get(server.api_key_env, "") if server.api_key_env else "none"
        if not key:
            raise InputError(f"the environment variable {server.api_key_env} with the key of the server is not set")
        self.model = server.model
        self._server, self._key = server, key
        self._rng = random.Random()  # for pauses only; it affects no result

    @abstractmethod
    async def settle(self, client: openai.AsyncOpenAI, piece: W, bring: Callable[[E], None]) -> None:
        """Ask until `piece` is done or the server has failed too often in a row."""

    def run(self, pieces: Sequence[W]) -> Iterator[E]:
        """Process all `pieces`; yields events in the order of arrival.

        Raises `InputError` if the server cannot be reached at the start, refuses the key or has no such model.
        """
        work = iter(pieces)
        workers = min(self._server.concurrency, len(pieces))
        arrived: asyncio.Queue[E | asyncio.Task[None]] = asyncio.Queue()

        async def begin() -> tuple[openai.AsyncOpenAI, list[asyncio.Task[None]]]:
            client = self._client()
            try:
                await self._check(client)
            except BaseException:
                await client.close()
                raise
            tasks = [asyncio.create_task(self._work(client, work, arrived)) for _ in range(workers)]
            for task in tasks:
                # A worker that ends puts itself in the queue, with the error that ended it, if there was one.
                task.add_done_callback(arrived.put_nowait)
            return client, tasks

        with asyncio.Runner() as runner:
            client, tasks = runner.run(begin())
            try:
                while tasks:
                    for event in runner.run(_all_of(arrived)):
                        if isinstance(event, asyncio.Task):
                            event.result()
                            tasks.remove(event)
                        else:
                            yield event
            finally:
                runner.run(client.close())

    def _client(self) -> openai.AsyncOpenAI:
        sender = BoundedClient(self._server.timeout_s)
        return openai.AsyncOpenAI(
            base_url=self._server.base_url,
            api_key=self._key,
            timeout=self._server.timeout_s,
            max_retries=0,
            http_client=sender,
        )

    async def _check(self, client: openai.AsyncOpenAI) -> None:
        """Raise one clear error for faults that would make every request fail. Servers that list no models are
        accepted.
        """
        where = self._server.base_url
        for attempt in range(1, self._server.max_attempts + 1):
            try:
                async with asyncio.timeout(self._server.check_s):
                    reply = await client.models.with_raw_response.list()
                break
            except openai.APIStatusError as error:
                if error.status_code in (401, 403):
                    key = f"the key in {self._server.api_key_env}" if self._server.api_key_env else "a call without key"
                    raise InputError(f"the server refuses {key}", file=where) from None
                if 300 <= error.status_code < 400:
                    remedy = "give the address that it sends us to, if you trust it"
                    raise InputError(f"the server answers with {reason_of(error)}", file=where, remedy=remedy) from None
                if not _passes(error.status_code):
                    return
                wait = error.response.headers.get("Retry-After")
            except BadAnswerError:
                return
            except (openai.APIConnectionError, TimeoutError):
                if attempt == 2:
                    remedy = "start the server, or correct the address"
                    raise InputError("the server cannot be reached", file=where, remedy=remedy) from None
                wait = None
            await asyncio.sleep(pause_s(attempt, wait, self._rng))
        else:
            return
        offered = _models(reply.http_response.content)
        if offered and self.model not in offered:
            remedy = f"it has {', '.join(offered[:5])}"
            raise InputError(f"the server has no model {self.model!r}", file=where, remedy=remedy)

    async def _work(
        self, client: openai.AsyncOpenAI, work: Iterator[W], arrived: asyncio.Queue[E | asyncio.Task[None]]
    ) -> None:
        for piece in work:
            await self.settle(client, piece, arrived.put_nowait)

    async def reach(self, call: Awaitable[Any]) -> bytes:
        """The unparsed reply of a call; raises `Fault` for a failed call."""
        try:
            async with asyncio.timeout(self._server.timeout_s):
                raw = await call
        except openai.APIStatusError as error:
            passing = _passes(error.status_code)
            raise Fault(
                self._refusal(error), passing=passing, retry_after=error.response.headers.get("Retry-After")
            ) from None
        except TimeoutError:
            raise Fault("no answer in time") from None
        except BadAnswerError as error:
            raise Fault(str(error), passing=False) from None
        except openai.APIConnectionError as error:
            raise Fault(reason_of(error)) from None
        content: bytes = raw.http_response.content
        return content

    async def pause(self, attempt: int, fault: Fault) -> None:
        """Wait before the next attempt after `attempt` failed attempts."""
        await asyncio.sleep(pause_s(attempt, fault.retry_after, self._rng))

    def _refusal(self, error: openai.APIStatusError) -> str:
        status = reason_of(error)
        if error.status_code not in _EXPLAINED:
            return status
        said = " ".join(error.message.split()).replace(self._key, "***")
        return f"{status}: {said[:_SHOWN]}"


async def _all_of(arrived: asyncio.Queue[E | asyncio.Task[None]]) -> list[E | asyncio.Task[None]]:
    """All results that have arrived, at least one. Calls proceed only while this is awaited. A caller that takes one
    result at a time falls behind, and results in the queue are lost if the process is killed.
    """
    events = [await arrived.get()]
    while not arrived.empty():
        events.append(arrived.get_nowait())
    return events


def _passes(status: int) -> bool:
    return status in _PASSING or status >= 500


class _Model(BaseModel):
    id: str


class _Models(BaseModel):
    data: list[_Model]


def _models(content: bytes) -> list[str]:
    """Models listed by a server; empty for another format of the list."""
    try:
        return [model.id for model in _Models.model_validate_json(content).data]
    except ValidationError:
        return []
