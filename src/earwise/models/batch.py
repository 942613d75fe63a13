"""Batches of layouts as tensors: one `Pass` per view, and the `Pass` of the prefix that the views share.

Shapes: B samples, L tokens (right-padded), D position dimensions, P prefix tokens, N response tokens of the batch.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import accumulate, pairwise
from pathlib import Path
from typing import Self

import torch
from torch import Tensor

from earwise.data.media import MAX_CLIP_S, load_audio
from earwise.errors import InputError
from earwise.models.families.base import Family, ImageInput
from earwise.models.layout import AUDIO_ID, Layout, Media
from earwise.models.prefix import shared_prefix
from earwise.records import SAMPLE_RATE_HZ

MIN_PREFIX = 16
"""A shorter prefix is not split off, because two short passes cost more than one. Measured on narrow models of 5 and 24
layers (docs/results/step.md)."""


@dataclass(frozen=True)
class Spoken:
    """A spoken question of a pass."""

    row: int
    """Row of the batch."""
    start: int
    stop: int
    """The placeholders are the tokens `start:stop` of the row."""
    words: Tensor
    """(W,) ids of the typed question."""


@dataclass
class Pass:
    """Tokens that go through the decoder together."""

    ids: Tensor
    """(B, L) token ids; placeholders of media hold 0."""
    mask: Tensor
    """(B, L) True where there is a token."""
    positions: Tensor
    """(D, B, L) position ids."""
    segments: Tensor | None
    """(B, L) number of the token's independent turn, or 0 if all turns see it; None without such turns."""
    predicts: Tensor
    """(B, L) True where the next token is a response token."""
    targets: Tensor
    """(N,) the response tokens, row after row."""
    starts: Tensor
    """(B,) number of tokens of each row in the prefix."""
    image_mask: Tensor
    audio_mask: Tensor
    images: list[ImageInput]
    waveforms: list[Tensor]
    spoken: list[Spoken]

    @property
    def turns(self) -> Tensor:
        """(N,) number, from 0, of the response of the batch that each token of `targets` belongs to."""
        begins = self.predicts & ~torch.nn.functional.pad(self.predicts, (1, -1))
        return begins[self.predicts].cumsum(0) - 1

    def row(self, number: int) -> Pass:
        """Row `number` without padding, clips and spoken questions."""
        tokens = slice(0, int(self.mask[number].sum()))
        placeholders = self.image_mask.sum(1)
        first = int(placeholders[:number].sum())
        last = first + int(placeholders[number])
        ends = list(accumulate(image.num_tokens for image in self.images))
        one = slice(number, number + 1)
        return replace(
            self,
            ids=self.ids[one, tokens],
            mask=self.mask[one, tokens],
            positions=self.positions[:, one, tokens],
            segments=None if self.segments is None else self.segments[one, tokens],
            predicts=self.predicts[one, tokens],
            targets=self.targets[:0],
            starts=self.starts[one],
            image_mask=self.image_mask[one, tokens],
            audio_mask=self.audio_mask[one, tokens],
            images=[image for image, end in zip(self.images, ends, strict=True) if first < end <= last],
            waveforms=[],
            spoken=[],
        )

    def to(self, device: torch.device | str) -> Self:
        """Move all tensors except media, which move when they are encoded."""
        for name, value in vars(self).items():
            if isinstance(value, Tensor):
                setattr(self, name, value.to(device))
        return self


def joined(rows: Sequence[Pass]) -> Pass:
    """Join rows of one length, from `Pass.row`, in one pass."""

    def together(name: str, dim: int = 0) -> Tensor:
        return torch.cat([getattr(row, name) for row in rows], dim)

    return replace(
        rows[0],
        ids=together("ids"),
        mask=together("mask"),
        predicts=together("predicts"),
        starts=together("starts"),
        image_mask=together("image_mask"),
        audio_mask=together("audio_mask"),
        positions=together("positions", 1),
        images=[image for row in rows for image in row.images],
    )


@dataclass
class ViewBatch:
    """Several views of the same samples, and their shared prefix."""

    views: dict[str, Pass]
    prefix: Pass | None

    def to(self, device: torch.device | str) -> Self:
        """Move everything to `device`. `Trainer` calls it."""
        for part in (*self.views.values(), *([self.prefix] if self.prefix else [])):
            part.to(device)
        return self


def collate(
    layouts: Mapping[str, Sequence[Layout]], family: Family, *, share_prefix: bool, with_audio: bool = False
) -> ViewBatch:
    """Tensors for `layouts[view][sample]`. With `share_prefix`, each sample's common start becomes the prefix pass.
    `with_audio` allows clips in it, when no ears are trained.
    """
    rows = list(zip(*layouts.values(), strict=True))
    share_prefix = share_prefix and not any(layout.starts for row in rows for layout in row)
    starts = [shared_prefix(row, with_audio=with_audio) if share_prefix else 0 for row in rows]
    if max(starts) < MIN_PREFIX:
        starts = [0] * len(rows)
    media = _Waveforms()
    views = {name: _pass(list(column), starts, None, family, media) for name, column in layouts.items()}
    _check_same_response(views)
    prefix = None
    if max(starts) > 0:
        prefix = _pass([row[0] for row in rows], [0] * len(rows), starts, family, media)
    return ViewBatch(views, prefix)


@dataclass
class MixedRows:
    """Prompts of unlike samples and views, answered together."""

    rows: Pass
    prefix: Pass | None
    """The common starts of groups of rows, one row per group; None if nothing is shared."""
    group: Tensor
    """(B,) the row of `prefix` that each row continues."""

    @property
    def mask(self) -> Tensor:
        """(B, P + L) True where prefix or prompt has a token."""
        return self.rows.mask if self.prefix is None else torch.cat([self.prefix.mask[self.group], self.rows.mask], 1)

    def to(self, device: torch.device | str) -> Self:
        """Move everything to `device`."""
        for part in (self.rows, *([self.prefix] if self.prefix is not None else [])):
            part.to(device)
        self.group = self.group.to(device)
        return self


def collate_mixed(layouts: Sequence[Layout], family: Family) -> MixedRows:
    """Tensors for prompts that have nothing in common but their model. Prompts that begin with the same picture share
    their start, whatever is asked about it, where the family allows a shared prefix.
    """
    groups: dict[object, list[int]] = {}
    for number, layout in enumerate(layouts):
        first = layout.media[0] if layout.media and layout.media[0].kind == "image" else None
        groups.setdefault(number if first is None else (first.source, first.start), []).append(number)
    group, stops = torch.zeros(len(layouts), dtype=torch.long), [0] * len(groups)
    for place, rows in enumerate(groups.values()):
        group[rows] = place
        if len(rows) > 1 and family.no_shared_prefix is None:
            stops[place] = shared_prefix([layouts[row] for row in rows], with_audio=True)
    media = _Waveforms()
    if max(stops) < MIN_PREFIX:
        return MixedRows(_pass(layouts, [0] * len(layouts), None, family, media), None, group)
    prefix = _pass([layouts[rows[0]] for rows in groups.values()], [0] * len(groups), stops, family, media)
    return MixedRows(_pass(layouts, [stops[place] for place in group.tolist()], None, family, media), prefix, group)


class _Waveforms:
    """Reads each clip once per batch, however many views play it."""

    def __init__(self) -> None:
        self._known: dict[tuple[Path, float], Tensor] = {}

    def of(self, medium: Media) -> Tensor:
        """The clip, or at least as much of a longer sound as is heard."""
        seconds = max(float(MAX_CLIP_S), medium.num_samples / SAMPLE_RATE_HZ)
        key = medium.source, seconds
        if key not in self._known:
            self._known[key] = torch.from_numpy(load_audio(medium.source, at_most_s=seconds))
        return self._known[key]


def _pass(
    layouts: Sequence[Layout], starts: list[int], stops: list[int] | None, family: Family, waveforms: _Waveforms
) -> Pass:
    """The tokens `start:stop` of each layout, right-padded. Media are cut whole: a prefix never ends inside one."""
    stops = stops or [len(layout) for layout in layouts]
    length = max(1, *(stop - start for start, stop in zip(starts, stops, strict=True)))
    shape = (len(layouts), length)
    ids = torch.zeros(shape, dtype=torch.long)
    mask, predicts, image_mask, audio_mask = (torch.zeros(shape, dtype=torch.bool) for _ in range(4))
    position_rows: list[Tensor] = []
    targets: list[int] = []
    images: list[ImageInput] = []
    clips: list[Tensor] = []
    spoken: list[Spoken] = []
    for b, (layout, start, stop) in enumerate(zip(layouts, starts, stops, strict=True)):
        count = stop - start
        row = torch.tensor(layout.ids[start:stop], dtype=torch.long)
        ids[b, :count] = row.masked_fill(row == AUDIO_ID, 0)
        mask[b, :count] = True
        positions = _positions(layout, family)
        position_rows.append(torch.nn.functional.pad(positions[:, start:stop], (0, length - count)))
        for medium in layout.media:
            if start <= medium.start and medium.stop <= stop:
                where = audio_mask if medium.kind == "audio" else image_mask
                where[b, [place - start for place in medium.places]] = True
                _take(medium, images, clips, waveforms)
                if medium.words:
                    words = torch.tensor(medium.words)
                    spoken.append(Spoken(b, medium.start - start, medium.stop - start, words))
        response = [i for i in layout.response if start < i < stop]
        predicts[b, [i - start - 1 for i in response]] = True
        targets.extend(layout.ids[i] for i in response)
    return Pass(
        ids=ids,
        mask=mask,
        positions=torch.stack(position_rows, dim=1),
        segments=_segments(layouts, length),
        predicts=predicts,
        targets=torch.tensor(targets, dtype=torch.long),
        starts=torch.tensor(starts),
        image_mask=image_mask,
        audio_mask=audio_mask,
        images=images,
        waveforms=clips,
        spoken=spoken,
    )


def _positions(layout: Layout, family: Family) -> Tensor:
    """(D, L) position ids; every independent turn starts at the position of the first one."""
    if not layout.starts:
        return family.positions(layout)
    edges = [*layout.starts, len(layout)]
    shared = family.positions(replace(layout, ids=layout.ids[: edges[0]], starts=()))
    begin = int(shared.max()) + 1 if edges[0] else 0
    turns = torch.cat([torch.arange(begin, begin + stop - start) for start, stop in pairwise(edges)])
    return torch.cat([shared, turns.expand(shared.shape[0], -1)], dim=1)


def _segments(layouts: Sequence[Layout], length: int) -> Tensor | None:
    if not any(layout.starts for layout in layouts):
        return None
    rows = [torch.tensor(layout.segments) for layout in layouts]
    return torch.stack([torch.nn.functional.pad(row, (0, length - len(row))) for row in rows])


def _take(medium: Media, images: list[ImageInput], clips: list[Tensor], waveforms: _Waveforms) -> None:
    if medium.kind == "audio":
        clips.append(_heard(medium, waveforms))
    elif medium.image is not None:
        images.append(medium.image)


def _heard(medium: Media, waveforms: _Waveforms) -> Tensor:
    if medium.heard == "silence":
        return torch.zeros(medium.num_samples)
    waveform = waveforms.of(medium)
    if medium.heard == "sound":
        waveform = waveform[: medium.num_samples]
    if len(waveform) != medium.num_samples:
        what = f"the {medium.heard} has {len(waveform)} samples, its record says {medium.num_samples}"
        raise InputError(what, file=medium.source, remedy=f"make the {medium.heard} again")
    return waveform


def _check_same_response(views: Mapping[str, Pass]) -> None:
    """Views are compared token by token, so their responses must have the same ids."""
    (name, first), *others = views.items()
    for other, view in others:
        if not torch.equal(first.targets, view.targets):
            raise AssertionError(f"views {name!r} and {other!r} have different response ids")
