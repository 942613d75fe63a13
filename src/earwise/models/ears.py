"""Ears: what is added to a vision-language model so that it can hear.

A Whisper encoder run at each clip's real length, frames stacked, an MLP projector into the language model's embedding
space, and learned vectors that mark where speech begins and ends (Self-KD, arXiv 2503.00059, section 4 and appendix
A; down-sampling and markers are not published and are ours to decide).

Shapes: B clips, M mel bins, P bucket frames, E encoder width, H language-model width, T tokens of a clip.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Literal

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from earwise.errors import InputError
from earwise.io.loading import fill
from earwise.models.encoded_clips import EncodedClips
from earwise.models.mel import HOP, bucket_frames, log_mels
from earwise.models.whisper import FRAMES_PER_STATE, draw_weights, encode, mel_extractor, new_encoder, read_encoder

MAX_SECONDS = 30
"""Whisper's position table ends here."""


@dataclass(frozen=True)
class EarsConfig:
    """Everything that is needed to rebuild ears, beside their weights."""

    encoder: dict[str, Any]
    """A `WhisperConfig` as a dict."""
    width: int
    """H of the language model that the ears belong to."""
    stack: int = 5
    """Encoder states per token: 5 states of 20 ms are one token each 100 ms."""
    hidden: int = 512
    """Width of the projector's hidden layer."""
    markers: bool = True
    """Whether learned begin and end vectors surround a clip."""


class Ears(nn.Module):
    """Waveforms to embeddings of the language model. Batch-invariant: a clip's output does not depend on its
    neighbours.
    """

    def __init__(self, config: EarsConfig) -> None:
        super().__init__()
        self.config = config
        self.encoder = new_encoder(config.encoder)
        stacked = config.stack * self.encoder.config.d_model
        self.projector = nn.Sequential(
            nn.LayerNorm(stacked), nn.Linear(stacked, config.hidden), nn.GELU(), nn.Linear(config.hidden, config.width)
        )
        self.markers = nn.Parameter(torch.randn(2, config.width) * 0.02) if config.markers else None
        self.extractor = mel_extractor(self.encoder)
        self.frozen_layers = 0
        """Of the encoder, from the first one on (`freeze_encoder`)."""
        self._encoded: EncodedClips | None = None

    def freeze_encoder(self, layers: int | Literal["all"]) -> None:
        """Train the convolutions and the first `layers` layers of the encoder no more, or none of the encoder: what
        they make of a clip is computed once from here on, however often it is heard. 0 freezes nothing.

        Raises `InputError` if the encoder has fewer layers.
        """
        encoder, depth = self.encoder, len(self.encoder.layers)
        if layers != "all" and layers > depth:
            raise InputError(f"{layers} layers cannot be frozen: the encoder has {depth}", remedy="freeze fewer")
        self.frozen_layers = depth if layers == "all" else layers
        self._encoded = EncodedClips(encoder, self.frozen_layers) if self.frozen_layers else None
        if self.frozen_layers:
            beginning = (encoder.conv1, encoder.conv2, encoder.embed_positions, *encoder.layers[: self.frozen_layers])
            for part in (encoder,) if layers == "all" else beginning:
                part.requires_grad_(False)

    @classmethod
    def fresh(cls, config: EarsConfig, *, seed: int) -> Ears:
        """New random weights."""
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            ears = cls(config)
            draw_weights(ears)
        return ears

    @classmethod
    def from_whisper(cls, folder: str, config: EarsConfig, *, seed: int, revision: str | None = None) -> Ears:
        """Pretrained Whisper encoder from a folder or hub id, new projector and markers. `config.encoder` is
        replaced.
        """
        kept, weights = read_encoder(folder, revision)
        ears = cls.fresh(replace(config, encoder=kept), seed=seed)
        ears.encoder.load_state_dict(weights)
        return ears

    def num_tokens(self, num_samples: int) -> int:
        """T for a clip of `num_samples` samples: its real length in tokens, markers included."""
        if num_samples > MAX_SECONDS * HOP * 100:
            raise InputError(
                f"a clip of {num_samples / HOP / 100:.1f} s is longer than {MAX_SECONDS} s", remedy="cut the clip"
            )
        frames = -(-num_samples // HOP)
        return -(-frames // (FRAMES_PER_STATE * self.config.stack)) + (2 if self.markers is not None else 0)

    def forward(self, waveforms: Sequence[Tensor]) -> Tensor:
        """(sum of T, H) embeddings, clip after clip. `waveforms` are float32 vectors at 16 kHz."""
        device = self.encoder.embed_positions.weight.device
        frames = torch.tensor([bucket_frames(len(w)) for w in waveforms], device=device)
        if self._encoded is not None:
            states = self._encoded(waveforms, frames)
        else:
            states = encode(self.encoder, log_mels(waveforms, self.extractor).to(device), frames)
        stack, (batch, length, width) = self.config.stack, states.shape
        states = nn.functional.pad(states, (0, 0, 0, -length % stack)).reshape(batch, -1, stack * width)
        tokens = self.projector(states)
        return torch.cat([self._mark(row, len(w)) for row, w in zip(tokens, waveforms, strict=True)])

    def _mark(self, tokens: Tensor, num_samples: int) -> Tensor:
        if self.markers is None:
            return tokens[: self.num_tokens(num_samples)]
        begin, end = self.markers.to(tokens.dtype).unsqueeze(1)
        return torch.cat([begin, tokens[: self.num_tokens(num_samples) - 2], end])

    def save(self, folder: Path, *, base: str, revision: str | None) -> None:
        """Write `ears.json` and `ears.safetensors`, with the base that they belong to."""
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / "ears.safetensors"
        try:
            save_file({k: v.contiguous() for k, v in self.state_dict().items()}, path)
        except SafetensorError as error:
            raise InputError(f"cannot write: {error}", file=path, remedy="make room, then run again") from error
        described = {"base": base, "revision": revision, **asdict(self.config)}
        (folder / "ears.json").write_text(json.dumps(described, indent=2) + "\n", encoding="utf-8")

    @classmethod
    def load(cls, folder: Path) -> tuple[Ears, dict[str, Any]]:
        """Read what `save` wrote: the ears and `{"base", "revision"}`."""
        described = folder / "ears.json"
        if not described.is_file():
            raise InputError("no ears.json", file=folder, remedy="give a folder that save_ears wrote")
        fields = json.loads(described.read_text(encoding="utf-8"))
        origin = {"base": fields.pop("base"), "revision": fields.pop("revision")}
        ears = cls(EarsConfig(**fields))
        fill(ears, load_file(folder / "ears.safetensors"), folder / "ears.safetensors")
        return ears, origin
