"""`earwise ask`: one question about a picture, a video, a sound or nothing, typed or spoken."""

from __future__ import annotations

import json
import tempfile
from dataclasses import dataclass
from pathlib import Path

from earwise.errors import InputError
from earwise.evaluate.runner import transcribe
from earwise.io.messages import printable
from earwise.records import View
from earwise.use.asking import Exchange, conversation, recording, shown_files, transcript_tokens, view_of
from earwise.use.opening import find_model, open_model


@dataclass(frozen=True)
class Question:
    """What is asked, in files; `text` and `speech` are the same question twice if both are given."""

    images: tuple[Path, ...] = ()
    video: Path | None = None
    sound: Path | None = None
    speech: Path | None = None
    text: str | None = None


@dataclass(frozen=True)
class Answered:
    """The answers to one question."""

    model: str
    texts: dict[str, str]
    """By form: `typed`, `spoken`, and `heard` for what the model writes down of the spoken question."""

    def lines(self) -> list[str]:
        """For people: the answer alone, or each text behind its form if there are several."""
        if len(self.texts) == 1:
            return [printable(text) for text in self.texts.values()]
        return [f"{form}: {printable(text)}" for form, text in self.texts.items()]

    def to_json(self) -> str:
        """For programs: `{"model", "typed", "spoken", "heard"}`, without what was not asked."""
        return printable(json.dumps({"model": self.model, **self.texts}, ensure_ascii=False))


def ask(name: str, question: Question, *, heard: bool, max_new_tokens: int) -> Answered:
    """Load the model that `name` names and ask it. Raises `InputError`."""
    if question.text is None and question.speech is None:
        raise InputError("no question", remedy="give --text, --speech or both")
    if heard and question.speech is None:
        raise InputError("--heard is about a spoken question", remedy="give --speech")
    found = find_model(name)
    with tempfile.TemporaryDirectory(prefix="earwise-") as folder:
        at = Path(folder)
        shown = shown_files(question.images, question.video, question.sound, at)
        speech = recording(question.speech, at) if question.speech is not None else None
        sample, _ = conversation([Exchange(question.text or "", speech)], shown)
        views: dict[str, View] = {}
        if question.text is not None:
            views["typed"] = view_of(shown, spoken=False)
        if speech is not None:
            views["spoken"] = view_of(shown, spoken=True)
        model = open_model(found)
        texts = model.generate_views([sample], views=[*views.values()], max_new_tokens=max_new_tokens)
        answers = {form: texts[view][0] for form, view in views.items()}
        if heard and speech is not None:
            (answers["heard"],) = transcribe(model, [sample], found.instruction, transcript_tokens(speech))
    return Answered(name, answers)
