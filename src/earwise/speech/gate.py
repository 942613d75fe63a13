"""The quality gate: which clips say what they should, and why the others do not.

Nothing is deleted. Every clip gets a `Check` with its measures and the reasons why it failed, if it did; thresholds are
settings, so a check can be made again without listening again.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Literal, Protocol

from earwise.data.media import Waveform
from earwise.data.prompts import query_text
from earwise.recipe.speech import Gate
from earwise.records import Clip, Item, NonEmpty, Record
from earwise.speech.clips import load_clip
from earwise.speech.recovered import Kind, Recovery, RoundTrip
from earwise.speech.signal import Signal, measure
from earwise.work.store import Store

Reason = Literal["silent", "slow", "fast", "silence", "clipped", "wer", "numbers", "letters", "quotes"]
"""Why a clip failed: nothing can be heard; too few or too many words per minute; too much silence at its ends; samples
at full scale; too many word errors; numbers, option letters or quoted strings that did not come back.
"""


class Transcriber(Protocol):
    """What writes down clips: `earwise.speech.transcriber.HuggingFaceTranscriber`, or one of your own."""

    @property
    def spelling(self) -> dict[str, str]:
        """British to American spelling, where the model brings it."""

    def transcribe(self, waveforms: Sequence[Waveform]) -> list[str]:
        """The text of each mono 16 kHz waveform of one batch."""


class Heard(Record):
    """What a speech recogniser wrote down for one clip."""

    item: NonEmpty
    sha256: NonEmpty
    """Of the clip."""
    text: str

    @property
    def key(self) -> str:
        """The item's id."""
        return self.item


class Check(Record):
    """One clip's measures, and why it failed; it passed if there is no reason."""

    item: NonEmpty
    voice: NonEmpty
    spoken: NonEmpty
    heard: str | None
    """What came back; None without a speech recogniser."""
    errors: int | None
    """Word errors."""
    words: int
    """Of the spoken form, as they were compared; as they are written without a speech recogniser."""
    lost: tuple[Kind, ...] = ()
    rate_wpm: float
    """Words of the spoken form per minute from the first sound to the last; 0 for a silent clip."""
    duration_s: float
    silence: float
    """Share of the clip before the first sound and after the last."""
    clipped: float
    level_db: float
    reasons: tuple[Reason, ...] = ()

    @property
    def key(self) -> str:
        """The item's id."""
        return self.item

    @property
    def passed(self) -> bool:
        """Whether nothing is wrong with the clip."""
        return not self.reasons


def listen(
    clips: Sequence[Clip], folder: Path, transcriber: Transcriber, batch_size: int, store: Store[Heard]
) -> Iterator[int]:
    """Write down the clips that are not in `store` yet; yields how many were done after each batch.

    Batches are cut from all clips, whatever is done already, so that a resumed run hears what an uninterrupted one
    does. Raises `InputError` naming a clip that cannot be read.
    """
    # Neighbours of similar length waste little padding.
    ordered = sorted(clips, key=lambda clip: (clip.num_samples, clip.item))
    for start in range(0, len(ordered), batch_size):
        batch = ordered[start : start + batch_size]
        if any(clip.item not in store for clip in batch):
            texts = transcriber.transcribe([load_clip(clip, folder) for clip in batch])
            for clip, text in zip(batch, texts, strict=True):
                if clip.item not in store:
                    store.append(Heard(item=clip.item, sha256=clip.sha256, text=text))
        yield len(batch)


def check(clip: Clip, item: Item, samples: Waveform, heard: str | None, trip: RoundTrip, gate: Gate) -> Check:
    """Judge one clip of `item`; `heard` is what came back, None where nobody listened."""
    signal = measure(samples)
    recovery = trip.compare(query_text(item), clip.spoken, heard) if heard is not None else None
    words = len(clip.spoken.split())
    rate = 0.0 if signal.is_silent else 60 * words / signal.sounding_s
    return Check(
        item=clip.item,
        voice=clip.voice,
        spoken=clip.spoken,
        heard=heard,
        errors=recovery.errors if recovery else None,
        words=recovery.words if recovery else words,
        lost=recovery.lost if recovery else (),
        rate_wpm=rate,
        duration_s=signal.duration_s,
        silence=signal.silence,
        clipped=signal.clipped,
        level_db=signal.level_db,
        reasons=(*_signal_reasons(signal, rate, gate), *_recovery_reasons(recovery, gate)),
    )


def _signal_reasons(signal: Signal, rate_wpm: float, gate: Gate) -> Iterator[Reason]:
    if signal.is_silent:
        yield "silent"
        return
    slowest, fastest = gate.rates_wpm
    if rate_wpm < slowest:
        yield "slow"
    if rate_wpm > fastest:
        yield "fast"
    if signal.silence > gate.max_silence:
        yield "silence"
    if signal.clipped > gate.max_clipped:
        yield "clipped"


def _recovery_reasons(recovery: Recovery | None, gate: Gate) -> Iterator[Reason]:
    if recovery is None:
        return
    if recovery.wer > gate.max_wer:
        yield "wer"
    if gate.recovered:
        yield from recovery.lost


def count(checks: Sequence[Check]) -> dict[str, Any]:
    """`{"clips", "failed", "reasons": {REASON: clips}, "wer"}`; a clip may fail for several reasons.

    `wer` is that of all clips together, errors over words; None where nobody listened.
    """
    reasons = Counter(reason for one in checks for reason in one.reasons)
    errors = [one.errors for one in checks if one.errors is not None]
    words = sum(one.words for one in checks if one.errors is not None)
    return {
        "clips": len(checks),
        "failed": sum(not one.passed for one in checks),
        "reasons": dict(reasons.most_common()),
        "wer": sum(errors) / words if words else None,
    }
