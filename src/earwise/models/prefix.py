"""The leading tokens that several views of one sample share."""

from __future__ import annotations

from collections.abc import Sequence

from earwise.models.layout import Layout, Media


def shared_prefix(layouts: Sequence[Layout], *, with_audio: bool) -> int:
    """Length of the longest common start of all `layouts` that can be computed once.

    Ids and media must agree, and no media run is cut. The prefix ends before the token that predicts the first
    response, because every view needs that token's hidden state. Without `with_audio` it also ends before the first
    clip: ears in training need a gradient through everything after it.
    """
    limit = min(layout.prompt_stop for layout in layouts) - 1
    first = layouts[0]
    length = 0
    while length < limit and all(layout.ids[length] == first.ids[length] for layout in layouts):
        length += 1
    for layout in layouts:
        for n, medium in enumerate(layout.media):
            same = all(n < len(other.media) and _identity(medium) == _identity(other.media[n]) for other in layouts)
            if medium.start < length and (
                not same or medium.stop > length or (medium.kind == "audio" and not with_audio)
            ):
                length = medium.start
    return max(length, 0)


def _identity(medium: Media) -> tuple[object, ...]:
    """Everything that a medium's features and place depend on."""
    return medium.kind, medium.source, medium.start, medium.stop, medium.heard, medium.num_samples
