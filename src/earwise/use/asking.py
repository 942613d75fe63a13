"""Questions as people ask them (texts, pictures and recordings), and the views under which `evaluate` asks them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from earwise.data.media import MAX_CLIP_S, load_audio, save_wav, waveform_sha256
from earwise.data.meta import TYPED
from earwise.data.video import FrameChoice, frame_files
from earwise.errors import InputError
from earwise.models.sample import Sample, Sound, Turn
from earwise.records import SAMPLE_RATE_HZ, Item
from earwise.views import View

QUESTION: Final = "question"
"""Id of a question in errors."""
TOKENS_PER_S: Final = 12
"""More tokens than anybody speaks in a second."""


@dataclass(frozen=True)
class Exchange:
    """One question and, in an earlier turn, the answer to it."""

    text: str = ""
    """The typed question; beside speech, the same question as the typed view shows it."""
    speech: Sound | None = None
    """The spoken question."""
    instruction: str = ""
    """Typed before the question."""
    suffix: str = ""
    """Typed behind a spoken question."""
    answer: str = ""


@dataclass(frozen=True)
class Shown:
    """What a conversation is about: pictures, frames of a video, a sound, or nothing."""

    images: tuple[Path, ...] = ()
    frames: tuple[Path, ...] = ()
    sound: Sound | None = None


def recording(file: Path, folder: Path, *, longest_s: float = MAX_CLIP_S, cuts: bool = False) -> Sound:
    """A recording as the ears hear it, from any sound file: a 16 kHz WAV file in `folder`, named by its samples.

    Raises `InputError` for a recording longer than `longest_s`, unless `cuts` leaves out what is beyond.
    """
    samples, limit = load_audio(file, at_most_s=longest_s), round(longest_s * SAMPLE_RATE_HZ)
    if len(samples) > limit and not cuts:
        raise InputError(f"the recording is longer than {longest_s:g} s", file=file, remedy="cut it")
    samples = samples[:limit]
    path = folder / f"{waveform_sha256(samples)}.wav"
    if not path.exists():
        save_wav(path, samples)
    return Sound(path, len(samples))


def shown_files(images: Sequence[Path], video: Path | None, sound: Path | None, folder: Path) -> Shown:
    """The media of a question from their files. As in `evaluate`, a video is shown as eight frames, and 30 s of a
    sound are heard. Raises `InputError` for several kinds, because no view shows them together.
    """
    kinds = [name for name, given in (("images", images), ("a video", video), ("a sound", sound)) if given]
    if len(kinds) > 1:
        raise InputError(f"{' and '.join(kinds)} cannot be shown together", remedy="give one kind")
    return Shown(
        tuple(images),
        tuple(frame_files(video, FrameChoice(count=8))) if video is not None else (),
        recording(sound, folder, cuts=True) if sound is not None else None,
    )


def conversation(exchanges: Sequence[Exchange], shown: Shown, *, system: str = "") -> tuple[Sample, View]:
    """The sample of a conversation, and the view under which its last question is asked."""
    turns = tuple(map(_turn, exchanges))
    first = shown.images[0] if shown.images else None
    sample = Sample(
        turns, first, frames=shown.frames, sound=shown.sound, further_images=shown.images[1:], system=system
    )
    return sample, view_of(shown, spoken=any(exchange.speech is not None for exchange in exchanges))


def view_of(shown: Shown, *, spoken: bool) -> View:
    """The view of a question; raises `InputError` for a spoken question about a sound, which no view has."""
    if shown.sound is not None:
        if spoken:
            what = "a spoken question about a sound is a view that no model is trained for"
            raise InputError(what, remedy="type the question")
        return "sound_text"
    if shown.frames:
        return "video_speech" if spoken else "video_text"
    if shown.images:
        return "image_speech" if spoken else "image_text"
    return "speech_only" if spoken else "text_only"


def transcription(speech: Sound, instruction: str) -> tuple[Sample, View, int]:
    """The request for a transcript, as `evaluate` makes it, and the most tokens it can need."""
    sample, view = conversation([Exchange(speech=speech, instruction=instruction)], Shown())
    return sample, view, transcript_tokens(speech)


def transcript_tokens(speech: Sound) -> int:
    """The most tokens of a transcript."""
    return 16 + TOKENS_PER_S * speech.num_samples // SAMPLE_RATE_HZ


def _turn(exchange: Exchange) -> Turn:
    speech = exchange.speech
    item = Item(
        id=QUESTION,
        source="ask",
        question=exchange.text,
        answers=(exchange.answer or "-",),
        cluster=QUESTION,
        instruction=exchange.instruction,
        meta={TYPED: True} if speech is None else {},
    )
    if speech is None:
        return Turn(item, exchange.text)
    return Turn(item, exchange.text, speech.path, speech.num_samples, suffix=exchange.suffix)
