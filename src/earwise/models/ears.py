"""Ears: the modules that let a vision-language model hear.

They are a Whisper encoder run at each clip's real length, an MLP projector from stacked states into the language
model's embedding space, and learned vectors that mark where speech begins and ends (Self-KD, arXiv 2503.00059, section
4 and appendix A). The paper publishes neither down-sampling nor markers; both are our decision.

Shapes: B clips, M mel bins, P bucket frames, E encoder width, H language-model width, T tokens of a clip.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Literal

import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from earwise.errors import InputError
from earwise.io.loading import fill
from earwise.models.encoded_clips import EncodedClips
from earwise.models.encoder_lora import add_lora, merged_state, only_lora
from earwise.models.mel import Tail, bucket_frames, log_mels
from earwise.models.saving import EARS, read_description, save_description, save_tensors
from earwise.models.whisper import draw_weights, encode, mel_extractor, new_encoder, num_stacked, read_encoder, stacked
from earwise.records import SAMPLE_RATE_HZ

PIECE_SAMPLES = 30 * SAMPLE_RATE_HZ
"""The length of Whisper's position table. A longer sound is heard in pieces."""
LONGEST_S = 600
"""Longest sound in seconds."""


@dataclass(frozen=True)
class EarsConfig:
    """Everything beside the weights that is needed to rebuild ears."""

    encoder: dict[str, Any]
    """A `WhisperConfig` as a dict."""
    width: int
    """H of the language model."""
    stack: int = 5
    """Encoder states per token: 5 states of 20 ms give one token every 100 ms."""
    hidden: int = 512
    """Width of the projector's hidden layer."""
    markers: bool = True
    """Whether learned begin and end vectors surround a clip."""
    tail: Tail = 0.0
    """Silence that the encoder hears behind a clip; it becomes no token."""


class Ears(nn.Module):
    """Waveforms to embeddings of the language model. A clip's output does not depend on the rest of the batch."""

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
        """Number of the encoder's first layers that `freeze_encoder` froze."""
        self._encoded: EncodedClips | None = None
        self.has_lora = False
        """Whether updates stand beside the encoder's linear layers (`train_lora`)."""

    def freeze_encoder(self, layers: int | Literal["all"]) -> None:
        """Freeze the convolutions and the first `layers` layers of the encoder, or all of it; 0 freezes nothing. The
        frozen outputs are then computed once for each clip, however often it is heard.

        Raises `InputError` if the encoder has fewer layers.
        """
        encoder, depth = self.encoder, len(self.encoder.layers)
        if layers != "all" and layers > depth:
            raise InputError(f"{layers} layers cannot be frozen: the encoder has {depth}", remedy="freeze fewer")
        self.frozen_layers = depth if layers == "all" else layers
        self._encoded = EncodedClips(encoder, self.frozen_layers, self.config.tail) if self.frozen_layers else None
        if self.frozen_layers:
            beginning = (encoder.conv1, encoder.conv2, encoder.embed_positions, *encoder.layers[: self.frozen_layers])
            for part in (encoder,) if layers == "all" else beginning:
                part.requires_grad_(False)

    def train_lora(self, rank: int, alpha: int, targets: Sequence[str], *, seed: int) -> None:
        """Train low-rank updates of the encoder's linear layers in place of its weights; they begin at 0, unless they
        are there already. Call it before `freeze_encoder`. `save` writes their sum with the weights.

        Raises `InputError` without `peft`, and for a target that is no linear layer of the encoder.
        """
        if not self.has_lora:
            add_lora(self.encoder, rank, alpha, targets, seed=seed)
            self.has_lora = True
        only_lora(self.encoder)

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
        """Pretrained Whisper encoder from a folder or hub id, new projector and markers; replaces `config.encoder`."""
        kept, weights = read_encoder(folder, revision)
        ears = cls.fresh(replace(config, encoder=kept), seed=seed)
        ears.encoder.load_state_dict(weights)
        return ears

    def num_tokens(self, num_samples: int) -> int:
        """T for a clip of `num_samples` samples, markers included."""
        seconds = num_samples / SAMPLE_RATE_HZ
        if seconds > LONGEST_S:
            raise InputError(f"a clip of {seconds:.1f} s is longer than {LONGEST_S} s", remedy="cut the clip")
        whole, rest = divmod(num_samples, PIECE_SAMPLES)
        pieces = whole * num_stacked(PIECE_SAMPLES, self.config.stack) + num_stacked(rest, self.config.stack)
        return pieces + (2 if self.markers is not None else 0)

    def forward(self, waveforms: Sequence[Tensor]) -> Tensor:
        """(sum of T, H) embeddings, clip after clip. `waveforms` are float32 vectors at 16 kHz.

        The encoder hears a long clip in pieces of 30 s, each as if it were alone. Their tokens follow one another, and
        only the whole clip is marked.
        """
        pieces = [waveform.split(PIECE_SAMPLES) for waveform in waveforms]
        heard = iter(self._pieces([piece for some in pieces for piece in some]))
        return torch.cat([self._mark(torch.cat([next(heard) for _ in some])) for some in pieces])

    def _pieces(self, waveforms: Sequence[Tensor]) -> list[Tensor]:
        """Embeddings of each of `waveforms`, up to 30 s long, without markers."""
        if self._encoded is not None:
            states = self._encoded(waveforms)
        else:
            device, tail = self.encoder.embed_positions.weight.device, self.config.tail
            frames = torch.tensor([bucket_frames(len(w), tail) for w in waveforms], device=device)
            states = encode(self.encoder, log_mels(waveforms, self.extractor, tail).to(device), frames)
        tokens = self.projector(stacked(states, self.config.stack))
        counts = [num_stacked(len(waveform), self.config.stack) for waveform in waveforms]
        return [row[:count] for row, count in zip(tokens, counts, strict=True)]

    def _mark(self, tokens: Tensor) -> Tensor:
        if self.markers is None:
            return tokens
        begin, end = self.markers.to(tokens.dtype).unsqueeze(1)
        return torch.cat([begin, tokens, end])

    def save(self, folder: Path, *, base: str, revision: str | None) -> None:
        """Write `ears.json`, which names the base, and `ears.safetensors`."""
        save_tensors(merged_state(self), folder / "ears.safetensors")
        save_description({"base": base, "revision": revision, **asdict(self.config)}, folder / EARS)

    @classmethod
    def load(cls, folder: Path) -> tuple[Ears, dict[str, Any]]:
        """Read what `save` wrote: the ears and `{"base", "revision"}`."""
        fields = read_description(folder)
        origin = {"base": fields.pop("base"), "revision": fields.pop("revision")}
        ears = cls(EarsConfig(**fields))
        fill(ears, load_file(folder / "ears.safetensors"), folder / "ears.safetensors")
        return ears, origin
