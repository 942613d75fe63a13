"""A small Whisper encoder on a CPU, forward and backward: block attention compared with plain products and with torch's
fused attention, for clips of several lengths.

The three take turns in one process, in bfloat16 autocast on one thread. Ratios are of processor time, so that other
load on the machine hardly matters: `python bench/encoder.py --json FILE`.
"""

from __future__ import annotations

from earwise.work.threads import prepare

prepare()  # before torch is loaded, which reads the environment once

import argparse
import json
import statistics
import sys
import time
from pathlib import Path

import torch

from earwise.models.block_attention import NAME
from earwise.models.whisper import draw_weights, encode, encoder_config, new_encoder

SECONDS = (2, 4, 6, 9)
FRAMES_PER_SECOND = 100
PLAIN, FUSED = "eager", "sdpa"


def took(encoder: torch.nn.Module, attention: str, mels: torch.Tensor, frames: torch.Tensor) -> float:
    """Processor time of one forward and backward pass, in seconds."""
    encoder.config._attn_implementation = attention
    encoder.zero_grad()
    start = time.process_time()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        states = encode(encoder, mels, frames)
    states.float().square().mean().backward()
    return time.process_time() - start


def ratios(encoder: torch.nn.Module, seconds: int, clips: int, rounds: int) -> dict[str, float]:
    """Medians of the rounds' ratios for clips of `seconds`, every other one a second shorter."""
    mels = torch.randn(clips, encoder.config.num_mel_bins, seconds * FRAMES_PER_SECOND)
    frames = torch.full((clips,), seconds * FRAMES_PER_SECOND)
    frames[1::2] -= FRAMES_PER_SECOND
    turns = [{name: took(encoder, name, mels, frames) for name in (NAME, PLAIN, FUSED)} for _ in range(rounds + 1)][1:]
    return {
        f"blocks_over_{word}": round(statistics.median(turn[NAME] / turn[name] for turn in turns), 3)
        for word, name in (("plain", PLAIN), ("fused", FUSED))
    }


def main() -> int:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", type=Path, help="where to write the numbers")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--clips", type=int, default=64)
    given = parser.parse_args()
    torch.set_num_threads(1)
    torch.manual_seed(0)
    encoder = new_encoder(encoder_config(layers=3, width=128, heads=4, mel_bins=80))  # the shipped ones
    draw_weights(encoder)
    results: dict[str, object] = {"rounds": given.rounds, "clips": given.clips}
    for seconds in SECONDS:
        results[f"{seconds} s"] = found = ratios(encoder, seconds, given.clips, given.rounds)
        print(seconds, found, flush=True)
    if given.json:
        given.json.write_text(json.dumps(results, indent=2) + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
