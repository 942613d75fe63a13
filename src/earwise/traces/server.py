"""Concurrent sampling from any OpenAI-compatible chat server (vLLM, SGLang and others)."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Sequence
from itertools import pairwise
from typing import Any, Final

import openai

from earwise.errors import InputError
from earwise.traces.calls import Fault, Server, ServerCalls
from earwise.traces.engine import Ask, Draw, Event, Failure, Retry
from earwise.traces.requests import Request
from earwise.traces.wire import Choice, FramesAs, Reply, Usage, parse_reply, to_messages, to_parameters

__all__ = ["Server", "ServerEngine"]

_RESEED: Final = 1_000_003
"""Added to the seed after an empty answer, because the same seed would give it again."""
_EMPTY: Final = "the answer is empty"


class ServerEngine(ServerCalls[Ask, Event]):
    """Draws samples from a `Server`; see `Engine`.

    Beside the passing faults of `ServerCalls`, truncated replies and empty answers are retried. If a reply has too few
    choices, the rest is requested again; surplus choices are ignored.
    """

    def answer(self, asks: Sequence[Ask]) -> Iterator[Event]:
        """Draw all samples of `asks`, in the order of arrival; raises the errors of `run`."""
        return self.run(asks)

    async def settle(self, client: openai.AsyncOpenAI, ask: Ask, bring: Callable[[Event], None]) -> None:
        """Ask until every sample has arrived or the server has failed too often in a row."""
        messages = await asyncio.to_thread(_messages, ask.request, self._server.frames_as)
        missing = list(ask.samples)
        attempt = empties = 0
        while missing:
            run = _first_run(missing)
            try:
                reply = await self._call(client, messages, ask.request, run, empties)
            except Fault as fault:
                attempt += 1
                if not fault.passing or attempt >= self._server.max_attempts:
                    bring(Failure(ask.key, tuple(missing), fault.reason))
                    return
                used = fault.usage
                bring(Retry(fault.reason, used.prompt_tokens, used.completion_tokens))
                empties += fault.reason == _EMPTY
                await self.pause(attempt, fault)
                continue
            attempt = 0
            used = reply.usage or Usage()
            for sample, choice in zip(run, reply.choices, strict=False):
                if choice.text.strip():
                    bring(_draw(ask.key, sample, choice, used))
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
        """One call for the samples of `run`; a reply must have at least one non-empty answer."""
        seed = request.sampling.seed
        seed = None if seed is None else seed + run[0] + _RESEED * empties
        parameters = to_parameters(request.sampling, len(run), seed)
        create = client.chat.completions.with_raw_response.create
        content = await self.reach(create(model=self.model, messages=messages, **parameters))
        reply = parse_reply(content)
        if reply is None:
            raise Fault("the reply is cut short or not a chat completion")
        if not any(choice.text.strip() for choice in reply.choices[: len(run)]):
            raise Fault(_EMPTY, usage=reply.usage)
        return reply


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
    """The samples up to the first gap, because a server numbers the seeds of a call without gaps."""
    run = [samples[0]]
    for one, two in pairwise(samples):
        if two != one + 1:
            break
        run.append(two)
    return run
