"""A Whisper encoder trained by CTC, before it becomes part of ears.

Shapes: B clips, O outputs per clip, W words of the vocabulary, E encoder width.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from earwise.models.mel import bucket_frames, log_mels
from earwise.models.whisper import draw_weights, encode, mel_extractor, new_encoder, num_stacked, stacked

BLANK = 0
"""The output that stands for no word."""


class CtcRecogniser(nn.Module):
    """A fresh Whisper encoder and a linear layer over stacked states, one output per `stack` states of 20 ms.

    Args:
        config: a `WhisperConfig` as a dict.
        words: the vocabulary. Output 0 is the blank, the others are its entries in order.
        stack: encoder states per output.
        seed: seed of the weights.
    """

    def __init__(self, config: dict[str, Any], words: Sequence[str], *, stack: int, seed: int) -> None:
        super().__init__()
        self.words = tuple(words)
        self.stack = stack
        self._index = {word: number for number, word in enumerate(self.words, start=BLANK + 1)}
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            self.encoder = new_encoder(config)
            self.head = nn.Linear(stack * self.encoder.config.d_model, len(self.words) + 1)
            draw_weights(self)
        self.extractor = mel_extractor(self.encoder)

    def word_ids(self, text: str) -> Tensor:
        """(number of words,) ids; every word of `text` must be in the vocabulary."""
        return torch.tensor([self._index[word] for word in text.split()])

    def num_outputs(self, num_samples: int) -> int:
        """O for a clip of `num_samples` samples."""
        return num_stacked(num_samples, self.stack)

    def log_probabilities(self, waveforms: Sequence[Tensor]) -> Tensor:
        """(B, longest O, W + 1) log-probabilities; `waveforms` are float32 vectors at 16 kHz."""
        device = self.head.weight.device
        frames = torch.tensor([bucket_frames(len(w)) for w in waveforms], device=device)
        states = encode(self.encoder, log_mels(waveforms, self.extractor).to(device), frames)
        return self.head(stacked(states, self.stack)).float().log_softmax(-1)

    def forward(self, waveforms: Sequence[Tensor], targets: Sequence[Tensor]) -> Tensor:
        """(B,) -log p(words of a clip) in nats, summed over all alignments (Graves et al. 2006).

        0 for a clip that is too short for its words, which has no alignment.
        """
        device = self.head.weight.device
        return nn.functional.ctc_loss(
            self.log_probabilities(waveforms).transpose(0, 1),
            torch.cat(list(targets)).to(device),
            torch.tensor([self.num_outputs(len(w)) for w in waveforms], device=device),
            torch.tensor([len(t) for t in targets], device=device),
            blank=BLANK,
            reduction="none",
            zero_infinity=True,
        )

    @torch.no_grad()
    def transcribe(self, waveforms: Sequence[Tensor]) -> list[str]:
        """The words of each clip, by greedy CTC decoding."""
        likeliest = self.log_probabilities(waveforms).argmax(-1)
        texts = []
        for row, waveform in zip(likeliest, waveforms, strict=True):
            kept = torch.unique_consecutive(row[: self.num_outputs(len(waveform))])
            texts.append(" ".join(self.words[number - 1] for number in kept.tolist() if number != BLANK))
        return texts
