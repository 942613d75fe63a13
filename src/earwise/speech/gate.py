"""The quality gate: clips that fail a check, and why.

Nothing is deleted. Every clip gets a `Check` with its measures and the reasons of a failure. Transcripts are stored
separately, so that other thresholds need no new transcripts.
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
"""Why a clip failed: no sound; too few or too many words per minute; too much silence at its ends; samples at full
scale; too many word errors; lost numbers, option letters or quoted strings."""


class Transcriber(Protocol):
    """A speech recogniser, such as `earwise.speech.transcriber.HuggingFaceTranscriber`."""

    @property
    def spelling(self) -> dict[str, str]:
        """British to American spelling, if the model brings it."""

    def transcribe(self, waveforms: Sequence[Waveform]) -> list[str]:
        """The text of each mono 16 kHz waveform of one batch."""


class Heard(Record):
    """A speech recogniser's transcript of one clip."""

    item: NonEmpty
    sha256: NonEmpty
    """Hash of the clip."""
    text: str

    @property
    def key(self) -> str:
        """The item's id."""
        return self.item


class Check(Record):
    """One clip's measures, and the reasons of its failure; none if it passed."""

    item: NonEmpty
    voice: NonEmpty
    spoken: NonEmpty
    heard: str | None
    """The transcript; None without a speech recogniser."""
    errors: int | None
    """Word errors."""
    words: int
    """Words of the normalised spoken form; of the plain one without a speech recogniser."""
    lost: tuple[Kind, ...] = ()
    rate_wpm: float
    """Words of the spoken form per minute, from the first sound to the last; 0 for a silent clip."""
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
        """Whether there is no reason for a failure."""
        return not self.reasons


def listen(
    clips: Sequence[Clip], folder: Path, transcriber: Transcriber, batch_size: int, store: Store[Heard]
) -> Iterator[int]:
    """Transcribe the clips that are not in `store` yet; yields the number of clips after each batch.

    Batches are always cut from all clips, so that a resumed run transcribes the same batches as an uninterrupted one.
    Raises `InputError` naming a clip that cannot be read.
    """
    # Clips of similar length share a batch, to waste little padding.
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
    """Judge one clip of `item`; `heard` is the transcript, if there is one."""
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

    `wer` is the word error rate over all clips together; None without transcripts.
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
