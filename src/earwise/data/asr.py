"""Transcribed recordings: what every ASR corpus becomes, whatever its files look like.

The readers (`asr_folders`, `asr_manifests`, `asr_datasets`) give `Utterance`s; `transcription_item` turns one into the
item that ears are aligned on. A clip of it exists already: where the recording lies is in `Item.audio` and
`Item.meta["recording"]`, so that it is cut out, not spoken.
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
"""Typed before the words that are to be repeated."""

RECORDING: Final = "recording"
"""Key of `Item.meta`: how the item's clip is cut out of its recording."""

MOST_S: Final = 1e9
"""No recording has more seconds: 30 years."""

DIFFERENCE_S: Final = 0.1
"""A file may be so much longer or shorter than its manifest says: MP3 files are padded, and times rounded."""

OTHER_LENGTH: Final = "the file is longer or shorter than the manifest says"
ENDS_EARLY: Final = "the file ends before the manifest's part of it"
TOO_LONG: Final = f"longer than {MAX_CLIP_S} s"

Long = Literal["drop", "cut"]
"""What happens to a recording that is longer than a model can hear."""
Answer = Literal["words", "written"]
"""What is to be written down: lower-case words without punctuation, or the transcript as it is."""


class Recording(BaseModel):
    """What part of an item's audio file is its clip, and who speaks."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)

    offset_s: float = Field(default=0.0, ge=0)
    duration_s: float | None = Field(default=None, gt=0)
    """To the end of the file when absent."""
    channel: int | None = Field(default=None, ge=0)
    """The mean of all channels when absent."""
    speaker: str = ""

    @property
    def is_whole_file(self) -> bool:
        """Whether nothing is cut off and no channel is chosen."""
        return self.offset_s == 0 and self.duration_s is None and self.channel is None


@dataclass(frozen=True)
class Utterance:
    """One transcribed recording of a corpus."""

    record: str
    """Where it stands in its file, for messages: `line 7`, `cut a-1`."""
    text: str
    audio: str
    """Path of the file, relative to the corpus's audio folder."""
    recording: Recording
    seconds: float | None = None
    """Length, as the corpus says; read from the file's header when absent."""
    file_seconds: float | None = None
    """Length of the whole file, where the corpus says it."""


@dataclass(frozen=True)
class Corpus:
    """The utterances of one corpus, with what was left out while it was read."""

    file: Path
    """The file or folder that messages name."""
    audio: Path
    """Folder that audio paths start from."""
    utterances: Sequence[Utterance]
    drops: Drops
    fetch: Callable[[Utterance], None] | None = None
    """Puts the audio of an utterance into the folder, where it is not there from the start."""


def recording_of(item: Item, file: str | Path) -> Recording | None:
    """How the clip of `item` is cut out of its recording; None for an item that is to be spoken.

    Raises `InputError` naming `file` and the item if its `meta` holds something else.
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
    """The words of a transcript as an ear would write them: lower case, no punctuation, one form of each letter."""
    return " ".join(words_of(text))


def transcription_item(
    utterance: Utterance, *, id: str, source: str, media: str, answer: Answer = "words", instruction: str = INSTRUCTION
) -> Item:
    """The item that asks to write `utterance` down; its audio is found under the folder `media`."""
    said = utterance.text if answer == "written" else words(utterance.text)
    return Item(
        id=id,
        source=source,
        question=utterance.text,
        answers=(said,),
        audio=f"{media}/{utterance.audio}",
        cluster=utterance.recording.speaker or id,
        kind=source,
        instruction=instruction,
        meta={"record": utterance.record, RECORDING: utterance.recording.model_dump(exclude_defaults=True)},
    )


def fit_into_30_s(utterance: Utterance, seconds: float, long: Long) -> Utterance | None:
    """`utterance` if it can be heard as a whole, else what `long` makes of it: nothing, or its first 30 s.

    A cut keeps as many of the transcript's words as the share of the time that is kept, rounded down: the corpus does
    not say when which word is spoken, so one or two at the end may be wrong.
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
    """`utterance` as it is heard in its file of `file_seconds`, or why it cannot be: its words are not what is there.

    A part that covers the whole file becomes the whole file, which need not be cut.
    """
    said, cut = utterance.file_seconds, utterance.recording
    if said is not None and abs(said - file_seconds) > DIFFERENCE_S:
        return OTHER_LENGTH
    if cut.offset_s >= file_seconds or cut.offset_s + (cut.duration_s or 0.0) > file_seconds + ROUNDED_S:
        return ENDS_EARLY
    rest = math.inf if cut.duration_s is None else file_seconds - cut.duration_s
    if cut.offset_s == 0 and rest <= ROUNDED_S and file_seconds <= MAX_CLIP_S:
        return replace(utterance, recording=cut.model_copy(update={"duration_s": None}))
    return utterance


def header_seconds(path: Path) -> float | None:
    """Length of an audio file as its header says; None if it cannot be read."""
    try:
        return float(soundfile.info(os.fsencode(path)).duration)
    except (soundfile.LibsndfileError, OSError):
        return None


def check_cut(
    file: Path, record: str, *, offset_s: Any = 0.0, duration_s: Any = None, channel: Any = None, speaker: Any = ""
) -> Recording:
    """A cut as a manifest gives it. Raises `InputError` naming file and record for a time or channel that cannot be."""
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
    """`value` if it is a time of either sign; raises `InputError` naming it as `name`, the file and the record."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not -MOST_S <= value <= MOST_S:
        raise InputError(f"the {name} {value!r} is not a number of seconds", file=file, record=record)
    return float(value)


def inside(audio: Path, path: str, file: Path, record: str) -> str:
    """`path` relative to the folder `audio`. Raises `InputError` naming file and record if it leads out of it.

    Manifests often hold absolute paths: those that lie inside the folder are as good as relative ones.
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
