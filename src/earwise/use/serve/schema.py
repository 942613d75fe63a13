"""Requests in OpenAI's form, checked strictly: a key that would be ignored is refused."""

from __future__ import annotations

from typing import Annotated, Any, Final, Literal, TypeVar

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

from earwise.use.serve.limits import Refused


def _encodable(text: str) -> str:
    """`text`, unless it holds half of a surrogate pair, which is no character."""
    if not text.isascii():
        text.encode()
    return text


Text = Annotated[str, AfterValidator(_encodable)]


class _Form(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)


class Url(_Form):
    """Where a picture or a recording stands: a data URL."""

    url: str
    detail: Literal["auto", "low", "high", "original"] = "auto"
    """Pictures are always shown as the model's processor shows them."""


class Base64(_Form):
    """A recording in base64. The content says its format, not the name."""

    data: str
    format: Literal["wav", "mp3", "flac", "ogg", "opus"]


class TextPart(_Form):
    """Text of a message."""

    type: Literal["text"]
    text: Text


class ImagePart(_Form):
    """A picture."""

    type: Literal["image_url"]
    image_url: Url


class AudioPart(_Form):
    """A recording."""

    type: Literal["input_audio"]
    input_audio: Base64


class AudioUrlPart(_Form):
    """A recording behind a data URL."""

    type: Literal["audio_url"]
    audio_url: Url


Part = Annotated[TextPart | ImagePart | AudioPart | AudioUrlPart, Field(discriminator="type")]


class Message(_Form):
    """One message of a conversation."""

    role: Literal["system", "developer", "user", "assistant"]
    content: Text | Annotated[tuple[Part, ...], Field(min_length=1, max_length=64, strict=False)]
    name: str | None = None


class StreamOptions(_Form):
    """What a stream says beside the answer."""

    include_usage: bool = False
    include_obfuscation: bool = False


class ResponseFormat(_Form):
    """The form of the answer."""

    type: Literal["text"]


Stop = Annotated[Text, Field(min_length=1, max_length=200)]


class ChatRequest(_Form):
    """The body of `/v1/chat/completions`. Temperature 0, the default here, answers greedily as `earwise evaluate`."""

    model: str
    messages: Annotated[tuple[Message, ...], Field(min_length=1, strict=False)]
    stream: bool = False
    stream_options: StreamOptions | None = None
    max_tokens: Annotated[int, Field(ge=1)] | None = None
    max_completion_tokens: Annotated[int, Field(ge=1)] | None = None
    stop: Stop | Annotated[tuple[Stop, ...], Field(max_length=4, strict=False)] | None = None
    temperature: Annotated[float, Field(ge=0, le=2)] | None = 0.0
    top_p: Annotated[float, Field(gt=0, le=1)] | None = 1.0
    seed: Annotated[int, Field(ge=-(2**63), lt=2**63)] | None = None
    logprobs: bool | None = False
    top_logprobs: Annotated[int, Field(ge=0, le=20)] | None = None
    logit_bias: dict[str, Annotated[float, Field(ge=-100, le=100)]] | None = None
    """By token id, as text."""
    n: Literal[1] | None = 1
    frequency_penalty: Annotated[float, Field(ge=0, le=0)] | None = 0.0
    presence_penalty: Annotated[float, Field(ge=0, le=0)] | None = 0.0
    response_format: ResponseFormat | None = None
    modalities: tuple[Literal["text"], ...] | None = Field(default=None, strict=False)
    user: str | None = None
    store: Literal[False] | None = None

    @property
    def stops(self) -> tuple[str, ...]:
        """The strings that end an answer."""
        return (self.stop,) if isinstance(self.stop, str) else self.stop or ()

    @property
    def longest(self) -> int | None:
        """Tokens of the answer, if the request says how many."""
        return self.max_tokens if self.max_completion_tokens is None else self.max_completion_tokens


_F = TypeVar("_F", bound=_Form)
_LONGEST: Final = 200


def parsed(form: type[_F], body: bytes) -> _F:
    """`body` as a `form`. Raises `Refused` with one thing that is wrong: of a part that may have several forms, what is
    wrong with the one that it resembles most.
    """
    try:
        return form.model_validate_json(body)
    except ValidationError as error:
        found = error.errors(include_url=False, include_input=False, include_context=False)
        first = max(found, key=lambda one: len(one["loc"]))
        param = _place(first["loc"])
        what = "unknown or unsupported key" if first["type"] == "extra_forbidden" else first["msg"]
        raise Refused(400, f"{param}: {what}"[:_LONGEST] if param else what[:_LONGEST], param=param or None) from None


def _place(loc: tuple[Any, ...]) -> str:
    """`messages.0.content.1.text`, without pydantic's names of union members."""
    kept = [
        str(part)
        for part in loc
        if isinstance(part, int) or not str(part).startswith(("tuple[", "function-", "constrained"))
    ]
    return ".".join(kept)[:100]
