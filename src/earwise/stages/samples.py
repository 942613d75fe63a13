"""Builds the samples that models are shown, from items and clips."""

from __future__ import annotations

import contextlib
import itertools
import os
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Final

import soundfile
from PIL import Image

from earwise.data.llava import CONVERSATION, TYPED
from earwise.data.media import check_rate, resolve
from earwise.data.prompts import query_text
from earwise.data.resample import resampled_length
from earwise.data.video import FrameChoice, frame_files
from earwise.errors import InputError, about
from earwise.io.messages import counted
from earwise.models.families import Family
from earwise.models.sample import Sample, Sound, Turn
from earwise.recipe.model import SOUND_S
from earwise.records import SAMPLE_RATE_HZ, Clip, Item, View
from earwise.speech.clips import read_clips
from earwise.stages.data import sound_of
from earwise.views import HEARD, view_spec

EIGHT_FRAMES: Final = FrameChoice(count=8)


def sample_items(
    items: Iterable[Item],
    folder: Path,
    clips: Path | None,
    say: Callable[[str], None],
    *,
    suffix: str = "none",
    views: Collection[View] = (),
    frames: FrameChoice = EIGHT_FRAMES,
    failed: Mapping[str, Sequence[str]] = MappingProxyType({}),
    longest_s: float = SOUND_S,
) -> list[Sample]:
    """One sample per item, or per conversation if items belong to one.

    A conversation ends before its first question without a clip, because later questions would be out of context.
    Left-out items are counted.

    Args:
        items: with media paths relative to `folder`; those of one conversation are consecutive.
        folder: of the item file.
        clips: folder that `make_clips` filled; None for samples without speech.
        say: receives how many items were left out, and why.
        suffix: how the request for the answer's format is given: `none`, `text` (typed) or `spoken`.
        views: of the samples. Sounds and frames are only prepared for views that need them.
        frames: which frames of a video are shown.
        failed: reasons by item for clips that are not good enough and treated as missing.
        longest_s: seconds of an item's sound that are heard.
    """
    media = _Media(folder, views, frames, longest_s)
    made = _clips(clips) if clips is not None else {}
    spoken = {item: clip for item, clip in made.items() if item not in failed}

    def can_be_asked(item: Item) -> bool:
        return clips is None or item.id in spoken or bool(item.meta.get(TYPED))

    samples: list[Sample] = []
    silent, unfit, behind = 0, Counter[str](), 0
    for _, group in itertools.groupby(items, key=lambda item: item.meta.get(CONVERSATION, item.id)):
        asked = list(group)
        whole = list(itertools.takewhile(can_be_asked, asked))
        if clips is not None and not any(item.id in spoken for item in whole):
            whole = []  # nothing of it would be heard
        if whole:
            turns = tuple(_turn(item, spoken.get(item.id), clips, suffix) for item in whole)
            first = whole[0]
            samples.append(Sample(turns, _image(first, folder), frames=media.frames(first), sound=media.sound(first)))
        without = [item.id for item in asked if not can_be_asked(item)]
        silent += sum(item not in made for item in without)
        unfit.update("; ".join(failed[item]) for item in without if item in made)
        behind += len(asked) - len(whole) - len(without)
    if silent:
        say(f"{counted(silent, 'item left out: it has', 'items left out: they have')} no clip (reasons in {clips})")
    media.say_cut(say)
    if unfit:
        why = ", ".join(f"{reasons} {count}" for reasons, count in unfit.most_common())
        failing = counted(unfit.total(), "item left out: its clip", "items left out: their clips")
        say(f"{failing} failed the gate ({why})")
    if behind:
        why = f"the rest of their conversation has no clip{' that passed' if failed else ''}"
        say(f"{counted(behind, 'item')} left out: {why}")
    return samples


def conversations(
    items: Sequence[Item],
    folder: Path,
    *,
    independent: bool = False,
    views: Collection[View] = (),
    frames: FrameChoice = EIGHT_FRAMES,
    say: Callable[[str], None] = lambda _: None,
) -> list[Sample]:
    """All questions of a cluster (about one image, video or sound) as one typed sample, in the order of the file.
    `independent` turns do not see one another (`Sample.independent`). `views`, `frames` and `say` are those of
    `sample_items`. Raises `InputError` if items of one cluster name different media.
    """
    media = _Media(folder, views, frames)
    groups: dict[str, list[Item]] = {}
    for item in items:
        groups.setdefault(item.cluster, []).append(item)
    samples = []
    for cluster, group in groups.items():
        first = group[0]
        if {(item.image, item.video, item.audio) for item in group} != {(first.image, first.video, first.audio)}:
            remedy = "give them clusters of their own"
            raise InputError("items of one cluster name different media", file=folder, record=cluster, remedy=remedy)
        turns = tuple(_turn(item, None, None, "none") for item in group)
        shown = _image(first, folder)
        samples.append(Sample(turns, shown, independent, frames=media.frames(first), sound=media.sound(first)))
    media.say_cut(say)
    return samples


def that_can_be_shown(samples: Sequence[Sample], family: Family, say: Callable[[str], None]) -> list[Sample]:
    """Samples without those whose image size the model does not accept; `say` receives their number. Raises
    `InputError` if none is left.
    """
    if type(family).refuses_size is Family.refuses_size:
        return list(samples)
    reasons: dict[Path, str | None] = {}
    for path in dict.fromkeys(sample.image for sample in samples if sample.image is not None):
        with contextlib.suppress(OSError, ValueError), Image.open(path) as image:
            reasons[path] = family.refuses_size(*image.size)
    refused = [sample for sample in samples if sample.image is not None and reasons.get(sample.image)]
    if not refused:
        return list(samples)
    first = refused[0]
    assert first.image is not None
    say(f"{len(refused)} items left out: their pictures cannot be shown, e.g. {first.key}: {reasons[first.image]}")
    if len(refused) == len(samples):
        raise InputError("no picture can be shown to the model", file=first.image, record=first.key)
    return [sample for sample in samples if sample.image is None or not reasons.get(sample.image)]


def _turn(item: Item, clip: Clip | None, folder: Path | None, suffix: str) -> Turn:
    return Turn(
        item=item,
        text=query_text(item, suffix=suffix == "spoken"),
        clip=folder / clip.path if clip is not None and folder is not None else None,
        num_samples=clip.num_samples if clip is not None else 0,
        spoken=clip.spoken if clip is not None else None,
        suffix=item.suffix.strip() if suffix == "text" else "",
    )


def _image(item: Item, folder: Path) -> Path | None:
    return resolve(folder, item.image) if item.image is not None else None


@dataclass
class _Media:
    """Prepares sounds and frames of items if a view needs them; `cut` names items whose sound is cut."""

    folder: Path
    views: Collection[View]
    choice: FrameChoice
    longest_s: float = SOUND_S
    cut: list[str] = field(default_factory=list)

    def frames(self, item: Item) -> tuple[Path, ...]:
        """Silent frames of the item's video; none without one."""
        if item.video is None or not self._shown("video"):
            return ()
        with about(item.id):
            return tuple(frame_files(resolve(self.folder, item.video), self.choice))

    def sound(self, item: Item) -> Sound | None:
        """The item's sound, up to the length that is heard."""
        if not self._shown(*HEARD) or (path := sound_of(item, self.folder)) is None:
            return None
        with about(item.id):
            length, longest = _num_samples(path), round(self.longest_s * SAMPLE_RATE_HZ)
        if length > longest:
            self.cut.append(item.id)
        return Sound(path, min(length, longest))

    def say_cut(self, say: Callable[[str], None]) -> None:
        """Report the sounds that are cut, if there are any."""
        if self.cut:
            longer = f"longer than {self.longest_s:g} s"
            ends = (f"sound is {longer} and ends", f"sounds are {longer} and end")
            say(f"{counted(len(self.cut), *ends)} there, e.g. that of {self.cut[0]}")

    def _shown(self, *contexts: str) -> bool:
        return any(view_spec(view).context in contexts for view in self.views)


def _num_samples(path: Path) -> int:
    """The length of a sound file at 16 kHz, from its header."""
    try:
        header = soundfile.info(os.fsencode(path))
    except soundfile.LibsndfileError as error:
        raise InputError(f"not readable as audio: {error.error_string}", file=path) from None
    check_rate(header.samplerate, path)
    return resampled_length(header.frames, header.samplerate)


def _clips(folder: Path) -> dict[str, Clip]:
    return {clip.item: clip for clip in read_clips(folder).clips}
