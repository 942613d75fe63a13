"""A decoder's inputs for a spoken question, and for the same question typed.

Shapes: T tokens of a clip, W tokens of its text, H width, C clips of the batch, N response tokens of the batch.
"""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor, nn

from earwise.models.batch import Pass
from earwise.models.ears import Ears


@dataclass
class ClipInputs:
    """Embeddings of clips and of their text."""

    speech: list[Tensor]
    """(T, H) output of the ears for each clip, without the learned markers around it."""
    text: list[Tensor]
    """(W, H) input embeddings of each clip's typed text."""
    rows: list[int]
    """The sample that each clip belongs to. A sample may have several clips, or none."""
    responses: Tensor
    """(N,) the sample that each response token belongs to."""


def clip_inputs(view: Pass, embeds: Tensor, embed: nn.Module, ears: nn.Module | None) -> ClipInputs:
    """The spoken questions of `view`, from its input embeddings (B, L, H); `embed` embeds typed tokens."""
    mark = 1 if isinstance(ears, Ears) and ears.markers is not None else 0
    return ClipInputs(
        speech=[embeds[clip.row, clip.start + mark : clip.stop - mark] for clip in view.spoken],
        text=[embed(clip.words.to(view.ids.device)) for clip in view.spoken],
        rows=[clip.row for clip in view.spoken],
        responses=view.predicts.nonzero()[:, 0],
    )
