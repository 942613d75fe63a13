"""Conversations in OpenAI's form: from a request to a job, and from a job's events to the answer."""

from __future__ import annotations

import json
import secrets
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from transformers import PreTrainedTokenizerBase

from earwise.errors import InputError
from earwise.models.answering import Token, Wish
from earwise.models.sample import Sample, Sound
from earwise.use.asking import Exchange, Shown, conversation
from earwise.use.serve.engine import End, Piece
from earwise.use.serve.limits import Limits, Refused
from earwise.use.serve.media import Lease, from_base64, from_data_url
from earwise.use.serve.schema import AudioPart, AudioUrlPart, ChatRequest, ImagePart, Message, TextPart
from earwise.views import View


def wish_of(request: ChatRequest, limits: Limits, vocabulary: int) -> Wish:
    """How the request wants to be answered. Raises `Refused` for more tokens than the server gives, or a biased token
    outside the vocabulary.
    """
    longest = request.longest or limits.default_tokens
    if longest > limits.tokens:
        raise Refused(400, f"max_tokens: {longest}, at most {limits.tokens}", param="max_tokens")
    if request.top_logprobs and not request.logprobs:
        raise Refused(400, "top_logprobs without logprobs", param="top_logprobs")
    return Wish(
        longest,
        temperature=request.temperature or 0.0,
        top_p=1.0 if request.top_p is None else request.top_p,
        seed=secrets.randbits(63) if request.seed is None else request.seed % 2**63,
        bias=_bias(request, vocabulary),
        alternatives=(request.top_logprobs or 0) if request.logprobs else None,
    )


def _bias(request: ChatRequest, vocabulary: int) -> tuple[tuple[int, float], ...]:
    bias = request.logit_bias or {}
    for token in bias:
        if not (token.isascii() and token.isdecimal() and len(token) < 10 and int(token) < vocabulary):
            what = f"logit_bias: {token[:50]!r} is no token id below {vocabulary}"
            raise Refused(400, what, param="logit_bias")
    return tuple((int(token), value) for token, value in bias.items())


def asked(request: ChatRequest, lease: Lease) -> tuple[Sample, View]:
    """The conversation, with its media kept by `lease`. Raises `Refused`.

    Pictures stand before the first question, where every chat template here puts them.
    """
    messages, system = list(request.messages), ""
    if messages[0].role in ("system", "developer"):
        system = _only_text(messages[0], 0)
        messages = messages[1:]
    offset = len(request.messages) - len(messages)
    _check_order(messages, offset)
    exchanges: list[Exchange] = []
    shown = Shown()
    for number in range(0, len(messages), 2):
        content = _Content.read(messages[number], number + offset, lease)
        if content.images and number:
            what = "a picture in a later message: show it in the first one"
            raise Refused(400, what, param=f"messages.{number + offset}.content")
        if number == 0:
            shown = Shown(tuple(content.images))
        said = _only_text(messages[number + 1], number + offset + 1) if number + 1 < len(messages) else ""
        exchanges.append(content.exchange(said, f"messages.{number + offset}.content"))
    try:
        return conversation(exchanges, shown, system=system)
    except InputError as error:
        raise Refused(400, error.what, param="messages") from None


def _check_order(messages: Sequence[Message], offset: int) -> None:
    for number, message in enumerate(messages):
        wanted = "assistant" if number % 2 else "user"
        if message.role != wanted:
            at = f"messages.{number + offset}.role"
            raise Refused(400, f"{at}: {message.role!r}, where {wanted!r} is expected: they take turns", param=at)
    if len(messages) % 2 == 0:
        raise Refused(400, "messages: the last one must be the user's", param="messages")


def _only_text(message: Message, number: int) -> str:
    """The text of a system or assistant message."""
    parts = [TextPart(type="text", text=message.content)] if isinstance(message.content, str) else message.content
    texts = [part.text for part in parts if isinstance(part, TextPart)]
    if len(texts) < len(parts) or not "".join(texts).strip():
        at = f"messages.{number}.content"
        raise Refused(400, f"{at}: a message of {message.role!r} is text, and not empty", param=at)
    return "\n".join(texts)


@dataclass
class _Content:
    """What one user message holds."""

    before: list[str] = field(default_factory=list)
    """Texts before the recording, or all texts without one."""
    after: list[str] = field(default_factory=list)
    speech: Sound | None = None
    images: list[Any] = field(default_factory=list)

    @classmethod
    def read(cls, message: Message, number: int, lease: Lease) -> _Content:
        """Decode the parts of a message."""
        found = cls()
        if isinstance(message.content, str):
            found.before.append(message.content)
            return found
        for place, part in enumerate(message.content):
            found.add(part, f"messages.{number}.content.{place}", lease)
        return found

    def add(self, part: TextPart | ImagePart | AudioPart | AudioUrlPart, at: str, lease: Lease) -> None:
        """One more part."""
        if isinstance(part, TextPart):
            (self.before if self.speech is None else self.after).append(part.text)
        elif isinstance(part, ImagePart):
            if len(self.images) == lease.limits.images:
                raise Refused(400, f"more than {lease.limits.images} pictures", param=at)
            self.images.append(lease.picture(from_data_url(part.image_url.url, "image", at), at))
        elif self.speech is not None:
            raise Refused(400, "one recording in a message", param=at)
        elif isinstance(part, AudioPart):
            self.speech = lease.recording(from_base64(part.input_audio.data, at), at)
        else:
            self.speech = lease.recording(from_data_url(part.audio_url.url, "audio", at), at)

    def exchange(self, answer: str, at: str) -> Exchange:
        """The question, and the answer that followed."""
        before, after = "\n".join(self.before), "\n".join(self.after)
        if self.speech is not None:
            return Exchange(speech=self.speech, instruction=before, suffix=after, answer=answer)
        if not before.strip():
            raise Refused(400, "no question: neither text nor a recording", param=at)
        return Exchange(before, answer=answer)


class Reply:
    """Writes one answer in OpenAI's form."""

    def __init__(self, model: str, request: ChatRequest, tokenizer: PreTrainedTokenizerBase) -> None:
        self._request, self._tokenizer = request, tokenizer
        self._head = {"id": f"chatcmpl-{secrets.token_hex(12)}", "created": int(time.time()), "model": model}

    def whole(self, pieces: Sequence[Piece], end: End) -> dict[str, Any]:
        """The body of an answer that is not streamed."""
        tokens = [token for piece in pieces for token in piece.tokens]
        choice = {
            "index": 0,
            "message": {"role": "assistant", "content": end.text, "refusal": None},
            "logprobs": self._logprobs(tokens),
            "finish_reason": end.reason,
        }
        return {**self._head, "object": "chat.completion", "choices": [choice], "usage": _usage(end)}

    def begin(self) -> str:
        """The first event of a stream."""
        return self._event({"role": "assistant", "content": ""}, (), None)

    def piece(self, piece: Piece) -> str:
        """An event with a part of the answer."""
        return self._event({"content": piece.text}, piece.tokens, None)

    def end(self, end: End) -> Iterator[str]:
        """The last events of a stream."""
        yield self._event({}, (), end.reason)
        options = self._request.stream_options
        if options is not None and options.include_usage:
            yield _data({**self._head, "object": "chat.completion.chunk", "choices": [], "usage": _usage(end)})
        yield "data: [DONE]\n\n"

    def _event(self, delta: dict[str, Any], tokens: Sequence[Token], reason: str | None) -> str:
        choice = {"index": 0, "delta": delta, "logprobs": self._logprobs(tokens), "finish_reason": reason}
        return _data({**self._head, "object": "chat.completion.chunk", "choices": [choice]})

    def _logprobs(self, tokens: Sequence[Token]) -> dict[str, Any] | None:
        if not self._request.logprobs:
            return None
        return {"content": [self._token(one) for one in tokens], "refusal": None}

    def _token(self, token: Token) -> dict[str, Any]:
        assert token.logprob is not None
        likely = [self._named(number, logprob) for number, logprob in token.alternatives]
        return {**self._named(token.id, token.logprob), "top_logprobs": likely}

    def _named(self, number: int, logprob: float) -> dict[str, Any]:
        text = str(self._tokenizer.decode([number]))
        return {"token": text, "logprob": max(logprob, -9999.0), "bytes": list(text.encode())}


def failure(refused: Refused) -> str:
    """The event of a stream that cannot go on."""
    return _data(refused.to_json())


def _usage(end: End) -> dict[str, int]:
    prompt, answer = end.prompt_tokens, end.answer_tokens
    return {"prompt_tokens": prompt, "completion_tokens": answer, "total_tokens": prompt + answer}


def _data(value: dict[str, Any]) -> str:
    return f"data: {json.dumps(value)}\n\n"
