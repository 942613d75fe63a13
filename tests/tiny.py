"""Tiny models of the real architectures and samples with real files, for tests of models and training."""

from pathlib import Path

import numpy as np
from PIL import Image

from earwise.data.media import save_wav
from earwise.models import Ears, EarsConfig, OmniModel, Sample, Turn
from earwise.models.families import load_family
from earwise.records import Item

FAMILIES = ("internvl", "qwen2_vl")
ENCODER = {
    "d_model": 16,
    "encoder_layers": 1,
    "encoder_attention_heads": 2,
    "encoder_ffn_dim": 32,
    "num_mel_bins": 16,
}
QUESTIONS = (
    "What color is the circle?",
    "Is there a red star in the picture?",
    "How many stars are there?",
    "Is it red?",
)
ANSWERS = ("red", "yes it is", "two", "no")


def tiny_model(folder: Path, *, ears: bool = True, seed: int = 0) -> OmniModel:
    """The base in `folder` with fresh ears of 16 mel bins and one layer."""
    family = load_family(str(folder))
    fresh = Ears.fresh(EarsConfig(ENCODER, family.width, stack=5, hidden=24), seed=seed) if ears else None
    return OmniModel(family, fresh, base=str(folder)).eval()


def tiny_samples(folder: Path, count: int = 4) -> list[Sample]:
    """Samples with an image of noise and a clip of 0.6 s and more, of ragged lengths."""
    rng = np.random.default_rng(0)
    samples = []
    for n in range(count):
        image, clip = folder / f"{n}.png", folder / f"{n}.wav"
        Image.fromarray(rng.integers(0, 255, (64, 64, 3), dtype=np.uint8)).save(image)
        length = 9_600 + 5_000 * (n % 5)
        save_wav(clip, (rng.standard_normal(length) * 0.1).astype(np.float32))
        question, answer = QUESTIONS[n % 4], ANSWERS[n % 4]
        item = Item(id=f"item-{n}", source="tiny", question=question, answers=(answer,), cluster=f"c{n}")
        samples.append(Sample((Turn(item, question, clip=clip, num_samples=length),), image))
    return samples
