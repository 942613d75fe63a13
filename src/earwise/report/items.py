"""Items side by side: picture, sound, and each model's answer under each view."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, NamedTuple

from earwise.records import Clip, Item
from earwise.report.media import AudioFormat, Picture, audio_format, embed_audio, embed_picture, sound_seconds
from earwise.report.summary import Pair
from earwise.report.words import number

_PAIR = Pair()
RIGHT_FROM = 0.5
"""A partial score from here on counts as right when typed and spoken answers are compared."""


class Answer(NamedTuple):
    """One model's answer under one view; `value` is the score in [0, 1], `heard` the model's own transcript."""

    prediction: str
    value: float
    invalid: bool
    heard: str | None = None


@dataclass(frozen=True)
class ShownItem:
    """An item to show, with its files and all answers as `{MODEL: {VIEW: Answer}}`."""

    item: Item
    image_path: Path | None
    clip: Clip | None
    clip_path: Path | None
    answers: Mapping[str, Mapping[str, Answer]]
    sound_path: Path | None = None
    """Sound file that the question is about."""

    @property
    def seconds(self) -> float:
        """Seconds of sound that it adds to the page."""
        sound = sound_seconds(self.sound_path, record=self.item.id) if self.sound_path else 0.0
        return sound + (self.clip.duration_s if self.clip else 0.0)


Mark = Literal["right", "partly right", "wrong", "invalid"]
Outcome = Literal["lost", "won", "right", "wrong", "unpaired"]
"""Typed against spoken: right to wrong, wrong to right, both right, both wrong, or not under both views."""


@dataclass(frozen=True)
class Cell:
    """A printed answer; its mark is a word and a symbol, never a colour alone."""

    prediction: str
    mark: Mark
    symbol: str
    heard: str | None


@dataclass(frozen=True)
class AnswerRow:
    """A model's answers under the views of the card; None for a missing answer."""

    model: str
    cells: tuple[Cell | None, ...]
    outcome: Outcome
    invalid: bool


@dataclass(frozen=True)
class Card:
    """Everything the template prints about one item."""

    item: Item
    gold: str
    picture: Picture | None
    clip: Clip | None
    audio_uri: str | None
    """The spoken question."""
    sound_uri: str | None
    """The sound that the question is about."""
    views: tuple[str, ...]
    rows: tuple[AnswerRow, ...]


@dataclass(frozen=True)
class Gallery:
    """All cards, and the options of their filters."""

    cards: tuple[Card, ...]
    models: tuple[str, ...]
    sources: tuple[str, ...]
    kinds: tuple[str, ...]
    outcomes: frozenset[str]
    """Filters with matches: outcomes, `invalid` answers, items on which models `differ`."""
    audio: AudioFormat


def make_cell(answer: Answer) -> Cell:
    """The printed form of an answer."""
    mark: Mark
    if answer.invalid:
        mark, symbol = "invalid", "\N{EMPTY SET}"
    elif answer.value >= 1:
        mark, symbol = "right", "\N{CHECK MARK}"
    elif answer.value > 0:
        mark, symbol = "partly right", f"\N{ALMOST EQUAL TO} {number(answer.value, 2)}"
    else:
        mark, symbol = "wrong", "\N{MULTIPLICATION X}"
    return Cell(answer.prediction, mark, symbol, answer.heard)


def outcome(answers: Mapping[str, Answer], pair: Pair = _PAIR) -> Outcome:
    """The outcome of an item under the typed and the spoken view."""
    if not set(pair) <= answers.keys():
        return "unpaired"
    typed, spoken = (answers[view].value >= RIGHT_FROM for view in pair)
    if typed == spoken:
        return "right" if typed else "wrong"
    return "lost" if typed else "won"


def models_differ(card: Card) -> bool:
    """Whether some models are right and others wrong on the spoken question."""
    spoken = {row.outcome in ("won", "right") for row in card.rows if row.outcome != "unpaired"}
    return len(spoken) > 1


def make_gallery(shown: Sequence[ShownItem], pair: Pair = _PAIR) -> Gallery:
    """Cards for all items, in the order given; raises `InputError` naming the file and item that cannot be shown."""
    kind = audio_format(sum(one.seconds for one in shown))
    models = tuple(dict.fromkeys(model for one in shown for model in one.answers))
    cards = tuple(_make_card(one, models, kind, pair) for one in shown)
    outcomes: set[str] = {row.outcome for card in cards for row in card.rows}
    if any(row.invalid for card in cards for row in card.rows):
        outcomes.add("invalid")
    if any(models_differ(card) for card in cards):
        outcomes.add("differ")
    return Gallery(
        cards=cards,
        models=models,
        sources=tuple(dict.fromkeys(card.item.source for card in cards)),
        kinds=tuple(dict.fromkeys(card.item.kind for card in cards if card.item.kind)),
        outcomes=frozenset(outcomes),
        audio=kind,
    )


def _make_card(one: ShownItem, models: Sequence[str], kind: AudioFormat, pair: Pair) -> Card:
    answers = {model: {view: Answer(*raw) for view, raw in views.items()} for model, views in one.answers.items()}
    views = pair.order({view for views in answers.values() for view in views})
    record = one.item.id
    return Card(
        item=one.item,
        gold=" / ".join(dict.fromkeys(one.item.answers)),
        picture=embed_picture(one.image_path, record=record) if one.image_path else None,
        clip=one.clip,
        audio_uri=embed_audio(one.clip_path, kind, record=record) if one.clip_path else None,
        sound_uri=embed_audio(one.sound_path, kind, record=record) if one.sound_path else None,
        views=views,
        rows=tuple(_make_row(model, answers.get(model, {}), views, pair) for model in models),
    )


def _make_row(model: str, answers: Mapping[str, Answer], views: Sequence[str], pair: Pair) -> AnswerRow:
    cells = tuple(make_cell(answers[view]) if view in answers else None for view in views)
    return AnswerRow(model, cells, outcome(answers, pair), any(answer.invalid for answer in answers.values()))
