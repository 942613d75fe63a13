"""Time of one training step: plain SFT, naive Self-KD (two full passes) and Self-KD on a shared prefix.

The three run in turn in one process, and only their ratios are reported: `python bench/step.py --preset cpu --json
FILE`. The preset `h200` does the same at the sizes of Qwen2-VL-2B and 7B in bfloat16 and needs a CUDA device. It adds
peak memory, tokens per second, and for each kind of step the operations that torch counts, with their share of the
device's peak (MFU).
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
from models import CPU, QWEN2_VL_2B, QWEN2_VL_7B, Size, build, image
from torch.utils.flop_counter import FlopCounterMode

from earwise.data.media import save_wav
from earwise.distil.objective import Objective
from earwise.distil.terms import make_term
from earwise.micro.words import VOCABULARY
from earwise.models import OmniModel, Sample, Turn
from earwise.recipe.train import LogitsTerm, SftTerm
from earwise.records import Item

TEXT_TOKENS, RESPONSE_TOKENS, SPEECH_S = 16, 60, 4.8  # 48 tokens of speech and two markers
H200_FLOPS = 989.5e12
"""Per second, bfloat16, dense, from NVIDIA's data sheet of the H200 SXM."""
SFT, NAIVE, SHARED = "sft", "selfkd_naive", "selfkd_shared"


def make_samples(model: OmniModel, folder: Path, count: int) -> list[Sample]:
    """Samples shaped like LLaVA's turns, spoken; their images go into the family's cache."""
    rng = np.random.default_rng(0)
    samples = []
    for n in range(count):
        picture, clip = folder / f"{n}.png", folder / f"{n}.wav"
        model.family._images[picture, False] = image(model.family)
        waveform = (0.1 * rng.standard_normal(int(SPEECH_S * 16_000))).astype(np.float32)
        save_wav(clip, waveform)
        question = " ".join(rng.choice(VOCABULARY, TEXT_TOKENS))
        answer = " ".join(rng.choice(VOCABULARY, RESPONSE_TOKENS - 1))  # and the end-of-turn token
        item = Item(id=str(n), source="bench", question=question, answers=(answer,), cluster=str(n))
        samples.append(Sample((Turn(item, question, clip=clip, num_samples=len(waveform)),), picture))
    return samples


def objectives(model: OmniModel) -> dict[str, Objective]:
    """The timed objectives. SFT and naive Self-KD compute whole sequences, as a plain training script does."""
    sft = make_term(SftTerm(type="sft", weight=0.25))
    logits = make_term(LogitsTerm(type="logits", weight=0.75))
    view = "image_speech"
    return {
        SFT: Objective(view, [sft], model, share_prefix=False),
        NAIVE: Objective(view, [sft, logits], model, share_prefix=False),
        SHARED: Objective(view, [sft, logits], model),
    }


def step(model: OmniModel, objective: Objective, samples: list[Sample], autocast: bool) -> torch.Tensor:
    """One forward and backward pass; returns the gradient of the ears as one vector."""
    model.zero_grad(set_to_none=True)
    batch = objective.collate(samples)["batch"].to(model.device)
    with torch.autocast(model.device.type, torch.bfloat16, enabled=autocast):
        values = objective.values(objective.states(model, batch))
    loss = sum(t.weight * values[t.name].sum() for t in objective.terms) / batch.num_responses
    loss.backward()
    return torch.cat([p.grad.flatten() for p in model.ears.parameters() if p.grad is not None])


def seconds(model: OmniModel, objective: Objective, samples: list[Sample], autocast: bool) -> float:
    """Wall time of one step."""
    _synchronise(model)
    start = time.perf_counter()
    step(model, objective, samples, autocast)
    _synchronise(model)
    return time.perf_counter() - start


def _synchronise(model: OmniModel) -> None:
    if model.device.type == "cuda":
        torch.cuda.synchronize()


def bench(model: OmniModel, samples: list[Sample], rounds: int, *, autocast: bool) -> dict[str, float]:
    """Median ratios over `rounds` in which the three kinds of steps take turns, without a first round to warm up."""
    kinds = objectives(model)
    times: dict[str, list[float]] = {name: [] for name in kinds}
    peaks: dict[str, float] = {}
    for n in range(rounds + 1):
        for name, objective in kinds.items():
            if model.device.type == "cuda":
                torch.cuda.reset_peak_memory_stats()
            took = seconds(model, objective, samples, autocast)
            if n:
                times[name].append(took)
            if model.device.type == "cuda":
                peaks[f"{name}_peak_gib"] = torch.cuda.max_memory_allocated() / 2**30
    naive = step(model, kinds[NAIVE], samples, autocast)
    difference = (step(model, kinds[SHARED], samples, autocast) - naive).abs().max()
    ratio = {n: [a / b for a, b in zip(times[SHARED], times[n], strict=True)] for n in (SFT, NAIVE)}
    result = {
        "selfkd_shared_over_sft": statistics.median(ratio[SFT]),
        "selfkd_shared_over_selfkd_naive": statistics.median(ratio[NAIVE]),
        "max_gradient_difference": float(difference),
        "max_gradient_difference_relative": float(difference / naive.abs().max()),
        **{f"{name}_s": statistics.median(t) for name, t in times.items()},
        **peaks,
    }
    if model.device.type == "cuda":
        length = len(model.layouts.build(samples[0], "image_speech", answers=True))
        result["tokens_per_s"] = len(samples) * length / result[f"{SHARED}_s"]
        for name, objective in kinds.items():
            with FlopCounterMode(display=False) as counter:
                step(model, objective, samples, autocast)
            result[f"{name}_flops"] = counter.get_total_flops()
            result[f"{name}_mfu"] = result[f"{name}_flops"] / result[f"{name}_s"] / H200_FLOPS
    return result


def cases(preset: str) -> list[tuple[str, str, Size, torch.dtype]]:
    """(label, family, size, dtype of the base) of a preset."""
    if preset == "cpu":
        return [(family, family, CPU, torch.float32) for family in ("internvl", "qwen2_vl")]
    sizes = {"qwen2_vl_2b": QWEN2_VL_2B, "qwen2_vl_7b": QWEN2_VL_7B}
    return [(label, "qwen2_vl", size, torch.bfloat16) for label, size in sizes.items()]


def main() -> int:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--preset", choices=("cpu", "h200"), default="cpu")
    parser.add_argument("--json", type=Path, help="where to write the numbers")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--batch", type=int, default=4)
    given = parser.parse_args()
    device = "cpu" if given.preset == "cpu" else "cuda"
    if device == "cuda" and not torch.cuda.is_available():
        print("step.py: the preset h200 needs a CUDA device", file=sys.stderr)
        return 2
    results: dict[str, object] = {"preset": given.preset, "batch": given.batch, "rounds": given.rounds, "families": {}}
    families: dict[str, dict[str, float]] = {}
    for label, family, size, dtype in cases(given.preset):
        with tempfile.TemporaryDirectory() as folder:
            model = build(family, size, Path(folder) / "base", device, dtype)
            samples = make_samples(model, Path(folder), given.batch)
            families[label] = bench(model, samples, given.rounds, autocast=dtype != torch.float32)
        print(label, {key: round(value, 8) for key, value in families[label].items()}, flush=True)
    results["families"] = families
    for key in ("selfkd_shared_over_sft", "selfkd_shared_over_selfkd_naive", "max_gradient_difference"):
        results[key] = max(numbers[key] for numbers in families.values())  # the worst family
    if given.json:
        given.json.write_text(json.dumps(results, indent=2) + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
