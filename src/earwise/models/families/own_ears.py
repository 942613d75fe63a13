"""The audio tower of a base that hears natively, used in place of `Ears`.

Most towers are Whisper's encoder with states averaged two by two: one token every 40 ms.

Shapes: B clips, M mel bins, F frames (100 per second), H language-model width, T tokens of a clip.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar, Literal

import torch
from safetensors.torch import load_file
from torch import Tensor, nn
from transformers import PreTrainedModel, WhisperFeatureExtractor

from earwise.errors import InputError
from earwise.io.loading import fill
from earwise.models.mel import HOP
from earwise.models.saving import EARS, read_description, save_description, save_tensors
from earwise.records import SAMPLE_RATE_HZ

TrainedPart = Literal["none", "projector", "tower"]
"""The trained part of a base's own ears: nothing, the projection into the language model, or the whole tower."""


class OwnEars(nn.Module, ABC):
    """Waveforms to embeddings, through modules that belong to the base. Subclasses write `forward`.

    Only the trained modules (`train_part`) are registered here, so that `requires_grad_`, `parameters` and
    `state_dict` leave the rest of the base alone.

    Args:
        tower: the base's audio tower.
        projector: its last projection, inside the tower or behind it.
        extractor: the base's feature extractor. It sets the mel bins and the longest clip.
    """

    longest_s: ClassVar[float | None] = None
    """Longest clip in seconds; None for the length that the extractor fills up to."""

    def __init__(self, tower: PreTrainedModel, projector: nn.Module, extractor: WhisperFeatureExtractor) -> None:
        super().__init__()
        inside = any(module is projector for module in tower.modules())
        self.extractor = extractor
        # A tuple keeps them from being registered; deepcopy still copies them.
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
        """Choose the trained part and make it float32. As with other ears, `requires_grad_` starts the training."""
        self.trained.requires_grad_(False)
        self.part, self.trained = part, nn.ModuleList(self._parts[part]).float()

    @abstractmethod
    def forward(self, waveforms: Sequence[Tensor]) -> Tensor:
        """(sum of T, H) embeddings, clip after clip. `waveforms` are float32 vectors at 16 kHz."""

    def num_tokens(self, num_samples: int) -> int:
        """T for a clip of `num_samples` samples; raises `InputError` for a clip that is too long or too short."""
        seconds, longest = num_samples / SAMPLE_RATE_HZ, self.longest_s or self.extractor.n_samples / SAMPLE_RATE_HZ
        if seconds > longest:
            raise InputError(f"a clip of {seconds:.1f} s is longer than {longest:g} s", remedy="cut the clip")
        tokens = self.tokens_of(num_samples)
        if tokens < 1:
            raise InputError(f"a clip of {seconds:.3f} s is too short to be heard", remedy="make the clip again")
        return tokens

    def spectrogram(self, waveform: Tensor, **options: Any) -> Tensor:
        """(M, F) of one clip as the published extractor makes it, in float32 in every pass."""
        with torch.autocast("cpu", enabled=False):
            made = self.extractor(
                waveform.numpy(), sampling_rate=SAMPLE_RATE_HZ, padding="longest", truncation=False,
                return_tensors="pt", **options,
            )  # fmt: skip
        features: Tensor = made["input_features"][0]
        return features

    @property
    def window(self) -> int:
        """Number of encoder states that attend to one another; 0 where a clip's do all."""
        return int(getattr(self._own[0].config, "n_window", 0))

    def states_of(self, num_samples: int) -> int:
        """Number of encoder states that are computed for a clip."""
        return num_states(num_samples)

    def tokens_of(self, num_samples: int) -> int:
        """T for a clip of any length: one token every 40 ms."""
        return (num_states(num_samples) - 2) // 2 + 1

    def save(self, folder: Path, *, base: str, revision: str | None) -> None:
        """Write `ears.json`, which names the base, and the trained weights as `ears.safetensors`."""
        save_tensors(self.trained.state_dict(), folder / "ears.safetensors")
        save_description({"base": base, "revision": revision, "own": self.part}, folder / EARS)

    def load(self, folder: Path) -> None:
        """Load what `save` wrote into the base's tower."""
        self.train_part(read_description(folder)["own"])
        fill(self.trained, load_file(folder / "ears.safetensors"), folder / "ears.safetensors")


def _in_its_own_precision(module: nn.Module, inputs: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
    """Cast the outputs of a tower of lower precision for a float32 projector."""
    return tuple(value.to(next(module.parameters()).dtype) for value in inputs)


def num_frames(num_samples: int) -> int:
    """F of a clip."""
    return -(-num_samples // HOP)


def num_states(num_samples: int) -> int:
    """Number of a clip's encoder states; the second convolution halves the frames."""
    return (num_frames(num_samples) - 1) // 2 + 1
