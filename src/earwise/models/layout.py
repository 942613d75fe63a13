"""Token layouts: one view of one sample as tokens, with spans by role.

Shapes: L tokens. Media are runs of placeholder tokens; `Layout.media` says which features replace them.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Final, Literal, NamedTuple, Self

from earwise.errors import InputError
from earwise.models.sample import Sample, Sound, Turn
from earwise.models.text import RunningText, TextEncoder
from earwise.records import View
from earwise.views import HEARD, SEEN, VIEWS, Context, Query, view_spec

if TYPE_CHECKING:
    from earwise.models.families.base import Family, ImageInput

Role = Literal["system", "image", "sound", "description", "query", "template", "response"]
AUDIO_ID = -1
"""Id of the placeholder for a clip's embeddings. It is in no vocabulary, so typed text cannot contain it."""

Heard = Literal["clip", "sound", "silence"]
"""The part of an audio file that is heard: a whole clip, the beginning of a sound, or silence of equal length."""

_QUERY, _ANSWER, _SYSTEM = "\ue000", "\ue001", "\ue003"  # private use: no template and no question contains them


@dataclass(frozen=True)
class Span:
    """The tokens `start:stop`, which have one role. The spans of a layout cover it without gaps or overlaps."""

    role: Role
    start: int
    stop: int


@dataclass(frozen=True)
class Media:
    """An image, a frame, a clip or a sound whose features replace the placeholders among the tokens `start:stop`."""

    kind: Literal["image", "audio"]
    source: Path
    start: int
    stop: int
    image: ImageInput | None = None
    num_samples: int = 0
    """The length of a clip by its record, or the heard part of a sound."""
    heard: Heard = "clip"
    words: tuple[int, ...] = ()
    """Ids of a spoken question as if it were typed."""
    gaps: frozenset[int] = frozenset()
    """Indices, from `start`, of tokens that are no placeholders: there may be markers between an image's tiles."""

    @classmethod
    def of_image(cls, path: Path, image: ImageInput, ids: Sequence[int], placeholder: int) -> Self:
        """An image whose prompt is `ids`. Its `start` and `stop` count from there."""
        places = [index for index, token in enumerate(ids) if token == placeholder]
        if len(places) != image.num_tokens:
            raise AssertionError(f"{len(places)} placeholders for {image.num_tokens} features of an image")
        start, stop = places[0], places[-1] + 1
        gaps = frozenset(range(stop - start)).difference(place - start for place in places)
        return cls("image", path, start, stop, image, gaps=gaps)

    @property
    def places(self) -> list[int]:
        """Indices of the placeholders."""
        return [index for index in range(self.start, self.stop) if index - self.start not in self.gaps]


@dataclass(frozen=True)
class Layout:
    """One view of one sample as tokens. `ids` has L entries; `AUDIO_ID` marks audio placeholders."""

    ids: tuple[int, ...]
    spans: tuple[Span, ...]
    media: tuple[Media, ...]
    starts: tuple[int, ...] = ()
    """Where each independent turn begins; empty for one plain causal sequence."""

    @property
    def segments(self) -> list[int]:
        """For each token the number of its independent turn, or 0 if all turns see it."""
        edges = (*self.starts, len(self.ids))
        shared = [0] * (edges[0] if self.starts else len(self.ids))
        return shared + [n for n in range(1, len(edges)) for _ in range(edges[n] - edges[n - 1])]

    def __len__(self) -> int:
        return len(self.ids)

    @property
    def response(self) -> list[int]:
        """Indices of the response tokens, end-of-turn tokens included."""
        return [i for span in self.spans if span.role == "response" for i in range(span.start, span.stop)]

    @property
    def prompt_stop(self) -> int:
        """Number of tokens before the first response."""
        return next((s.start for s in self.spans if s.role == "response"), len(self.ids))


class _Picture(NamedTuple):
    path: Path
    frame: bool


_SHOWN: Final = {"image": "an image", "video": "frames of a video"}


class _Draft:
    """Collects runs of tokens into a layout; neighbouring runs of one role become one span."""

    def __init__(self, encoder: TextEncoder, system: str = "") -> None:
        self.words: RunningText[Role] = RunningText(encoder, self._add)
        self.ids: list[int] = []
        self.spans: list[Span] = []
        self.media: list[Media] = []
        self.starts: list[int] = []
        self.system = system

    def medium(self, role: Role, ids: Sequence[int], medium: Media) -> None:
        """Add a medium whose prompt is `ids`; its own `start` and `stop` count from there."""
        self.words.settle()
        start = len(self.ids)
        self.media.append(replace(medium, start=start + medium.start, stop=start + medium.stop))
        self.words.ids(role, ids)

    def begin_turn(self) -> None:
        """Begin an independent turn."""
        self.starts.append(len(self.ids))

    def _add(self, role: Role, ids: Sequence[int]) -> None:
        start, stop = len(self.ids), len(self.ids) + len(ids)
        self.ids.extend(ids)
        if self.spans and self.spans[-1].role == role:
            start = self.spans.pop().start
        self.spans.append(Span(role, start, stop))

    def finish(self) -> Layout:
        self.words.settle()
        return Layout(tuple(self.ids), tuple(self.spans), tuple(self.media), tuple(self.starts))


class LayoutBuilder:
    """Renders samples under views for one family; the text between the parts comes from the model's own chat template.

    Args:
        family: adapter of the base model (tokenizer, image placeholders).
        audio_tokens: number of tokens for a clip of a given number of samples; None for a model without ears.
    """

    def __init__(self, family: Family, audio_tokens: Callable[[int], int] | None) -> None:
        self.family = family
        self.audio_tokens = audio_tokens
        self._templates: dict[tuple[int, int, bool], list[str]] = {}

    def build(self, sample: Sample, view: View, *, answers: bool) -> Layout:
        """The layout of `sample` under `view`, with all `answers` (training), or without the last one (generation).
        Raises `InputError` naming the item.
        """
        try:
            return self._build(sample, view, answers)
        except InputError as error:
            record = sample.key if error.record is None else error.record
            raise InputError(error.what, file=error.file, record=record, remedy=error.remedy) from None

    def _build(self, sample: Sample, view: View, answers: bool) -> Layout:
        spec = view_spec(view)
        if spec.context in SEEN and not self.family.sees:
            raise InputError(
                f"{self.family.name} does not see, and {view!r} shows {_SHOWN[spec.context]}",
                record=sample.key,
                remedy=f"use one of {', '.join(name for name, other in VIEWS.items() if other.context not in SEEN)}",
            )
        images = _images(sample, spec.context)
        draft = _Draft(self.family.words, sample.system)
        pieces = self._pieces(1 if sample.independent else len(sample.turns), len(images), bool(sample.system))
        first = pieces.index(_QUERY)
        self._dialogue(draft, pieces[:first], (), images, spec.query, answers)
        if spec.context in HEARD:
            self._sound(draft, sample, spec.context)
        elif spec.context == "description":
            self._description(draft, sample)
        if not sample.independent:
            self._dialogue(draft, pieces[first:], sample.turns, (), spec.query, answers)
            return draft.finish()
        draft.words.joint()
        back = draft.words.fork()
        for turn in sample.turns:
            back()
            draft.begin_turn()
            self._dialogue(draft, pieces[first:], (turn,), (), spec.query, answers)
        return draft.finish()

    def _dialogue(
        self,
        draft: _Draft,
        pieces: Sequence[str],
        turns: Sequence[Turn],
        images: Sequence[_Picture],
        how: Query,
        answers: bool,
    ) -> None:
        """Fill the template's `pieces` with images and turns; without `answers`, stop before the last one."""
        role: Role = "template" if draft.spans else "system"
        coming, pictures = iter(turns), iter(images)
        turn, answered = None, False
        for piece in pieces:
            if piece == _QUERY:
                turn = next(coming)
                self._query(draft, turn, how)
                role = "template"
            elif piece == _ANSWER:
                assert turn is not None
                draft.words.joint()
                if turn is turns[-1] and not answers:
                    break
                if turn.drawn is not None:
                    draft.words.ids("response", turn.drawn)
                    break  # Sampled tokens already have their stop token, if there was one.
                draft.words.typed("response", self._trimmed(turn.item.answers[0]))
                if turn.cut:
                    _check_last(turn, turns)
                    break  # The model would have said more, so it must not learn to end here.
                answered = bool(turn.item.answers[0])
            elif piece == _SYSTEM:
                draft.words.typed("system", draft.system)
            elif images and piece == self.family.image_placeholder:
                self._image(draft, next(pictures), role)
                role = "template"
            else:
                draft.words.template(role, self._close(draft, piece) if answered else piece)
                answered = False

    def _trimmed(self, text: str) -> str:
        """The text of a message as the chat template writes it."""
        return text.strip() if self.family.trims else text

    def _close(self, draft: _Draft, text: str) -> str:
        """Add the template's text up to the end-of-turn token to the response, and return the rest."""
        parts = self.family.words.split(text)
        stops = [n for n, (part, special) in enumerate(parts) if special and self._stops(part)]
        if not stops:
            raise InputError(
                f"the chat template does not close an answer with one of the stop tokens {self.family.stop_ids}",
                file=self.family.name,
            )
        until = "".join(part for part, _ in parts[: stops[0] + 1])
        draft.words.template("response", until)
        return text[len(until) :]

    def _stops(self, token: str) -> bool:
        return self.family.words.id_of(token) in self.family.stop_ids

    def _image(self, draft: _Draft, shown: _Picture, role: Role) -> None:
        image = self.family.load_image(shown.path, frame=shown.frame)
        if shown.frame:
            draft.words.template(role, self.family.frame_label(len(draft.media) + 1))
        before, after = self.family.around_image
        draft.words.template(role, before)
        ids = self.family.image_token_ids(image)
        draft.medium("image", ids, Media.of_image(shown.path, image, ids, self.family.image_token_id))
        draft.words.template("template", after)

    def _sound(self, draft: _Draft, sample: Sample, context: Context) -> None:
        """Add the sound that the questions are about, in the first message, before the first question."""
        sound = sample.other_sound if context == "other_sound" else sample.sound
        if sound is None:
            what = "no other item's sound was drawn" if context == "other_sound" else "the item has no sound"
            raise InputError(what, record=sample.key, remedy="name its audio or video, or take another view")
        if self.audio_tokens is None:
            raise InputError("the model has no ears to hear a sound with", record=sample.key, remedy="give `ears`")
        heard: Heard = "silence" if context == "silence" else "sound"
        before, after = self.family.around_clip(1)
        draft.words.template("sound", before)
        self._audio(draft, "sound", sound, heard, sample.key, "shorten the sound")
        draft.words.template("sound", after)

    def _description(self, draft: _Draft, sample: Sample) -> None:
        """Add the description of the sound, in the place of the sound, and a blank line."""
        description = sample.turns[0].description
        if not description:
            remedy = "describe its sound first, or take another view"
            raise InputError("the item has no description", record=sample.key, remedy=remedy)
        draft.words.typed("description", f"{description.strip()}\n\n")

    def _audio(self, draft: _Draft, role: Role, sound: Sound, heard: Heard, record: str, remedy: str) -> None:
        assert self.audio_tokens is not None
        try:
            count = self.audio_tokens(sound.num_samples)
        except InputError as error:
            raise InputError(error.what, file=sound.path, record=record, remedy=remedy) from None
        medium = Media("audio", sound.path, 0, count, num_samples=sound.num_samples, heard=heard)
        draft.medium(role, [AUDIO_ID] * count, medium)

    def _query(self, draft: _Draft, turn: Turn, how: Query) -> None:
        how = "text" if turn.typed else how
        if how == "speech":
            self._spoken_query(draft, turn)
            return
        text: str | None = turn.text
        if how == "spoken_form":
            text = turn.spoken
            if text is None:
                raise InputError("the item has no spoken form", record=turn.item.id, remedy="speak it first")
        elif how == "transcript":
            text = turn.heard
            if text is None:
                raise InputError(
                    "the item has no transcript yet", record=turn.item.id, remedy="transcribe its clip first"
                )
        draft.words.typed("query", self._trimmed(" ".join(filter(None, (turn.item.instruction, text, turn.suffix)))))

    def _spoken_query(self, draft: _Draft, turn: Turn) -> None:
        if turn.clip is None:
            raise InputError("the item has no clip", record=turn.item.id, remedy="run the speech stage on it first")
        if self.audio_tokens is None:
            raise InputError("the model has no ears, so it cannot be asked by speech", remedy="give `ears`")
        draft.words.typed("query", turn.item.instruction)
        # Independent turns number their clips as if each turn were asked alone.
        first = draft.starts[-1] if draft.starts else 0
        number = 1 + sum(medium.kind == "audio" and medium.start >= first for medium in draft.media)
        before, after = self.family.around_clip(number)
        draft.words.template("query", before)
        clip = Sound(turn.clip, turn.num_samples)
        self._audio(draft, "query", clip, "silence" if turn.silenced else "clip", turn.item.id, "shorten the question")
        draft.media[-1] = replace(draft.media[-1], words=tuple(self.family.words.alone(turn.text)))
        draft.words.template("query", after)
        draft.words.typed("query", turn.suffix)

    def _pieces(self, num_turns: int, num_images: int, system: bool) -> list[str]:
        """The chat template for `num_turns` turns, cut at queries, answers, image placeholders and system message."""
        key = (num_turns, num_images, system)
        if key not in self._templates:
            told = {"system": _SYSTEM} if system else {}  # A package's family may know no system message.
            text = self.family.render([_QUERY] * num_turns, [_ANSWER] * num_turns, num_images, **told)
            cut = [_QUERY, _ANSWER, _SYSTEM, *([re.escape(self.family.image_placeholder)] if num_images else [])]
            pieces = [piece for piece in re.split(f"({'|'.join(cut)})", text) if piece]
            if num_images and pieces.count(self.family.image_placeholder) != num_images:
                raise InputError(
                    f"the chat template does not write {self.family.image_placeholder} for an image part",
                    file=self.family.tokenizer.name_or_path,
                    remedy="give the template that the model was trained with",
                )
            if pieces.count(_SYSTEM) != system:
                what, remedy = "the chat template does not show a system message once", "leave the message out"
                raise InputError(what, file=self.family.tokenizer.name_or_path, remedy=remedy)
            self._check_ids(pieces)
            self._templates[key] = pieces
        return self._templates[key]

    def _check_ids(self, pieces: Sequence[str]) -> None:
        """Raise `InputError` if the joined pieces have other ids than the template's whole text."""
        words = {_QUERY: "one two", _ANSWER: "three", _SYSTEM: "four five"}
        ids: list[int] = []
        text: RunningText[Role] = RunningText(self.family.words, lambda _, some: ids.extend(some))
        for piece in pieces:
            if piece in words:
                text.joint()
                text.typed("query", words[piece])
            else:
                text.template("template", piece)
        text.settle()
        tokenizer = self.family.tokenizer
        if ids != tokenizer.encode("".join(words.get(piece, piece) for piece in pieces), add_special_tokens=False):
            raise InputError(
                "the tokenizer does not give a part of a conversation the ids that it has in the whole",
                file=tokenizer.name_or_path,
                remedy="use the fast tokenizer of this model",
            )


def _check_last(turn: Turn, turns: Sequence[Turn]) -> None:
    """Nothing can follow an answer without an end."""
    if turn is not turns[-1]:
        remedy = "leave out the questions behind it"
        raise InputError("its answer was cut, and other questions follow", record=turn.item.id, remedy=remedy)


def _images(sample: Sample, context: Context) -> tuple[_Picture, ...]:
    if context == "video" and not sample.frames:
        raise InputError("the item has no video", record=sample.key, remedy="name its video, or take another view")
    if context == "video":
        return tuple(_Picture(path, frame=True) for path in sample.frames)
    if context != "image" or sample.image is None:
        return ()
    return tuple(_Picture(path, frame=False) for path in (sample.image, *sample.further_images))
