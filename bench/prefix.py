"""The length from which a shared prefix pays: the time of a training step with it over the same step with two full
passes.

Self-KD on prompts without an image, with common starts of given lengths. The two kinds of steps take turns in one
process. Ratios are of processor time, so that other load on the machine hardly matters: `python bench/prefix.py --json
FILE`.
"""

from __future__ import annotations

from earwise.work.threads import prepare

prepare()  # before torch is loaded, which reads the environment once

import argparse
import json
import statistics
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import torch
from models import Size, build
from step import step

from earwise.data.media import save_wav
from earwise.distil.objective import Objective
from earwise.distil.terms import make_term
from earwise.micro.words import VOCABULARY
from earwise.models import OmniModel, Sample, Turn, batch, layout
from earwise.recipe.train import LogitsTerm, SftTerm
from earwise.records import Item

LENGTHS = (8, 16, 32, 64, 128)
QUESTION_TOKENS, RESPONSE_TOKENS, SPEECH_S = 10, 4, 3.0
SIZES = {
    "micro": Size(128, 5, 4, 2, 320, 128, 96, 3, 4, 128, 3, 4),  # the shipped internvl-micro, ears of the quickstart
    "deep": Size(128, 24, 4, 2, 320, 128, 96, 3, 4, 128, 3, 4),
}


def samples_with_prefix(model: OmniModel, folder: Path, count: int, length: int) -> list[Sample]:
    """Samples without an image whose views have a common start of at least `length` tokens."""
    rng = np.random.default_rng(0)

    def words(number: int) -> str:
        return " ".join(rng.choice(VOCABULARY, number))

    samples = []
    instruction = words(length)
    for n in range(count):
        clip = folder / f"{n}.wav"
        waveform = (0.1 * rng.standard_normal(int(SPEECH_S * 16_000))).astype(np.float32)
        save_wav(clip, waveform)
        item = Item(
            id=str(n), source="bench", question=words(QUESTION_TOKENS), answers=(words(RESPONSE_TOKENS),), cluster="c",
            instruction=instruction,
        )  # fmt: skip
        samples.append(Sample((Turn(item, item.question, clip=clip, num_samples=len(waveform)),), None))
    return samples


def ratio(model: OmniModel, samples: list[Sample], length: int, rounds: int) -> tuple[float, int]:
    """Median processor time, shared over full, with a prefix of `length` tokens cut from the common start; and the
    tokens of the student's whole sequence.
    """
    terms = [make_term(SftTerm(type="sft", weight=0.25)), make_term(LogitsTerm(type="logits", weight=0.75, view=TYPED))]
    full = Objective(SPOKEN, terms, model, share_prefix=False)
    shared = Objective(SPOKEN, terms, model)
    whole = layout.shared_prefix
    rows = [[model.layouts.build(sample, view, answers=True) for view in (SPOKEN, TYPED)] for sample in samples]
    tokens = len(rows[0][0])
    if min(whole(row, with_audio=False) for row in rows) < length:
        raise ValueError(f"the views have no common start of {length} tokens")
    batch.MIN_PREFIX = 0
    batch.shared_prefix = lambda row, with_audio: min(length, whole(row, with_audio=with_audio))
    found = []
    for n in range(rounds + 1):
        took = []
        for objective in (shared, full):
            start = time.process_time()
            step(model, objective, samples, autocast=False)
            took.append(time.process_time() - start)
        if n:
            found.append(took[0] / took[1])
    return statistics.median(found), tokens


SPOKEN, TYPED = "speech_only", "text_only"


def main() -> int:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", type=Path, help="where to write the numbers")
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--batch", type=int, default=8)
    given = parser.parse_args()
    torch.set_num_threads(1)
    results: dict[str, object] = {"rounds": given.rounds, "batch": given.batch}
    for name, size in SIZES.items():
        results[name] = {}
        with tempfile.TemporaryDirectory() as folder:
            model = build("internvl", size, Path(folder) / "base", "cpu", torch.float32, image_tokens=16)
            for length in LENGTHS:
                samples = samples_with_prefix(model, Path(folder), given.batch, length)
                value, tokens = ratio(model, samples, length, given.rounds)
                results[name][str(length)] = {"ratio": round(value, 3), "tokens": tokens}
                print(name, length, tokens, round(value, 3), flush=True)
    if given.json:
        given.json.write_text(json.dumps(results, indent=2) + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
