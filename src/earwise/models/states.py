"""What one pass through a model is asked for, and what it returns.

Shapes: H width, N response tokens of a batch, A audio positions, K decoder layers + 1.
"""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from typing import Any

from torch import Tensor

from earwise.models.clip_inputs import ClipInputs
from earwise.models.ears import Ears
from earwise.models.families import OwnEars
from earwise.models.image_attention import AttentionAsk, ImageAttention

Hearing = Ears | OwnEars
"""What turns clips into embeddings."""


@dataclass(frozen=True)
class Wants:
    """The states that one pass must return. `a | b` asks for both: each field supports `|`, or is None for nothing."""

    hidden: bool = True
    """Whether `States.hidden` is read. A server, which returns only likely words, can teach without it
    (`distil.server_teacher`)."""
    layers: frozenset[int] = frozenset()
    """Numbers, from 1, of the layers of `States.layers` that are read."""
    audio: bool = False
    """Whether `States.audio` is read."""
    inputs: bool = False
    """Whether `States.inputs` is read."""
    attention: AttentionAsk | None = None
    """The part of `States.attention` that is read."""

    @property
    def of_decoder(self) -> bool:
        """Whether the decoder must run; `inputs` alone needs only its input embeddings."""
        return self != Wants(hidden=False, inputs=self.inputs)

    def __or__(self, other: Wants) -> Wants:
        return Wants(**{f.name: _either(getattr(self, f.name), getattr(other, f.name)) for f in fields(self)})


def _either(one: Any, other: Any) -> Any:
    if one is None or other is None:
        return other if one is None else one
    return one | other


@dataclass(frozen=True)
class Ask:
    """How one pass is computed, and what it returns."""

    wants: Wants = Wants()
    learn: bool = False
    """Whether gradients flow through the pass."""
    ears: Hearing | None = None
    """Used in place of the model's own ears, for example a snapshot of them."""


@dataclass
class AudioStates:
    """States of one view at the positions of clips and sounds."""

    layers: Tensor
    """(K, A, H) every layer's output at the A audio positions of the batch, row after row, as in `States.layers`."""
    rows: Tensor
    """(A,) the sample that each audio position belongs to."""
    responses: Tensor
    """(N,) the sample that each response token belongs to."""


@dataclass
class States:
    """States of one view of a batch at the positions that predict response tokens."""

    hidden: Tensor
    """(N, H) after the final norm; times the head gives logits."""
    layers: Tensor | None
    """(K, N, H) every layer's output, embeddings first, the last one after the final norm; None unless asked for."""
    targets: Tensor
    """(N,) the response tokens."""
    audio: AudioStates | None = None
    """None unless asked for, and for a view without clips or sounds."""
    aided: dict[str, Tensor] = field(default_factory=dict)
    """Outputs of the modules in `OmniModel.aids` for `layers`; only of passes with gradients."""
    turns: Tensor | None = None
    """(N,) number, from 0, of each token's response in the batch; None where no `Pass` was run."""
    attention: ImageAttention | None = None
    inputs: ClipInputs | None = None
    """Both None unless asked for."""
