"""Cost of tapped attention: query and response rows of a sequence of 1,500 tokens in a decoder of 8 layers.

Compared in float32: a plain forward pass of the decoder (SDPA), the same pass with the tap, and the usual alternative,
a pass with plain attention that returns every map. `python bench/attention.py --json FILE`.

- `time_ratio`: tapped over plain, median of rounds in which the two take turns (in alternating order).
- `memory_share`: the peak memory that the tap adds, divided by the bytes of the full maps of all layers. Each peak is
the median of three processes.
- `largest_difference`: the largest error of any share, and of the attention that any key receives, against sums of the
full maps.
"""

from __future__ import annotations

from earwise.work.threads import prepare

prepare()  # before torch is loaded, which reads the environment once

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import median

import torch
import transformers
from memory import growth_mib
from models import CPU, build
from torch import Tensor
from transformers import PreTrainedModel

from earwise.attention.records import KINDS
from earwise.attention.taps import Probe, Taps, tapped

TOKENS, LAYERS = 1_500, 8
SYSTEM, VISION, QUERY, RESPONSE = 20, 1_300, 120, 60  # the spoken query is about 12 s long
FAMILIES = ("internvl", "qwen2_vl")
WAYS = ("plain", "tapped", "maps")
PROCESSES = 3
"""Processes per peak: resident sets of the same pass differ by some 20 MiB."""


@dataclass(frozen=True)
class Case:
    """A decoder, one sequence of embeddings with its positions, and the probes."""

    decoder: PreTrainedModel
    embeds: Tensor
    positions: Tensor
    probes: tuple[Probe, Probe]


def make_case(family: str, tokens: int) -> Case:
    """A decoder with random weights, and a sequence with the kinds of tokens of a spoken question."""
    torch.manual_seed(0)
    with tempfile.TemporaryDirectory() as folder:
        model = build(family, replace(CPU, layers=LAYERS), Path(folder) / "base", "cpu", torch.float32)
    query, response = tokens - TOKENS + SYSTEM + VISION, tokens - RESPONSE
    kinds = torch.full((tokens,), KINDS.index("rest"))
    kinds[SYSTEM:query] = KINDS.index("vision")
    kinds[query : query + QUERY], kinds[response:] = KINDS.index("query"), KINDS.index("response")
    asked = (torch.arange(query, query + QUERY), torch.arange(response, tokens))
    positions = torch.arange(tokens).expand(3 if family == "qwen2_vl" else 1, 1, tokens)
    first, second = (Probe(0, rows, kinds) for rows in asked)
    return Case(
        model.family.backbone,
        torch.randn(1, tokens, model.family.width),
        positions if family == "qwen2_vl" else positions[0],
        (first, second),
    )


@torch.no_grad()
def run(way: str, case: Case) -> Taps | tuple[Tensor, ...] | None:
    """One pass of the decoder; returns its taps or maps."""
    case.decoder.set_attn_implementation("eager" if way == "maps" else "sdpa")
    with tapped(case.decoder, case.probes, len(KINDS)) if way == "tapped" else nullcontext() as taps:
        out = case.decoder(
            inputs_embeds=case.embeds,
            attention_mask=torch.ones(case.embeds.shape[:2], dtype=torch.long),
            position_ids=case.positions,
            use_cache=False,
            output_attentions=way == "maps",
        )
    return out.attentions if way == "maps" else taps


def ratios(case: Case, rounds: int, now: Callable[[], float]) -> tuple[list[float], dict[str, float]]:
    """The ratio of each round, tapped over plain, and the median seconds of each."""
    seconds: dict[str, list[float]] = {"plain": [], "tapped": []}
    for n in range(rounds + 1):
        for way in ("plain", "tapped") if n % 2 else ("tapped", "plain"):
            start = now()
            run(way, case)
            if n:  # the first round warms up
                seconds[way].append(now() - start)
    pairs = zip(seconds["tapped"], seconds["plain"], strict=True)
    return [a / b for a, b in pairs], {way: median(taken) for way, taken in seconds.items()}


def largest_difference(case: Case) -> float:
    """The largest difference between the taps and the sums of the full maps."""
    maps, taps = run("maps", case), run("tapped", case)
    assert isinstance(maps, tuple)
    assert isinstance(taps, Taps)
    worst = 0.0
    for n, probe in enumerate(case.probes):
        rows = torch.stack([layer[0, :, probe.rows].mean(0) for layer in maps])
        sums = torch.stack([rows[..., probe.kinds == kind].sum(-1) for kind in range(len(KINDS))], dim=-1)
        worst = max(worst, float((taps.shares(n) - sums).abs().max()))
        worst = max(worst, float((taps.received(n) - rows.mean(1)).abs().max()))
    return worst


def measure_peak(way: str, family: str, tokens: int) -> float:
    """Peak memory of one pass, MiB, after a warm-up of the libraries on 200 tokens."""
    run(way, make_case(family, TOKENS - VISION))
    case = make_case(family, tokens)
    return growth_mib(lambda: run(way, case))


def peak_mib(way: str, family: str, threads: int) -> float:
    """Median `measure_peak` of fresh processes: a heap that has grown once hides the next peak."""
    command = [sys.executable, __file__, "--threads", str(threads), "--peak-of", way, family]
    runs = (subprocess.run(command, check=True, capture_output=True, text=True) for _ in range(PROCESSES))
    return median(float(done.stdout) for done in runs)


def compare(family: str, rounds: int, threads: int, clock: str) -> dict[str, object]:
    """One family's numbers."""
    peaks = {way: peak_mib(way, family, threads) for way in WAYS}
    case = make_case(family, TOKENS)
    heads = case.decoder.config.num_attention_heads
    maps_mib = LAYERS * heads * TOKENS**2 * 4 / 2**20
    each, seconds = ratios(case, rounds, time.process_time if clock == "cpu" else time.perf_counter)
    return {
        "time_ratio": round(median(each), 4),
        "time_ratio_range": [round(min(each), 4), round(max(each), 4)],
        "seconds": {way: round(s, 4) for way, s in seconds.items()},
        "full_maps_mib": round(maps_mib, 1),
        "peak_mib": {way: round(peak, 1) for way, peak in peaks.items()},
        "memory_share": round((peaks["tapped"] - peaks["plain"]) / maps_mib, 4),
        "tapped_peak_over_maps_peak": round(peaks["tapped"] / peaks["maps"], 4),
        "largest_difference": largest_difference(case),
    }


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", type=Path, help="where to write the numbers")
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--clock", choices=["wall", "cpu"], default="wall", help="cpu: for a busy machine, 1 thread")
    parser.add_argument("--peak-of", nargs=2, metavar=("WAY", "FAMILY"), help="print one peak in MiB and leave")
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    if given.peak_of:
        print(measure_peak(*given.peak_of, TOKENS))
        return
    families = {}
    for family in FAMILIES:
        families[family] = compare(family, given.rounds, given.threads, given.clock)
        print(family, json.dumps(families[family]), flush=True)
    result = {
        "command": f"python bench/attention.py {' '.join(sys.argv[1:])}",
        "tokens": TOKENS,
        "layers": LAYERS,
        "rows": QUERY + RESPONSE,
        "cores": os.cpu_count(),
        "versions": {"torch": torch.__version__, "transformers": transformers.__version__},
        **{
            key: max(numbers[key] for numbers in families.values())  # the worst family
            for key in ("time_ratio", "memory_share", "largest_difference")
        },
        "families": families,
    }
    if given.json:
        given.json.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
