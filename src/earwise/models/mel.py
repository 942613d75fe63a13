"""Log-mel spectrograms in Whisper's definition, batched, at each clip's own length.

Shapes: B clips, M mel bins, F frames (100 per second), P bucket frames.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import torch
from torch import Tensor
from transformers import WhisperFeatureExtractor

from earwise.recipe.model import Tail as Tail
from earwise.records import SAMPLE_RATE_HZ

HOP = 160
"""Samples between frames: 10 ms."""
BUCKET_SAMPLES = SAMPLE_RATE_HZ
"""Clips are padded with silence to a whole number of seconds, not to Whisper's 30 s."""
FULL_FRAMES: Final = 3_000
"""Of Whisper's 30 s, where its position table ends."""


def bucket_frames(num_samples: int, tail: Tail = 0.0) -> int:
    """Frames of a clip of `num_samples` and its tail, after padding to whole seconds."""
    if tail == "full":
        return FULL_FRAMES
    padded = -(-(num_samples + round(tail * SAMPLE_RATE_HZ)) // BUCKET_SAMPLES) * (BUCKET_SAMPLES // HOP)
    return min(padded, FULL_FRAMES) if tail else padded


@torch.autocast("cpu", enabled=False)
def log_mels(waveforms: Sequence[Tensor], extractor: WhisperFeatureExtractor, tail: Tail = 0.0) -> Tensor:
    """(B, M, max P) log-mels; frames beyond a clip's own bucket are exactly 0, like a convolution's padding.

    Silence follows every clip, as in the published 30-second extractor. So the result equals the first P frames of that
    extractor, and a clip's frames do not depend on the rest of the batch. They are float32 in every pass.
    """
    buckets = torch.tensor([bucket_frames(len(w), tail) for w in waveforms])
    longest = int(buckets.max())
    # The last frames reach beyond the bucket. One more window of silence keeps stft's mirrored padding out of them.
    padded = torch.zeros(len(waveforms), longest * HOP + 2 * extractor.n_fft)
    end, half = extractor.n_samples, extractor.n_fft // 2
    for row, waveform in zip(padded, waveforms, strict=True):
        row[: len(waveform)] = waveform
        if len(waveform) > end - half:  # The published extractor fills up to here, and stft mirrors what is before.
            row[end : end + half] = row[end - half - 1 : end - 1].flip(0)
    window = torch.hann_window(extractor.n_fft)
    spectrum = torch.stft(padded, extractor.n_fft, HOP, window=window, return_complex=True)[..., :longest]
    filters = torch.as_tensor(extractor.mel_filters, dtype=torch.float32)
    power = spectrum.real.square() + spectrum.imag.square()  # abs() would take a root only to square it again
    mels = (filters.T @ power).clamp(min=1e-10).log10()
    mels = torch.maximum(mels, mels.amax(dim=(1, 2), keepdim=True) - 8.0)
    inside = torch.arange(longest) < buckets[:, None]
    return torch.where(inside[:, None], (mels + 4.0) / 4.0, 0.0)
