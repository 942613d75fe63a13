"""What can be asked of one pass through a model, and what it answers.

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
    """What is wanted of one pass. `a | b` serves both: every field has a type with `|`, or is None for nothing."""

    hidden: bool = True
    """Whether `States.hidden` is needed; where it is not, words that a server lists serve as well
    (`distil.server_teacher`)."""
    layers: frozenset[int] = frozenset()
    """Numbers, from 1, of the layers that are read in `States.layers`."""
    audio: bool = False
    """Whether `States.audio` is read."""
    inputs: bool = False
    """Whether `States.inputs` is read."""
    attention: AttentionAsk | None = None
    """What is read of `States.attention`."""

    @property
    def of_decoder(self) -> bool:
        """Whether anything is wanted that the decoder makes, and not only what goes into it."""
        return self != Wants(hidden=False, inputs=self.inputs)

    def __or__(self, other: Wants) -> Wants:
        """What serves both."""
        return Wants(**{one.name: _either(getattr(self, one.name), getattr(other, one.name)) for one in fields(self)})


def _either(one: Any, other: Any) -> Any:
    if one is None or other is None:
        return other if one is None else one
    return one | other


@dataclass(frozen=True)
class Ask:
    """How one pass is computed, and what is wanted of it."""

    wants: Wants = Wants()
    learn: bool = False
    """Whether gradients flow through it."""
    ears: Hearing | None = None
    """What it is heard with in place of the model's own ears, such as a snapshot of them."""


@dataclass
class AudioStates:
    """What one view yields at the positions of clips and sounds."""

    layers: Tensor
    """(K, A, H) every layer's output at the A audio positions of the batch, row after row, as in `States.layers`."""
    rows: Tensor
    """(A,) the sample that each audio position belongs to."""
    responses: Tensor
    """(N,) the sample that each response token belongs to."""


@dataclass
class States:
    """What one view of a batch yields at the positions that predict response tokens."""

    hidden: Tensor
    """(N, H) after the final norm: multiply with the head for logits."""
    layers: Tensor | None
    """(K, N, H) every layer's output, embeddings first, the last one after the final norm; None unless asked for."""
    targets: Tensor
    """(N,) the response tokens."""
    audio: AudioStates | None = None
    """None unless asked for, and for a view that lets nothing be heard."""
    aided: dict[str, Tensor] = field(default_factory=dict)
    """What the modules in `OmniModel.aids` make of `layers`; of views that are learned from."""
    turns: Tensor | None = None
    """(N,) which response of the batch each token belongs to, counted from 0; of the model's own passes."""
    attention: ImageAttention | None = None
    inputs: ClipInputs | None = None
    """Both None unless asked for."""
