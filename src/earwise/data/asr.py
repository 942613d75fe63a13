"""Transcribed recordings, the common form of all ASR corpora.

The readers (`asr_folders`, `asr_manifests`, `asr_datasets`) return `Utterance`s; `transcription_item` makes the items
that ears are aligned on. `Item.audio` and `Item.meta["recording"]` say where the recording is, so that the clip is cut
out instead of spoken.
"""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from typing import Any, Final, Literal

import soundfile
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from earwise.data.drops import Drops
from earwise.data.media import MAX_CLIP_S, ROUNDED_S, resolve
from earwise.data.written_forms import words_of
from earwise.errors import InputError
from earwise.records import Item

INSTRUCTION: Final = "Repeat the speech:"
"""Typed before the speech."""

RECORDING: Final = "recording"
"""Key of `Item.meta`: where the item's clip is in its recording."""

MOST_S: Final = 1e9
"""Limit of a recording: 30 years."""

DIFFERENCE_S: Final = 0.1
"""Allowed difference between a file and its manifest: MP3 files are padded, and times rounded."""

OTHER_LENGTH: Final = "the file is longer or shorter than the manifest says"
ENDS_EARLY: Final = "the file ends before the manifest's part of it"
TOO_LONG: Final = f"longer than {MAX_CLIP_S} s"

Long = Literal["drop", "cut"]
"""Treatment of a recording that is too long for a model."""
Answer = Literal["words", "written"]
"""The transcription target: lower-case words without punctuation, or the original transcript."""


class Recording(BaseModel):
    """The part of an item's audio file that is its clip, and the speaker."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)

    offset_s: float = Field(default=0.0, ge=0)
    duration_s: float | None = Field(default=None, gt=0)
    """None: to the end of the file."""
    channel: int | None = Field(default=None, ge=0)
    """None: the mean of all channels."""
    speaker: str = ""

    @property
    def is_whole_file(self) -> bool:
        """Whether the clip is the whole file with all channels."""
        return self.offset_s == 0 and self.duration_s is None and self.channel is None


@dataclass(frozen=True)
class Utterance:
    """One transcribed recording of a corpus."""

    record: str
    """Its place in the corpus, for messages: `line 7`, `cut a-1`."""
    text: str
    audio: str
    """Path of the file, relative to the corpus's audio folder."""
    recording: Recording
    seconds: float | None = None
    """Length by the corpus; None: read from the file's header."""
    file_seconds: float | None = None
    """Length of the whole file by the corpus, if given."""


@dataclass(frozen=True)
class Corpus:
    """The utterances of one corpus, and the records that were left out."""

    file: Path
    """The file or folder for messages."""
    audio: Path
    """Folder of the audio paths."""
    utterances: Sequence[Utterance]
    drops: Drops
    fetch: Callable[[Utterance], None] | None = None
    """Writes an utterance's audio into the folder, if it is not there from the start."""


def recording_of(item: Item, file: str | Path) -> Recording | None:
    """Where the clip of `item` is in its recording; None for an item that must be spoken.

    Raises `InputError` naming `file` and the item if its `meta` is invalid.
    """
    if RECORDING not in item.meta:
        return None
    try:
        return Recording.model_validate(item.meta[RECORDING])
    except ValidationError as error:
        problem = error.errors()[0]
        what = f"meta.recording.{'.'.join(map(str, problem['loc']))}: {problem['msg']}"
        raise InputError(what, file=file, record=item.id) from None


def words(text: str) -> str:
    """The words of a transcript: lower case, no punctuation, one form of each letter."""
    return " ".join(words_of(text))


def transcription_item(
    utterance: Utterance, *, id: str, source: str, media: str, answer: Answer = "words", instruction: str = INSTRUCTION
) -> Item:
    """The item that asks for the transcript of `utterance`; its audio is in the folder `media`."""
    target = utterance.text if answer == "written" else words(utterance.text)
    return Item(
        id=id,
        source=source,
        question=utterance.text,
        answers=(target,),
        audio=f"{media}/{utterance.audio}",
        cluster=utterance.recording.speaker or id,
        kind=source,
        instruction=instruction,
        meta={"record": utterance.record, RECORDING: utterance.recording.model_dump(exclude_defaults=True)},
    )


def fit_into_30_s(utterance: Utterance, seconds: float, long: Long) -> Utterance | None:
    """`utterance` if it is short enough, else nothing or its first 30 s, by `long`.

    A cut keeps the same share of words as of time, rounded down. The corpus has no times of words, so one or two at the
    end may be wrong.
    """
    if seconds <= MAX_CLIP_S:
        return utterance
    all_words = utterance.text.split()
    kept = all_words[: math.floor(len(all_words) * MAX_CLIP_S / seconds)]
    if long == "drop" or not kept:
        return None
    recording = utterance.recording.model_copy(update={"duration_s": float(MAX_CLIP_S)})
    return replace(utterance, text=" ".join(kept), recording=recording, seconds=float(MAX_CLIP_S))


def match_file(utterance: Utterance, file_seconds: float) -> Utterance | str:
    """`utterance` with its file of `file_seconds`, or the reason why the two do not match.

    A part that covers the whole file becomes the whole file, which need not be cut.
    """
    listed, cut = utterance.file_seconds, utterance.recording
    if listed is not None and abs(listed - file_seconds) > DIFFERENCE_S:
        return OTHER_LENGTH
    if cut.offset_s >= file_seconds or cut.offset_s + (cut.duration_s or 0.0) > file_seconds + ROUNDED_S:
        return ENDS_EARLY
    rest = math.inf if cut.duration_s is None else file_seconds - cut.duration_s
    if cut.offset_s == 0 and rest <= ROUNDED_S and file_seconds <= MAX_CLIP_S:
        return replace(utterance, recording=cut.model_copy(update={"duration_s": None}))
    return utterance


def header_seconds(path: Path) -> float | None:
    """Length of an audio file by its header; None if it cannot be read."""
    try:
        return float(soundfile.info(os.fsencode(path)).duration)
    except (soundfile.LibsndfileError, OSError):
        return None


def check_cut(
    file: Path, record: str, *, offset_s: Any = 0.0, duration_s: Any = None, channel: Any = None, speaker: Any = ""
) -> Recording:
    """A manifest's cut. Raises `InputError` naming file and record for an invalid time or channel."""
    for name, value in (("offset", offset_s), ("duration", duration_s)):
        if value is not None and number_of_seconds(name, value, file, record) < 0:
            raise InputError(f"the {name} is negative: {value:g} s", file=file, record=record)
    if duration_s == 0:
        raise InputError("the duration is 0 s", file=file, record=record)
    if channel is not None and (isinstance(channel, bool) or not isinstance(channel, int) or channel < 0):
        raise InputError(f"the channel {channel!r} is not a number from 0", file=file, record=record)
    return Recording(
        offset_s=float(offset_s or 0),
        duration_s=None if duration_s is None else float(duration_s),
        channel=channel,
        speaker="" if speaker is None else str(speaker),
    )


def number_of_seconds(name: str, value: Any, file: Path, record: str) -> float:
    """`value` as a time of either sign; raises `InputError` with its `name`, the file and the record."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not -MOST_S <= value <= MOST_S:
        raise InputError(f"the {name} {value!r} is not a number of seconds", file=file, record=record)
    return float(value)


def inside(audio: Path, path: str, file: Path, record: str) -> str:
    """`path` relative to the folder `audio`. Raises `InputError` naming file and record if it leads out of it.

    Absolute paths, which manifests often have, are accepted if they are inside the folder.
    """
    given = PurePosixPath(path)
    if given.is_absolute():
        for root in (audio.absolute(), audio.resolve()):
            if given.is_relative_to(root):
                given = given.relative_to(root)
                break
    try:
        resolve(audio, str(given))
    except InputError:
        what = f"the audio path {path!r} is outside the data folder {audio}"
        raise InputError(what, file=file, record=record, remedy="name the folder that holds the audio") from None
    return str(given)
