"""Converts a request's messages into a local model's tokens: its chat template, cut at texts and media."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

from earwise.data.media import load_audio
from earwise.errors import InputError
from earwise.models.layout import AUDIO_ID, Layout, Media, Role, Span
from earwise.models.omni import OmniModel
from earwise.models.text import RunningText
from earwise.traces.requests import Frames, Message, Part, Picture, Request, Sound

_TEXT, _SOUND, _ANSWER = "\ue000", "\ue003", "\ue001"
"""Private-use characters: no chat template and no question contains them."""


@dataclass(frozen=True)
class _Frame(Picture):
    """A picture that is a frame of a video."""

    number: int
    """Within the video, from 1."""


_Shown = str | Picture | Sound
"""A part in the form in which the template writes it: frames are so many pictures."""


def layout_of(model: OmniModel, request: Request) -> Layout:
    """The prompt of `request`, up to the start of the answer.

    Raises `InputError` naming the request for media that the model neither sees nor hears.
    """
    parts = [shown for message in request.messages for part in message.parts for shown in _shown(part)]
    _check_senses(model, request, parts)
    prompt = _Prompt(model)
    coming = iter(parts)
    for piece in _pieces(model, request):
        if piece == _ANSWER:
            break
        if piece in (_TEXT, _SOUND, model.family.image_placeholder):
            prompt.add(next(coming))
        else:
            prompt.words.template("query", piece)
    return prompt.finish()


class _Prompt:
    """Collects tokens and media."""

    def __init__(self, model: OmniModel) -> None:
        self._model = model
        self.words: RunningText[Role] = RunningText(model.family.words, lambda _, ids: self._ids.extend(ids))
        self._ids: list[int] = []
        self._media: list[Media] = []

    def add(self, part: _Shown) -> None:
        if isinstance(part, str):
            self.words.typed("query", part)
        elif isinstance(part, Picture):
            if isinstance(part, _Frame):
                self.words.template("query", self._model.family.frame_label(part.number))
            self._picture(part.path, frame=isinstance(part, _Frame))
        else:
            self._sound(part.path)

    def _picture(self, path: Path, *, frame: bool) -> None:
        image = self._model.family.load_image(path, frame=frame)
        family = self._model.family
        before, after = family.around_image
        self.words.template("query", before)
        self.words.settle()
        start, ids = len(self._ids), family.image_token_ids(image)
        shown = Media.of_image(path, image, ids, family.image_token_id)
        self._media.append(replace(shown, start=start + shown.start, stop=start + shown.stop))
        self.words.ids("query", ids)
        self.words.template("query", after)

    def _sound(self, path: Path) -> None:
        assert self._model.layouts.audio_tokens is not None
        samples = len(load_audio(path))
        count = self._model.layouts.audio_tokens(samples)
        number = 1 + sum(medium.kind == "audio" for medium in self._media)
        before, after = self._model.family.around_clip(number)
        self.words.template("query", before)
        self.words.settle()
        start = len(self._ids)
        self._media.append(Media("audio", path, start, start + count, num_samples=samples))
        self.words.ids("query", [AUDIO_ID] * count)
        self.words.template("query", after)

    def finish(self) -> Layout:
        self.words.joint()
        return Layout(tuple(self._ids), (Span("query", 0, len(self._ids)),), tuple(self._media))


def _shown(part: Part) -> list[_Shown]:
    return [_Frame(path, n) for n, path in enumerate(part.paths, 1)] if isinstance(part, Frames) else [part]


def _check_senses(model: OmniModel, request: Request, parts: list[_Shown]) -> None:
    if not model.family.sees and any(isinstance(part, Picture) for part in parts):
        raise InputError(f"{model.family.name} does not see, and the request shows pictures", record=request.id)
    if model.layouts.audio_tokens is None and any(isinstance(part, Sound) for part in parts):
        raise InputError("the model has no ears, and the request lets it hear", record=request.id)


def _pieces(model: OmniModel, request: Request) -> list[str]:
    """The chat template around marks, cut at them; the answer's mark is the last message."""
    messages: list[dict[str, Any]] = [
        {"role": message.role, "content": _content(message)} for message in request.messages
    ]
    messages.append({"role": "assistant", "content": [{"type": "text", "text": _ANSWER}]})
    text = str(model.family.tokenizer.apply_chat_template(messages, tokenize=False))
    marks: Final = [_TEXT, _SOUND, _ANSWER]
    if model.family.image_placeholder:
        marks.append(re.escape(model.family.image_placeholder))
    pieces = [piece for piece in re.split(f"({'|'.join(marks)})", text) if piece]
    shown = sum(len(_shown(part)) for message in request.messages for part in message.parts)
    if sum(piece in (_TEXT, _SOUND, model.family.image_placeholder) for piece in pieces) != shown:
        raise InputError(
            "the chat template loses a part of a message",
            file=model.family.tokenizer.name_or_path,
            record=request.id,
            remedy="give a template that accepts content lists with text and image parts",
        )
    return pieces


def _content(message: Message) -> list[dict[str, Any]]:
    marks: dict[type[_Shown], dict[str, Any]] = {
        str: {"type": "text", "text": _TEXT},
        Sound: {"type": "text", "text": _SOUND},
        Picture: {"type": "image"},
        _Frame: {"type": "image"},
    }
    return [marks[type(shown)] for part in message.parts for shown in _shown(part)]
