"""The cost of each term: one training step with it, over plain SFT on the same samples.

All kinds of steps take turns in one process. Ratios are of processor time on one thread, so that other load on the
machine hardly matters: `python bench/terms.py --json FILE`. A teacher with other weights is a second model of the
student's size.
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

import torch
from models import CPU, build
from step import make_samples, step

from earwise.distil.objective import Objective
from earwise.distil.terms import make_term
from earwise.models import OmniModel
from earwise.recipe.terms import AcousticTerm, AttentionTerm, FirstTokenTerm, InputAlignmentTerm, LayerMapTerm
from earwise.recipe.train import LayersTerm, LogitsTerm, SftTerm

SPOKEN, PLAIN, OTHER = "image_speech", "sft", "other"

SFT = SftTerm(type="sft", weight=0.25)
LOGITS = LogitsTerm(type="logits", weight=1.0)
LAYERS = LayersTerm(type="layers", weight=20.0)
TEXT = LogitsTerm(type="logits", weight=1.0, divergence="jsd", teacher=OTHER)
ROWS = {
    "self_kd": [LOGITS, SFT],
    "layers": [LOGITS, LAYERS],
    "attention": [LOGITS, LAYERS, AttentionTerm(type="attention", weight=5.0)],
    "first_token": [LOGITS, SFT, FirstTokenTerm(type="first_token", weight=5.0)],
    "input_alignment": [LOGITS, SFT, InputAlignmentTerm(type="input_alignment", weight=1.0)],
    "acoustic": [SFT, AcousticTerm(type="acoustic", weight=0.05, teacher="snapshot", view=SPOKEN)],
    "text_teacher": [TEXT, SFT],
    "layer_map": [TEXT, SFT, LayerMapTerm(type="layer_map", weight=0.05, teacher=OTHER)],
}


def objectives(model: OmniModel, other: OmniModel) -> dict[str, Objective]:
    """The timed objectives: SFT on whole sequences, as a plain training script does it, and every row."""
    rows = {
        name: Objective(
            SPOKEN, [make_term(term) for term in terms], model, teachers={OTHER: other} if TEXT in terms else {}
        )
        for name, terms in ROWS.items()
    }
    return {PLAIN: Objective(SPOKEN, [make_term(SFT)], model, share_prefix=False), **rows}


def main() -> int:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", type=Path, help="where to write the numbers")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--batch", type=int, default=4)
    given = parser.parse_args()
    torch.set_num_threads(1)
    times: dict[str, list[float]] = {}
    with tempfile.TemporaryDirectory() as folder:
        model = build("internvl", CPU, Path(folder) / "base", "cpu", torch.float32)
        other = build("internvl", CPU, Path(folder) / "other", "cpu", torch.float32).requires_grad_(False)
        samples = make_samples(model, Path(folder), given.batch)
        other.family._images = model.family._images
        kinds = objectives(model, other)
        for n in range(given.rounds + 1):
            for name, objective in kinds.items():
                start = time.process_time()
                step(model, objective, samples, autocast=False)
                if n:
                    times.setdefault(name, []).append(time.process_time() - start)
    over = {
        name: round(statistics.median(a / b for a, b in zip(took, times[PLAIN], strict=True)), 2)
        for name, took in times.items()
    }
    print(over)
    if given.json:
        results = {"rounds": given.rounds, "batch": given.batch, "over_sft": over}
        given.json.write_text(json.dumps(results, indent=2) + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
