"""How a base hears that hears natively: through its own audio tower, in the place of `Ears`.

Both towers here are Whisper's encoder with its states averaged two by two: one token each 40 ms.

Shapes: B clips, M mel bins, F frames (100 per second), H language-model width, T tokens of a clip.
"""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from transformers import PreTrainedModel, WhisperFeatureExtractor

from earwise.errors import InputError
from earwise.io.loading import fill
from earwise.models.mel import HOP
from earwise.records import SAMPLE_RATE_HZ

TrainedPart = Literal["none", "projector", "tower"]
"""What of a base's own ears is trained: nothing, the projection into the language model, or all of the tower."""


class OwnEars(nn.Module, ABC):
    """Waveforms to embeddings, through modules that belong to the base. Subclasses write `forward`.

    Registered here are only the modules that are trained (`train_part`), so that `requires_grad_`, `parameters` and
    `state_dict` mean these and leave the rest of the base alone.

    Args:
        tower: the base's audio tower.
        projector: its last projection, inside the tower or behind it.
        extractor: the base's feature extractor: mel bins, and how long a clip may be.
    """

    def __init__(self, tower: PreTrainedModel, projector: nn.Module, extractor: WhisperFeatureExtractor) -> None:
        super().__init__()
        inside = any(module is projector for module in tower.modules())
        self.extractor = extractor
        # In a tuple modules are not registered, and are still copied with this one.
        self._own: tuple[Any, nn.Module] = (tower, projector)
        self._parts: dict[TrainedPart, list[nn.Module]] = {
            "none": [],
            "projector": [projector],
            "tower": [tower] if inside else [tower, projector],
        }
        self.part: TrainedPart = "none"
        self.trained = nn.ModuleList()
        projector.register_forward_pre_hook(_in_its_own_precision)

    @property
    def modules_of_base(self) -> tuple[Any, nn.Module]:
        """The tower and its last projection."""
        return self._own

    def train_part(self, part: TrainedPart) -> None:
        """Choose what is trained: in float32, whatever the base is in. `requires_grad_` begins it, as in other ears."""
        self.trained.requires_grad_(False)
        self.part, self.trained = part, nn.ModuleList(self._parts[part]).float()

    @abstractmethod
    def forward(self, waveforms: Sequence[Tensor]) -> Tensor:
        """(sum of T, H) embeddings, clip after clip. `waveforms` are float32 vectors at 16 kHz."""

    def num_tokens(self, num_samples: int) -> int:
        """T for a clip of `num_samples` samples: one token each 40 ms of its real length."""
        seconds, longest = num_samples / SAMPLE_RATE_HZ, self.extractor.n_samples / SAMPLE_RATE_HZ
        if seconds > longest:
            raise InputError(f"a clip of {seconds:.1f} s is longer than {longest:g} s", remedy="cut the clip")
        tokens = (num_states(num_samples) - 2) // 2 + 1
        if tokens < 1:
            raise InputError(f"a clip of {seconds:.3f} s is too short to be heard", remedy="make the clip again")
        return tokens

    def save(self, folder: Path, *, base: str, revision: str | None) -> None:
        """Write `ears.json` and, in `ears.safetensors`, what was trained, with the base that it belongs to."""
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / "ears.safetensors"
        try:
            save_file({k: v.contiguous() for k, v in self.trained.state_dict().items()}, path)
        except SafetensorError as error:
            raise InputError(f"cannot write: {error}", file=path, remedy="make room, then run again") from error
        described = {"base": base, "revision": revision, "own": self.part}
        (folder / "ears.json").write_text(json.dumps(described, indent=2) + "\n", encoding="utf-8")

    def load(self, folder: Path) -> None:
        """Put what `save` wrote into the base's tower."""
        self.train_part(read_description(folder)["own"])
        fill(self.trained, load_file(folder / "ears.safetensors"), folder / "ears.safetensors")


def _in_its_own_precision(module: nn.Module, inputs: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
    """Cast what comes into a float32 projector out of a tower of less precision."""
    return tuple(value.to(next(module.parameters()).dtype) for value in inputs)


def read_description(folder: Path) -> dict[str, Any]:
    """What `save` said of the ears in `folder`: their `base` and `revision`; `own` only of a base's own ears."""
    described = folder / "ears.json"
    if not described.is_file():
        raise InputError("no ears.json", file=folder, remedy="give a folder that save_ears wrote")
    fields: dict[str, Any] = json.loads(described.read_text(encoding="utf-8"))
    return fields


def num_frames(num_samples: int) -> int:
    """F of a clip: mel frames that hold some of it."""
    return -(-num_samples // HOP)


def num_states(num_samples: int) -> int:
    """Encoder states of a clip: the second convolution halves the frames."""
    return (num_frames(num_samples) - 1) // 2 + 1


def frames_of(waveforms: Sequence[Tensor], device: torch.device) -> Tensor:
    """(B,) `num_frames` of each waveform."""
    return torch.tensor([num_frames(len(waveform)) for waveform in waveforms], device=device)
