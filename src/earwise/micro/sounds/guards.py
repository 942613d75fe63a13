"""Two guard tasks, spoken words and melodies, which show what a student forgets while it learns to reason about sounds.

They have only the length of clips in common with the laboratory's own sounds.
"""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import Final, Literal

import numpy as np

from earwise.data.media import Waveform
from earwise.micro.sounds.questions import OPTIONS
from earwise.micro.sounds.sounding import CLIP_SAMPLES, HOME, background
from earwise.micro.sounds.timbres import LEVEL, PEAK
from earwise.micro.sounds.words import CONTOURS, NUMBERS, SPOKEN_WORDS, TEMPOS
from earwise.records import SAMPLE_RATE_HZ
from earwise.speech.espeak import EspeakEngine
from earwise.speech.voices import split_voices, variant

Task = Literal["speech", "music"]
TASKS: Final[tuple[Task, ...]] = ("speech", "music")
Side = Literal["train", "test"]

TRAIN_VOICES: Final = 32
TEST_VOICES: Final = 8
"""Voices of the test items. They share no variant with the training items, for any seed."""

UNSTEADY: Final = frozenset({"Reed", "caleb"})
"""Excluded variants, whose sound varies from call to call."""

NOTES: Final = (2, 5)
"""Smallest and largest number of notes of a melody."""
_GAP_S: Final = {"fast": 0.16, "slow": 0.34}
_RATES_WPM: Final = (140, 200)
_PITCHES: Final = (35, 65)


@dataclass(frozen=True)
class Guard:
    """One question about one clip of 1.92 s."""

    task: Task
    form: str
    """The question's form: `word`, `contour`, `notes` or `tempo`."""
    text: str
    options: tuple[str, ...]
    right: str
    samples: Waveform
    voice: str = ""


def steady_voices(engine: EspeakEngine, side: Side, train: int, test: int) -> list[str]:
    """The voices of one side when `train` and `test` voices are drawn, without `UNSTEADY` ones."""
    steady = [voice for voice in engine.voices() if variant(voice) not in UNSTEADY]
    return split_voices(steady, train, test)[0 if side == "train" else 1]


class Speaker:
    """Speaks words in the voices of one side."""

    def __init__(self, side: Side) -> None:
        self._engine = EspeakEngine()
        self.voices = steady_voices(self._engine, side, TRAIN_VOICES, TEST_VOICES)

    def ask(self, rng: random.Random) -> Guard:
        """One word in a random voice, at a random rate and place; words too long for a clip are cut."""
        options = tuple(rng.sample(SPOKEN_WORDS, OPTIONS))
        word, voice = rng.choice(options), rng.choice(self.voices)
        noise = np.random.default_rng(rng.getrandbits(64))
        spoken = self._engine.speak(word, voice, rng.randint(*_RATES_WPM), rng.randint(*_PITCHES), 0)
        start = rng.randint(0, max(0, CLIP_SAMPLES - len(spoken)))
        samples = _with_noise(spoken[:CLIP_SAMPLES], start, noise)
        return Guard("speech", "word", "which word is spoken?", options, word, samples, voice)


def ask_melody(rng: random.Random) -> Guard:
    """One melody, with a question about its contour, its number of notes or its tempo."""
    contour, tempo = rng.choice(CONTOURS), rng.choice(TEMPOS)
    notes = rng.randint(NOTES[0] + (contour == "waving"), NOTES[1])
    noise = np.random.default_rng(rng.getrandbits(64))
    melody = _melody(contour, _GAP_S[tempo], notes, rng)
    start = rng.randint(0, max(0, CLIP_SAMPLES - len(melody)))
    options: tuple[str, ...]
    match rng.choice(("contour", "notes", "tempo")):
        case "contour":
            form, text, options, right = "contour", "how does the melody go?", CONTOURS, contour
        case "notes":
            form, text, right = "notes", "how many notes are in the melody?", NUMBERS[notes]
            options = NUMBERS[NOTES[0] : NOTES[1] + 1]
        case _:
            form, text, options, right = "tempo", "is the melody fast or slow?", TEMPOS, tempo
    shuffled = tuple(rng.sample(options, len(options)))
    return Guard("music", form, text, shuffled, right, _with_noise(melody[:CLIP_SAMPLES], start, noise))


def _melody(contour: str, gap_s: float, notes: int, rng: random.Random) -> Waveform:
    """Plucked notes, `gap_s` seconds from start to start."""
    step = rng.uniform(2, 4)  # semitones
    signs = {"rising": (1, 1), "falling": (-1, -1), "level": (0, 0), "waving": rng.choice(((1, -1), (-1, 1)))}[contour]
    gap, ring = round(gap_s * SAMPLE_RATE_HZ), round(0.4 * SAMPLE_RATE_HZ)
    time = np.arange(ring) / SAMPLE_RATE_HZ
    melody = np.zeros(gap * (notes - 1) + ring)
    height = rng.uniform(-5, 5)
    for number in range(notes):
        hertz = 440 * 2 ** (height / 12)
        note = sum((np.sin(2 * np.pi * k * hertz * time) / k**1.5 for k in range(1, 5)), np.zeros(ring))
        fade = np.exp(-time / 0.09) * np.clip(time / 0.005, 0, 1)
        melody[number * gap : number * gap + ring] += note * fade
        height += step * signs[number % 2]
    return melody.astype(np.float32)


def _with_noise(samples: Waveform, start: int, rng: np.random.Generator) -> Waveform:
    """`samples` at the laboratory's level from `start` on, in the noise of the training domain."""
    gain = min(LEVEL / float(np.sqrt(np.mean(samples**2))), PEAK / float(np.abs(samples).max()))
    mixed = background(HOME, rng)
    part = gain * samples[: CLIP_SAMPLES - start]
    mixed[start : start + len(part)] += part
    return np.clip(mixed, -1, 1).astype(np.float32)
