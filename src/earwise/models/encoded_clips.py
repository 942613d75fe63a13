"""States of a frozen audio encoder: each clip is encoded once, however often it is drawn.

Shapes: S states of a clip (50 per second), E encoder width.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn

from earwise.models.kept import digest_of, kept_by

LIMIT_BYTES = 1 << 30
"""Memory that the states of one encoder may take: twelve hours of speech for an encoder of width 128."""

Encode = Callable[[Sequence[Tensor]], Tensor]
"""(B, S, E) states of waveforms."""


class EncodedClips:
    """What a frozen encoder makes of clips, which are known by their samples.

    The weights of `encoder` must not change from here on.
    """

    def __init__(self, encoder: nn.Module) -> None:
        self._kept = kept_by(digest_of(encoder.state_dict()), LIMIT_BYTES)

    def __call__(self, waveforms: Sequence[Tensor], encode: Encode) -> Tensor:
        """(B, longest S, E) float32 states of `waveforms` on the CPU, without a gradient; `encode` makes those that
        are not known.

        A clip is encoded alone, so its states do not depend on which other ones were known: a resumed training
        computes what an uninterrupted one does.
        """
        rows = [self._states(waveform, encode) for waveform in waveforms]
        return nn.utils.rnn.pad_sequence(rows, batch_first=True)

    @torch.no_grad()
    def _states(self, waveform: Tensor, encode: Encode) -> Tensor:
        """(S, E) in float32, whatever the precision of the pass that asks first."""

        def make() -> tuple[Tensor]:
            with torch.autocast("cuda" if torch.cuda.is_available() else "cpu", enabled=False):
                return (encode([waveform])[0].cpu(),)

        return self._kept(digest_of({"waveform": waveform}), make)[0]
