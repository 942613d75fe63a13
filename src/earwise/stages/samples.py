"""Items and clips together as the samples that models are shown."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from earwise.data.media import resolve
from earwise.data.prompts import query_text
from earwise.models.views import Sample, Turn
from earwise.records import Clip, Item
from earwise.speech.clips import read_clips


def sample_items(
    items: Iterable[Item],
    folder: Path,
    clips: Path | None,
    say: Callable[[str], None],
    *,
    suffix: str = "none",
) -> list[Sample]:
    """One single-turn sample per item; items whose clip was dropped are left out and counted.

    Args:
        items: with media paths relative to `folder`.
        folder: holds the item file.
        clips: folder that `make_clips` filled; None for samples without speech.
        say: told how many items were left out, and why.
        suffix: how the answer-format request is given: `none`, `text` (typed) or `spoken`.
    """
    spoken = _clips(clips) if clips is not None else {}
    samples, silent = [], 0
    for item in items:
        clip = spoken.get(item.id)
        if clips is not None and clip is None:
            silent += 1
            continue
        samples.append(Sample((_turn(item, clip, clips, suffix),), _image(item, folder)))
    if silent:
        say(f"{silent} items left out: they have no clip (reasons in {clips})")
    return samples


def conversations(items: Sequence[Item], folder: Path, *, independent: bool = False) -> list[Sample]:
    """All questions about one image as one sample, in the order of the file; typed only.

    `independent` turns do not see one another (`Sample.independent`).
    """
    groups: dict[str, list[Item]] = {}
    for item in items:
        groups.setdefault(item.cluster, []).append(item)
    return [
        Sample(tuple(_turn(item, None, None, "none") for item in group), _image(group[0], folder), independent)
        for group in groups.values()
    ]


def _turn(item: Item, clip: Clip | None, folder: Path | None, suffix: str) -> Turn:
    return Turn(
        item=item,
        text=query_text(item, suffix=suffix == "spoken"),
        clip=folder / clip.path if clip is not None and folder is not None else None,
        num_samples=clip.num_samples if clip is not None else 0,
        suffix=item.suffix.strip() if suffix == "text" else "",
    )


def _image(item: Item, folder: Path) -> Path | None:
    return resolve(folder, item.image) if item.image is not None else None


def _clips(folder: Path) -> dict[str, Clip]:
    return {clip.item: clip for clip in read_clips(folder).clips}


def voices_used(folder: Path) -> Counter[str]:
    """How many clips of `folder` each voice speaks."""
    return Counter(clip.voice for clip in read_clips(folder).clips)
