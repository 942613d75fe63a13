"""The parts of a mixture. A part of any format is a sequence of conversations, each a tuple of items.

Opening a part reads the list of its records; media are read when a conversation is accessed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from earwise.data.asr import (
    TOO_LONG,
    Corpus,
    Utterance,
    fit_into_30_s,
    header_seconds,
    match_file,
    recording_of,
    transcription_item,
    words,
)
from earwise.data.asr_datasets import dataset_files, read_dataset
from earwise.data.asr_folders import common_voice_file, librispeech_files, read_common_voice, read_librispeech
from earwise.data.asr_manifests import read_lhotse, read_nemo
from earwise.data.avqa import read_avqa
from earwise.data.cota import CotaFile
from earwise.data.drops import Drops
from earwise.data.iemocap import listing_files, read_iemocap
from earwise.data.items import read_items
from earwise.data.llava import LlavaFile, LlavaOptions
from earwise.data.media import MAX_CLIP_S
from earwise.data.meld import read_meld
from earwise.data.mixture import Source
from earwise.errors import InputError
from earwise.recipe.data import (
    AsrPart,
    AvqaPart,
    CommonVoicePart,
    CotaPart,
    DatasetPart,
    IemocapPart,
    ItemsPart,
    LibriSpeechPart,
    LlavaPart,
    ManifestPart,
    MeldPart,
    TalkPart,
)
from earwise.records import Item

PartSettings = TalkPart | AsrPart


class Part(Source[tuple[Item, ...]], Protocol):
    """A source of conversations. A conversation without items turned out to be unusable on access, which is counted."""

    drops: Drops
    """Records that were left out so far."""


@dataclass(frozen=True)
class OpenPart:
    """An opened part, and the folder of its media."""

    name: str
    conversations: Part
    media: Path


def part_name(settings: PartSettings) -> str:
    """The beginning of the ids of the part's items."""
    return settings.name or settings.format


def part_files(settings: PartSettings) -> tuple[Path, ...]:
    """The files that list a part's records, without its media, which may be hundreds of gigabytes.

    Raises `InputError` if the part's path does not exist.
    """
    path = Path(settings.path)
    if not path.exists():
        raise InputError("no such file or folder", file=path)
    match settings:
        case LibriSpeechPart():
            return tuple(librispeech_files(path))
        case CommonVoicePart():
            return (common_voice_file(path, settings.split),)
        case DatasetPart():
            return tuple(dataset_files(path))
        case IemocapPart():
            return tuple(listing_files(path, settings.sessions))
        case ManifestPart() if settings.recordings is not None:
            return path, Path(settings.recordings)
        case _:
            return (path,)


def open_part(settings: PartSettings, *, media: str, extracted: Path, seed: int = 0, instruction: str = "") -> OpenPart:
    """Read the list of a part's records.

    Args:
        settings: the part.
        media: the media folder in the items' paths.
        extracted: folder for audio that is stored inside the part's files.
        seed: seed of the draw of spoken questions.
        instruction: text before the words to be transcribed.
    """
    name = part_name(settings)
    match settings:
        case LlavaPart():
            options = LlavaOptions(name, media, settings.text_only, settings.max_turns, settings.spoken, seed)
            return OpenPart(name, LlavaFile(settings.path, settings.images, options), Path(settings.images))
        case AvqaPart():
            drops = Drops()
            asked = read_avqa(settings.path, wording=settings.wording, drops=drops)
            return OpenPart(name, ReadyItems(asked, drops, name, media), Path(settings.path).parent)
        case MeldPart():
            drops = Drops()
            uttered = read_meld(settings.path, drops=drops)
            return OpenPart(name, ReadyItems(uttered, drops, name, media), Path(settings.path).parent)
        case IemocapPart():
            drops = Drops()
            turns = read_iemocap(settings.path, sessions=settings.sessions, drops=drops)
            return OpenPart(name, ReadyItems(turns, drops, name, media), Path(settings.path).absolute().parent)
        case CotaPart():
            sounds = Path(settings.audio or Path(settings.path).parent)
            return OpenPart(name, CotaFile(settings.path, sounds, name, media), sounds)
        case ItemsPart():
            own = read_items(settings.path)
            for item in own:
                recording_of(item, Path(settings.path))
            return OpenPart(name, ReadyItems(own, Drops(), name, media, instruction), Path(settings.path).parent)
        case _:
            corpus = read_corpus(settings, extracted)
            return OpenPart(name, Transcriptions(corpus, settings, media, instruction), corpus.audio)


def read_corpus(settings: AsrPart, extracted: Path) -> Corpus:
    """The utterances of an ASR corpus."""
    match settings:
        case LibriSpeechPart():
            return read_librispeech(settings.path)
        case CommonVoicePart():
            return read_common_voice(settings.path, settings.split)
        case DatasetPart():
            return read_dataset(settings.path, extracted, split=settings.subset)
        case ManifestPart(format="lhotse"):
            return read_lhotse(settings.path, settings.audio, settings.recordings)
        case ManifestPart():
            return read_nemo(settings.path, settings.audio)


class Transcriptions:
    """An ASR corpus as transcription items. Raises `InputError` if no recording is usable."""

    def __init__(self, corpus: Corpus, settings: AsrPart, media: str, instruction: str) -> None:
        self.drops = corpus.drops
        self._corpus, self._settings, self._media, self._instruction = corpus, settings, media, instruction
        known = [(number, self._fit(utterance)) for number, utterance in enumerate(corpus.utterances)]
        self._usable = [(number, utterance) for number, utterance in known if utterance is not None]
        if not self._usable:
            raise InputError(f"no usable recording: {next(self.drops.lines(), 'no records')}", file=corpus.file)

    def __len__(self) -> int:
        return len(self._usable)

    def __getitem__(self, index: int) -> tuple[Item, ...]:
        number, listed = self._usable[index]
        utterance = self._matched(listed)
        if utterance is None:
            return ()
        name = part_name(self._settings)
        item = transcription_item(
            utterance,
            id=f"{name}-{number:08d}",
            source=name,
            media=self._media,
            answer=self._settings.answer,
            instruction=self._instruction,
        )
        return (item,)

    def _matched(self, utterance: Utterance) -> Utterance | None:
        """The utterance as its file has it; None, and counted, if it is unusable."""
        if self._corpus.fetch is not None:
            self._corpus.fetch(utterance)
        seconds = header_seconds(self._corpus.audio / utterance.audio)
        if seconds is None:
            self.drops.add("not readable as audio", utterance.record)
            return None
        if utterance.seconds is None:
            return self._cut(utterance, seconds)
        matched = match_file(utterance, seconds)
        if isinstance(matched, str):
            self.drops.add(matched, utterance.record)
            return None
        return matched

    def _fit(self, utterance: Utterance) -> Utterance | None:
        """The usable part of an utterance by the corpus's own data."""
        if not words(utterance.text):
            self.drops.add("no words in the transcript", utterance.record)
            return None
        return utterance if utterance.seconds is None else self._cut(utterance, utterance.seconds)

    def _cut(self, utterance: Utterance, seconds: float) -> Utterance | None:
        fitted = fit_into_30_s(utterance, seconds, self._settings.long)
        if fitted is None:
            self.drops.add(TOO_LONG, utterance.record)
        elif fitted is not utterance:
            self.drops.add(f"words after {MAX_CLIP_S} s, the rest is kept", utterance.record)
        return fitted


class ReadyItems:
    """Items in memory, with new ids and media paths. Raises `InputError` if there are none."""

    def __init__(self, items: Sequence[Item], drops: Drops, name: str, media: str, instruction: str = "") -> None:
        if not items:
            raise InputError(f"no usable item: {next(drops.lines(), 'no records')}", record=name)
        self.drops = drops
        self._items = items
        self._name, self._media, self._instruction = name, media, instruction

    def __len__(self) -> int:
        return len(self._items)

    def __getitem__(self, index: int) -> tuple[Item, ...]:
        item = self._items[index]
        media = {kind: getattr(item, kind) for kind in ("image", "audio", "video")}
        changed = {kind: f"{self._media}/{path}" for kind, path in media.items() if path is not None}
        changed["id"] = f"{self._name}-{item.id}"
        if self._instruction and not item.instruction:
            changed["instruction"] = self._instruction
        return (item.model_copy(update=changed),)
