"""Emotional speech as a session of IEMOCAP: dialogues between two voices, in the files of the release."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from earwise.data.emotions import IEMOCAP
from earwise.data.media import save_wav
from earwise.micro.feelings.speaking import Actor
from earwise.micro.feelings.utterances import Utterance, draw_utterance
from earwise.micro.feelings.words import Feeling
from earwise.records import SAMPLE_RATE_HZ
from earwise.work.store import write_atomic

RELEASE: Final = "IEMOCAP_full_release"
SESSION: Final = 5
TURNS: Final = 5
"""Turns of a dialogue."""

_LABEL: Final[dict[str, str]] = {word: label for label, word in IEMOCAP.items()}
_RATING: Final[dict[Feeling, str]] = {
    "angry": "[2.0000, 4.0000, 4.0000]",
    "happy": "[4.0000, 4.0000, 3.0000]",
    "neutral": "[3.0000, 3.0000, 3.0000]",
    "sad": "[2.0000, 2.0000, 2.0000]",
}
"""Valence, activation and dominance; the readers ignore them."""


@dataclass(frozen=True)
class Spoken:
    """An utterance on disk; the path is relative to the output folder."""

    name: str
    utterance: Utterance
    voice: str
    audio: str | None


def write_session(folder: Path, seed: int, count: int, neutral_words: float) -> list[Spoken]:
    """Write `count` turns in test voices as session 5 of a release in `folder`: sounds, labels and transcriptions."""
    actor = Actor("test")
    place = folder / RELEASE / f"Session{SESSION}"
    spoken: list[Spoken] = []
    for number, turns in enumerate(_dialogues(count)):
        dialogue = f"Ses{SESSION:02}{'FM'[number % 2]}_impro{number:04}"
        (place / "sentences" / "wav" / dialogue).mkdir(parents=True, exist_ok=True)
        cast = random.Random(f"{seed}/{dialogue}").sample(actor.voices, 2)
        labels, transcript, start = [], [], 0.0
        for index in range(turns):
            turn = f"{dialogue}_{'FM'[index % 2]}{index:03}"
            rng = random.Random(f"{seed}/{turn}")
            utterance = draw_utterance("test", rng, neutral_words)
            samples, voice = actor.say(utterance, rng, cast[index % 2])
            audio = f"{RELEASE}/Session{SESSION}/sentences/wav/{dialogue}/{turn}.wav"
            save_wav(folder / audio, samples)
            stop = start + len(samples) / SAMPLE_RATE_HZ
            feeling = utterance.feeling
            labels.append(f"[{start:.4f} - {stop:.4f}]\t{turn}\t{_LABEL[feeling]}\t{_RATING[feeling]}")
            transcript.append(f"{turn} [{start:08.4f}-{stop:08.4f}]: {utterance.text}")
            spoken.append(Spoken(turn, utterance, voice, audio))
            start = stop
        _write(place / "dialog" / "EmoEvaluation" / f"{dialogue}.txt", labels)
        _write(place / "dialog" / "transcriptions" / f"{dialogue}.txt", transcript)
    return spoken


def _dialogues(count: int) -> Iterator[int]:
    """The number of turns of each dialogue; the last one may be shorter."""
    for first in range(0, count, TURNS):
        yield min(TURNS, count - first)


def _write(path: Path, lines: list[str]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomic(path, "\n".join(lines) + "\n")
