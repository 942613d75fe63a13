"""Any OpenAI-compatible chat server (vLLM, SGLang and others), asked many things at a time."""

from __future__ import annotations

import asyncio
import os
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Final

import openai
from pydantic import BaseModel, ValidationError

from earwise.errors import InputError
from earwise.traces.backoff import pause_s
from earwise.traces.engine import Ask, Draw, Event, Failure, Retry
from earwise.traces.requests import Request
from earwise.traces.wire import Choice, FramesAs, Reply, Usage, parse_reply, to_messages, to_parameters

_PASSING: Final = (408, 409, 425, 429)
_EXPLAINED: Final = (400, 413, 422)
"""Refusals whose text is about the request (too long, an unknown parameter), so it is shown; others may hold a key."""
_SHOWN: Final = 200
_RESEED: Final = 1_000_003
"""Added to the seed after an empty answer: the same seed would bring the same nothing."""


@dataclass(frozen=True)
class Server:
    """Where a server is and how it is asked.

    The key is read from the environment variable `api_key_env` and is written nowhere: not in stores, logs or errors.
    """

    base_url: str
    model: str
    api_key_env: str | None = None
    concurrency: int = 16
    """Calls under way at once."""
    timeout_s: float = 300.0
    """For a whole call, however slowly its reply trickles in."""
    max_attempts: int = 6
    """Calls in a row that bring nothing new before the rest of a request is given up."""
    frames_as: FramesAs = "images"
    check_s: float = 10.0
    """For the question which models the server has."""


_Arrived = asyncio.Queue[Event | asyncio.Task[None]]
"""What workers bring, and workers that have ended."""
_EMPTY: Final = "the answer is empty"


class _Fault(Exception):
    """A call that brought nothing; `passing` if it is worth making again."""

    def __init__(
        self, reason: str, *, passing: bool = True, retry_after: str | None = None, usage: Usage | None = None
    ) -> None:
        super().__init__(reason)
        self.reason, self.passing, self.retry_after, self.usage = reason, passing, retry_after, usage or Usage()


class ServerEngine:
    """Draws samples from a `Server`; see `Engine`.

    Statuses 408, 409, 425, 429 and 5xx, broken connections, timeouts, replies that are cut short and empty answers are
    tried again, after the time that `Retry-After` asks for or a doubling pause with jitter. A reply with fewer choices
    than asked for is taken and the rest is asked for; surplus choices are left.
    """

    def __init__(self, server: Server) -> None:
        key = os.environ.get(server.api_key_env, "") if server.api_key_env else "none"
        if not key:
            raise InputError(f"the environment variable {server.api_key_env} with the key of the server is not set")
        self.model = server.model
        self._server, self._key = server, key
        self._rng = random.Random()  # of pauses only: it decides no result

    def answer(self, asks: Sequence[Ask]) -> Iterator[Event]:
        """Draw all samples of `asks`, in the order in which they come.

        Raises `InputError` if the server cannot be reached at the start, refuses the key or has no such model.
        """
        work = iter(asks)
        workers = min(self._server.concurrency, len(asks))
        arrived: _Arrived = asyncio.Queue()

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
        return openai.AsyncOpenAI(
            base_url=self._server.base_url, api_key=self._key, timeout=self._server.timeout_s, max_retries=0
        )

    async def _check(self, client: openai.AsyncOpenAI) -> None:
        """One clear line for what would make every request fail; servers that list no models are taken at their
        word.
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
                if not _passes(error.status_code):
                    return
                wait = error.response.headers.get("Retry-After")
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

    async def _work(self, client: openai.AsyncOpenAI, work: Iterator[Ask], arrived: _Arrived) -> None:
        for ask in work:
            await self._settle(client, ask, arrived)

    async def _settle(self, client: openai.AsyncOpenAI, ask: Ask, arrived: _Arrived) -> None:
        """Ask until every sample is there or the server has failed too often in a row."""
        messages = await asyncio.to_thread(_messages, ask.request, self._server.frames_as)
        missing = list(ask.samples)
        attempt = empties = 0
        while missing:
            run = _first_run(missing)
            try:
                reply = await self._call(client, messages, ask.request, run, empties)
            except _Fault as fault:
                attempt += 1
                if not fault.passing or attempt >= self._server.max_attempts:
                    arrived.put_nowait(Failure(ask.key, tuple(missing), fault.reason))
                    return
                used = fault.usage
                arrived.put_nowait(Retry(fault.reason, used.prompt_tokens, used.completion_tokens))
                empties += fault.reason == _EMPTY
                await asyncio.sleep(pause_s(attempt, fault.retry_after, self._rng))
                continue
            attempt = 0
            used = reply.usage or Usage()
            for sample, choice in zip(run, reply.choices, strict=False):
                if choice.text.strip():
                    arrived.put_nowait(_draw(ask.key, sample, choice, used))
                    missing.remove(sample)
                    used = Usage()
                else:
                    empties += 1

    async def _call(
        self,
        client: openai.AsyncOpenAI,
        messages: Any,
        request: Request,
        run: Sequence[int],
        empties: int,
    ) -> Reply:
        """One call for the samples of `run`; a reply has at least one answer that is not empty."""
        seed = request.sampling.seed
        seed = None if seed is None else seed + run[0] + _RESEED * empties
        parameters = to_parameters(request.sampling, len(run), seed)
        try:
            async with asyncio.timeout(self._server.timeout_s):
                raw = await client.chat.completions.with_raw_response.create(
                    model=self.model, messages=messages, **parameters
                )
        except openai.APIStatusError as error:
            passing = _passes(error.status_code)
            raise _Fault(
                self._refusal(error), passing=passing, retry_after=error.response.headers.get("Retry-After")
            ) from None
        except (openai.APITimeoutError, TimeoutError):
            raise _Fault("no answer in time") from None
        except openai.APIConnectionError:
            raise _Fault("the connection broke or the server cannot be reached") from None
        reply = parse_reply(raw.http_response.content)
        if reply is None:
            raise _Fault("the reply is cut short or not a chat completion")
        if not any(choice.text.strip() for choice in reply.choices[: len(run)]):
            raise _Fault(_EMPTY, usage=reply.usage)
        return reply

    def _refusal(self, error: openai.APIStatusError) -> str:
        status = f"status {error.status_code}"
        if error.status_code not in _EXPLAINED:
            return status
        said = " ".join(error.message.split()).replace(self._key, "***")
        return f"{status}: {said[:_SHOWN]}"


async def _all_of(arrived: _Arrived) -> list[Event | asyncio.Task[None]]:
    """Everything that has arrived, at least one thing. Calls go on only while this is awaited, so whoever takes one
    thing at a time falls behind, and what waits in the queue is lost when the process is killed.
    """
    events = [await arrived.get()]
    while not arrived.empty():
        events.append(arrived.get_nowait())
    return events


def _messages(request: Request, frames_as: FramesAs) -> list[dict[str, Any]]:
    try:
        return to_messages(request, frames_as)
    except InputError as error:
        raise InputError(error.what, file=error.file, record=request.id, remedy=error.remedy) from None


def _draw(key: str, sample: int, choice: Choice, used: Usage) -> Draw:
    return Draw(
        key,
        sample,
        choice.text,
        choice.finish_reason or "",
        choice.token_logprobs,
        used.prompt_tokens,
        used.completion_tokens,
    )


def _first_run(samples: Sequence[int]) -> list[int]:
    """The samples up to the first number that is left out: a server numbers the seeds of a call without gaps."""
    run = [samples[0]]
    for one, two in pairwise(samples):
        if two != one + 1:
            break
        run.append(two)
    return run


def _passes(status: int) -> bool:
    return status in _PASSING or status >= 500


class _Model(BaseModel):
    id: str


class _Models(BaseModel):
    data: list[_Model]


def _models(content: bytes) -> list[str]:
    """Models that a server says it has; none if it says so in another form."""
    try:
        return [model.id for model in _Models.model_validate_json(content).data]
    except ValidationError:
        return []
