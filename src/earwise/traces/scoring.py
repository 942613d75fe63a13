"""Scores of given tokens by a server: at each token, the most likely tokens and their log-probabilities, stored once.

`POST /v1/completions` with the tokens as prompt and one token to be generated, which is ignored. vLLM's
`prompt_logprobs` names words by id; OpenAI's `echo` with `logprobs`, which SGLang has too, names them by text.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import isfinite
from pathlib import Path
from typing import Any, Final, Literal, Self

import openai
from pydantic import BaseModel, Field, ValidationError

from earwise.errors import InputError
from earwise.records import NonEmpty, Record
from earwise.traces.calls import Fault, ServerCalls
from earwise.traces.client import Tally
from earwise.traces.engine import Failure, Retry
from earwise.traces.wire import Usage
from earwise.work.progress import Ticker
from earwise.work.store import Store, read_store

Reply = Literal["prompt_logprobs", "echo"]
Word = int | str
"""A token by its id, or by its text if the server gives no ids."""

_BY_ID: Final = "token_id:"
"""Prefix of vLLM's names of tokens by id."""
_NO_TEXT: Final = ("\ufffd", "bytes:")
"""Character in names of tokens that are no whole characters; such names identify nothing."""


@dataclass(frozen=True)
class Scoring:
    """Tokens, some of which are scored; `id` and `texts` are not part of the key."""

    id: str
    """Name in errors."""
    ids: tuple[int, ...]
    """Input of the server."""
    places: tuple[int, ...]
    """Indices of the scored tokens, rising; the first token has no context and cannot be scored."""
    texts: tuple[str, ...]
    """Each of these tokens as text."""
    top_k: int
    reply: Reply

    def key(self, model: str) -> str:
        """Hex SHA-256 of everything that determines the scores."""
        whole = [model, self.reply, self.top_k, self.ids, self.places]
        return hashlib.sha256(json.dumps(whole).encode()).hexdigest()


class Scored(Record):
    """A server's listed tokens, as stored."""

    request: NonEmpty
    """Key of the `Scoring`."""
    listed: tuple[tuple[tuple[Word, float], ...], ...]
    """For each place, tokens with their log-probabilities in nats; the actual token is first."""
    prompt_tokens: int = Field(default=0, ge=0)

    @property
    def key(self) -> str:
        """Key of the request."""
        return self.request


class _Listed(BaseModel):
    logprob: float


class _Echoed(BaseModel):
    tokens: list[str]
    token_logprobs: list[float | None]
    top_logprobs: list[dict[str, float] | None] | None = None


class _Choice(BaseModel):
    prompt_logprobs: list[dict[int, _Listed] | None] | None = None
    logprobs: _Echoed | None = None


class _Completion(BaseModel):
    choices: list[_Choice] = Field(min_length=1)
    usage: Usage | None = None


class ScoringEngine(ServerCalls[Scoring, Scored | Retry | Failure]):
    """Scores by a `Server`. A reply without log-probabilities or with other tokens ends it, as all replies would."""

    async def settle(
        self, client: openai.AsyncOpenAI, piece: Scoring, bring: Callable[[Scored | Retry | Failure], None]
    ) -> None:
        """Ask until `piece` is scored or the server has failed too often. Raises `InputError` naming the piece where
        the reply has no log-probabilities of the prompt or is about other tokens.
        """
        key = piece.key(self.model)
        for attempt in range(1, self._server.max_attempts + 1):
            try:
                reply = await self._call(client, piece)
            except Fault as fault:
                if not fault.passing or attempt == self._server.max_attempts:
                    bring(Failure(key, (0,), fault.reason))
                    return
                bring(Retry(fault.reason))
                await self.pause(attempt, fault)
                continue
            listed = (_by_id if piece.reply == "prompt_logprobs" else _by_text)(piece, reply.choices[0])
            tokens = reply.usage.prompt_tokens if reply.usage else 0
            bring(Scored(request=key, listed=listed, prompt_tokens=tokens))
            return

    async def _call(self, client: openai.AsyncOpenAI, piece: Scoring) -> _Completion:
        how: dict[str, Any] = {"extra_body": {"prompt_logprobs": piece.top_k}}
        if piece.reply == "echo":
            how = {"echo": True, "logprobs": piece.top_k}
        create = client.completions.with_raw_response.create
        content = await self.reach(
            create(model=self.model, prompt=list(piece.ids), max_tokens=1, temperature=0.0, **how)
        )
        try:
            return _Completion.model_validate_json(content)
        except ValidationError:
            raise Fault("the reply is cut short or not a completion") from None


_Places = tuple[tuple[tuple[Word, float], ...], ...]


def _by_id(piece: Scoring, choice: _Choice) -> _Places:
    """The listed tokens of a reply to `prompt_logprobs`."""
    given = choice.prompt_logprobs
    if given is None:
        raise _misfit(piece, "the server gives no prompt_logprobs", "for a server without them, set reply = 'echo'")
    if len(given) != len(piece.ids):
        raise _other_tokens(piece, f"reads {len(given)} tokens, and the teacher's tokenizer makes {len(piece.ids)}")
    found = []
    for place in piece.places:
        own, words = piece.ids[place], given[place]
        if words is None or own not in words:
            raise _other_tokens(piece, f"scores another token than {own} at place {place}")
        others = ((word, one.logprob) for word, one in words.items() if word != own)
        found.append(_finite((own, words[own].logprob), *others))
    return tuple(found)


def _by_text(piece: Scoring, choice: _Choice) -> _Places:
    """The listed tokens of a reply to `echo`, without the generated token."""
    given = choice.logprobs
    if given is None or given.top_logprobs is None:
        raise _misfit(piece, "the server gives no logprobs of the echoed prompt", "score by another server")
    lengths = {len(given.tokens), len(given.token_logprobs), len(given.top_logprobs)}
    if len(lengths) > 1 or lengths.pop() not in (len(piece.ids), len(piece.ids) + 1):
        count = len(given.tokens)
        raise _other_tokens(piece, f"echoes {count} tokens, and the teacher's tokenizer makes {len(piece.ids)}")
    found = []
    for place, text in zip(piece.places, piece.texts, strict=True):
        name, logprob, words = given.tokens[place], given.token_logprobs[place], given.top_logprobs[place]
        own = piece.ids[place]
        if _word(name) not in (own, text) and not any(mark in name + text for mark in _NO_TEXT):
            raise _other_tokens(piece, f"reads {name!r} at place {place}, where the teacher's tokenizer has {text!r}")
        if logprob is None or words is None:
            raise _misfit(piece, f"the server gives no logprobs at place {place}", "score by another server")
        others = ((_word(other), value) for other, value in words.items() if other != name)
        found.append(_finite((own, logprob), *others))
    return tuple(found)


def _word(name: str) -> Word:
    number = name.removeprefix(_BY_ID)
    return int(number) if name.startswith(_BY_ID) and number.isdigit() else name


def _finite(*words: tuple[Word, float]) -> tuple[tuple[Word, float], ...]:
    """Tokens with a probability above 0."""
    return tuple((word, value) for word, value in words if isfinite(value))


def _misfit(piece: Scoring, what: str, remedy: str) -> InputError:
    return InputError(what, record=piece.id, remedy=remedy)


def _other_tokens(piece: Scoring, what: str) -> InputError:
    return _misfit(piece, f"the server {what}", "give as `tokenizer` that of the model which the server runs")


class Scorer:
    """A `ScoringEngine` behind a store of its scores; a context manager, one process at a time per store.

    Args:
        engine: what asks the server.
        path: of the store.
        beside: stores that other processes fill: what is in them is not asked again. Read by `look`.
    """

    def __init__(self, engine: ScoringEngine, path: Path, beside: Callable[[], Sequence[Path]] = tuple) -> None:
        self.engine = engine
        self.tally = Tally()
        self._store = Store(path, Scored)
        self._beside = beside
        self._held = {one.key: one for one in self._store}
        self.look()

    def look(self) -> None:
        """Read the stores of other processes."""
        for path in self._beside():
            if path != self._store.path:
                self._held.update((one.key, one) for one in read_store(path, Scored))

    def score(self, pieces: Sequence[Scoring], what: str = "") -> list[Scored]:
        """Scores of all `pieces`, in their order; `what` names the progress line.

        Raises `InputError` for missing scores; received scores are kept.
        """
        keys = [piece.key(self.engine.model) for piece in pieces]
        missing = {key: piece for key, piece in zip(keys, pieces, strict=True) if key not in self._held}
        if missing:
            self._ask(missing, what or f"scored by {self.engine.model}")
        return [self._held[key] for key in keys]

    def _ask(self, missing: dict[str, Scoring], what: str) -> None:
        failures: list[Failure] = []
        with Ticker(len(missing), what) as progress:
            done = 0
            for event in self.engine.run(list(missing.values())):
                if isinstance(event, Retry):
                    self.tally.retries[event.reason] += 1
                    continue
                done += 1
                progress(done)
                if isinstance(event, Failure):
                    failures.append(event)
                    self.tally.failed[event.reason] += 1
                    continue
                self._store.append(event)
                self._held[event.key] = event
                self.tally.drawn += 1
                self.tally.prompt_tokens += event.prompt_tokens
        if failures:
            first = failures[0]
            text = f"the server scored {len(missing) - len(failures)} of {len(missing)} responses: {first.reason}"
            raise InputError(text, record=missing[first.key].id, remedy="run again: what is scored is kept")

    def close(self) -> None:
        """Close the store."""
        self._store.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
