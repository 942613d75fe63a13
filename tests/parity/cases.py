"""Conversations: pictures of many sizes, several pictures, sounds of 0.3 to 65 s, several turns, odd text."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from earwise.data.media import save_wav
from earwise.models import Sample, Turn
from earwise.models.sample import Sound
from earwise.records import Item

PICTURES = {
    "64 x 64": (64, 64, "RGB"), "400 x 90": (400, 90, "RGB"), "77 x 500": (77, 500, "RGB"),
    "1300 x 900": (1300, 900, "RGB"), "20 x 33": (20, 33, "RGB"), "grey 50 x 50": (50, 50, "L"),
    "palette 61 x 40": (61, 40, "P"),
}  # fmt: skip
SECONDS = (0.3, 1.0, 7.77, 29.99, 30.0)
LONG_SECONDS = (30.02, 31.0, 65.0)
QUESTION, ANSWER = "What color is the circle?", "it is red."
ODD = {
    "line breaks": "Is it\n\nred?\n",
    "begins with a line break": "\nWhat color?",
    "spaces": "two  stars \t and a   square",
    "other scripts": "caf\u00e9 \u4e24\u9897\u661f \u0437\u0432\u0435\u0437\u0434\u0430 \U0001f31f \u0644\u0648\u0646",
    "digits and signs": "1,234.5 % of [3/4] {x} \u2264 _y_ ~ `z`",
    "one letter": "a",
}


@dataclass(frozen=True)
class Case:
    """One conversation for both sides."""

    name: str
    sample: Sample
    view: str


def picture(folder: Path, name: str, size=(64, 64), mode="RGB") -> Path:
    """A picture of a gradient with noise."""
    path = folder / f"{name}.png"
    if not path.exists():
        rng = np.random.default_rng(len(name))
        down, across = np.mgrid[0 : size[1], 0 : size[0]]
        channels = np.stack([down * 3 % 256, across * 2 % 256, (down + across) % 256], axis=-1)
        pixels = (channels + rng.integers(0, 60, channels.shape)) % 256
        Image.fromarray(pixels.astype(np.uint8)).convert(mode).save(path)
    return path


def sound(folder: Path, seconds: float) -> Sound:
    """Tones in noise."""
    path, length = folder / f"{seconds}.wav", round(seconds * 16_000)
    if not path.exists():
        rng, time = np.random.default_rng(length), np.arange(length) / 16_000
        tones = np.sin(2 * np.pi * (300 + 200 * np.sin(time)) * time)
        save_wav(path, (0.2 * tones + 0.05 * rng.standard_normal(length)).astype(np.float32))
    return Sound(path, length)


def turn(question: str, answer: str = ANSWER, clip: Sound | None = None) -> Turn:
    """A question with its answer."""
    item = Item(id="item", source="parity", question=question, answers=(answer,), cluster="c")
    length = clip.num_samples if clip else 0
    return Turn(item, question, clip=clip.path if clip else None, num_samples=length)


def seen_cases(folder: Path, *, short: bool) -> list[Case]:
    """For a family that sees."""
    names = ["400 x 90", "20 x 33"] if short else list(PICTURES)
    shown = {name: picture(folder, name, PICTURES[name][:2], PICTURES[name][2]) for name in names}
    cases = [Case(f"picture {name}", Sample((turn(QUESTION),), path), "image_text") for name, path in shown.items()]
    first = next(iter(shown.values()))
    frames = (picture(folder, "a", (90, 60)), picture(folder, "b", (90, 60)), picture(folder, "cc", (90, 60)))
    cases.append(Case("three pictures", Sample((turn(QUESTION),), frames=frames), "video_text"))
    turns = (turn(QUESTION), turn("Is there a star in the picture?", "yes"), turn("And two?", "no, a square."))
    cases.append(Case("three turns about a picture", Sample(turns, first), "image_text"))
    odd = ODD if not short else {name: ODD[name] for name in ("line breaks", "other scripts")}
    return cases + [Case(f"picture, {name}", Sample((turn(text),), first), "image_text") for name, text in odd.items()]


def heard_cases(folder: Path, *, short: bool, long: bool, several: bool) -> list[Case]:
    """For a family that hears by itself; `long` beyond 30 s, `several` clips in one conversation."""
    lengths = (0.3, 7.77) if short else SECONDS + (LONG_SECONDS if long else ())
    if short and long:
        lengths += (31.0,)
    cases = [
        Case(f"sound of {length} s", Sample((turn(QUESTION),), sound=sound(folder, length)), "sound_text")
        for length in lengths
    ]
    if several:
        turns = (turn("", "yes", sound(folder, 1.0)), turn("", ANSWER, sound(folder, 0.3)))
        cases.append(Case("two spoken turns", Sample(turns), "speech_only"))
    odd = ODD if not short else {name: ODD[name] for name in ("line breaks", "other scripts")}
    one = sound(folder, 1.0)
    return cases + [
        Case(f"sound, {name}", Sample((turn(text),), sound=one), "sound_text") for name, text in odd.items()
    ]


def read_cases(*, short: bool) -> list[Case]:
    """For every family: text alone."""
    odd = ODD if not short else {"line breaks": ODD["line breaks"]}
    turns = (turn(QUESTION), turn("\nAnd the square?", "two\nlines"))
    cases = [Case(f"text, {name}", Sample((turn(text),)), "text_only") for name, text in odd.items()]
    return [*cases, Case("two turns of text", Sample(turns), "text_only")]


def messages(case: Case, *, answered: bool) -> list[dict]:
    """The conversation as Hugging Face takes it."""
    made, pictures = [], len(pictures_of(case))
    for number, one in enumerate(case.sample.turns):
        content = [{"type": "image"}] * (pictures if number == 0 else 0)
        if one.clip is not None or (case.sample.sound is not None and number == 0):
            content = [*content, {"type": "audio"}]
        if one.text:
            content = [*content, {"type": "text", "text": one.text}]
        made.append({"role": "user", "content": content})
        if answered or one is not case.sample.turns[-1]:
            made.append({"role": "assistant", "content": [{"type": "text", "text": one.item.answers[0]}]})
    return made


def pictures_of(case: Case) -> list[Path]:
    """Pictures in the order of the conversation."""
    return list(case.sample.frames) or ([case.sample.image] if case.sample.image is not None else [])


def clips_of(case: Case) -> list[Path]:
    """Sounds in the order of the conversation."""
    first = [case.sample.sound.path] if case.sample.sound is not None else []
    return first + [one.clip for one in case.sample.turns if one.clip is not None]
