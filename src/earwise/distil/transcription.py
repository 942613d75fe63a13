"""The objective that teaches an encoder to hear before there is a language model: CTC."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import torch
from torch import Tensor, nn

from earwise.data.media import load_audio
from earwise.models.ctc import CtcRecogniser
from earwise.models.sample import Sample


@dataclass
class HeardBatch:
    """Clips and their words; the recogniser moves what it needs to its device."""

    waveforms: list[Tensor]
    words: list[Tensor]

    @property
    def num_responses(self) -> int:
        """Words in all clips."""
        return sum(len(words) for words in self.words)

    def to(self, device: torch.device | str) -> Self:
        """Do nothing: the recogniser computes spectrograms where the waveforms are."""
        return self


@dataclass(frozen=True)
class CtcTerm:
    """The only term of this objective."""

    name: str = "ctc"
    weight: float = 1.0


class Transcription:
    """CTC loss of the spoken words, in nats per word.

    Args:
        recogniser: the model that learns; holds the vocabulary.
    """

    terms = (CtcTerm(),)

    def __init__(self, recogniser: CtcRecogniser) -> None:
        self._recogniser = recogniser

    def collate(self, samples: Sequence[Sample]) -> dict[str, HeardBatch]:
        """A micro-batch: the clip of each sample's first turn, and its answer as word ids."""
        turns = [sample.turns[0] for sample in samples]
        waveforms = [torch.from_numpy(load_audio(turn.clip)) for turn in turns if turn.clip is not None]
        words = [self._recogniser.word_ids(turn.item.answers[0]) for turn in turns]
        return {"batch": HeardBatch(waveforms, words)}

    def losses(self, model: nn.Module, batch: HeardBatch) -> dict[str, Tensor]:
        """(B,) nats per clip; `model` is the recogniser, possibly wrapped by the training engine."""
        return {"ctc": model(batch.waveforms, batch.words)}
