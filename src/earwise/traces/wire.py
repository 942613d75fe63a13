"""Requests and replies in the format of an OpenAI-compatible chat server (`POST /v1/chat/completions`)."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Any, Final, Literal

from pydantic import BaseModel, Field, ValidationError

from earwise.errors import InputError
from earwise.traces.requests import Frames, Message, Part, Picture, Request, Sampling

FramesAs = Literal["images", "video"]
"""Frames are sent as so many images, which every server takes, or as one video (`video_url` with a list of JPEG
frames, which vLLM takes and shows to the model as a video)."""

_IMAGES: Final = {".png": "image/png", ".jpg": "image/jpeg", ".jpeg": "image/jpeg", ".webp": "image/webp"}
_SOUNDS: Final = {".wav": "wav", ".mp3": "mp3"}


def to_messages(request: Request, frames_as: FramesAs) -> list[dict[str, Any]]:
    """The messages of `request` with media inline, in base64.

    Raises `InputError` naming the file for a kind of file that servers do not take.
    """
    return [{"role": message.role, "content": _content(message, frames_as)} for message in request.messages]


def to_parameters(sampling: Sampling, n: int, seed: int | None) -> dict[str, Any]:
    """Sampling parameters of a call. Unset parameters are not sent, because some servers refuse unknown ones."""
    parameters: dict[str, Any] = {
        "max_tokens": sampling.max_tokens,
        "temperature": sampling.temperature,
        "top_p": sampling.top_p,
        "n": n,
    }
    if seed is not None:
        parameters["seed"] = seed
    if sampling.logprobs:
        parameters["logprobs"] = True
    return parameters


def _content(message: Message, frames_as: FramesAs) -> str | list[dict[str, Any]]:
    if all(isinstance(part, str) for part in message.parts):
        return "".join(str(part) for part in message.parts)
    return [entry for part in message.parts for entry in _entries(part, frames_as)]


def _entries(part: Part, frames_as: FramesAs) -> list[dict[str, Any]]:
    if isinstance(part, str):
        return [{"type": "text", "text": part}]
    if isinstance(part, Picture):
        return [_image(part.path)]
    if isinstance(part, Frames):
        return [_video(part)] if frames_as == "video" else [_image(path) for path in part.paths]
    sound = {"data": _base64(part.path), "format": _kind(part.path, _SOUNDS)}
    return [{"type": "input_audio", "input_audio": sound}]


def _image(path: Path) -> dict[str, Any]:
    return {"type": "image_url", "image_url": {"url": f"data:{_kind(path, _IMAGES)};base64,{_base64(path)}"}}


def _video(frames: Frames) -> dict[str, Any]:
    for path in frames.paths:
        if _kind(path, _IMAGES) != "image/jpeg":
            raise InputError("the frames of a video are sent as JPEG", file=path, remedy="write frames as .jpg")
    listed = ",".join(map(_base64, frames.paths))
    return {"type": "video_url", "video_url": {"url": f"data:video/jpeg;base64,{listed}"}}


def _kind(path: Path, kinds: dict[str, str]) -> str:
    kind = kinds.get(path.suffix.lower())
    if kind is None:
        raise InputError(f"a server takes {', '.join(kinds)}, not {path.suffix or 'a file without ending'}", file=path)
    return kind


def _base64(path: Path) -> str:
    try:
        return base64.b64encode(path.read_bytes()).decode("ascii")
    except OSError as error:
        raise InputError(f"cannot read: {error.strerror}", file=path) from None


class _Token(BaseModel):
    logprob: float


class _Logprobs(BaseModel):
    content: list[_Token] | None = None


class _Said(BaseModel):
    content: str | None = None


class Choice(BaseModel):
    """One sample in a reply."""

    message: _Said
    index: int = 0
    finish_reason: str | None = None
    logprobs: _Logprobs | None = None

    @property
    def text(self) -> str:
        """The text; empty for an empty answer."""
        return self.message.content or ""

    @property
    def token_logprobs(self) -> tuple[float, ...] | None:
        """In nats, or None if the server offers none."""
        tokens = self.logprobs.content if self.logprobs else None
        return None if tokens is None else tuple(token.logprob for token in tokens)


class Usage(BaseModel):
    """Tokens of a call."""

    prompt_tokens: int = Field(default=0, ge=0)
    completion_tokens: int = Field(default=0, ge=0)


class Reply(BaseModel):
    """The used fields of a reply; others are ignored."""

    choices: list[Choice]
    usage: Usage | None = None


def parse_reply(content: bytes) -> Reply | None:
    """A reply in the order of its choices; None for an incomplete or malformed reply."""
    try:
        reply = Reply.model_validate_json(content)
    except ValidationError:
        return None
    reply.choices.sort(key=lambda choice: choice.index)
    return reply
