"""Time, peak memory and error of `linear_divergence` beside the dense computation and TRL's chunked divergence (CPU).

    python bench/divergence.py --json docs/results/divergence.json

Forward and backward, with a frozen head that both sides share, as in self-distillation. The three run in turn in one
process, and a ratio is the median of the rounds' ratios, so that other load on the machine affects all of them. Peak
memory is the growth of the resident set over the inputs, each in a process of its own. Errors are against float64.
"""

from __future__ import annotations

from earwise.work.threads import prepare

prepare()  # before torch is loaded, which reads the environment once

import argparse
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple, get_args

import torch
import trl
from memory import growth_mib
from torch import Tensor
from trl.kernels.chunked_divergence import ChunkedDivergenceFunction

from earwise.distil.divergence import Kind, dense_divergence, linear_divergence

WIDTH, VOCAB = 512, 152_064
CHECKED_TOKENS = 128  # compared with float64, whose dense logits are twice as large


class Inputs(NamedTuple):
    """One head serves both sides; the student's hidden states are the teacher's with noise."""

    student: Tensor
    teacher: Tensor
    head: Tensor


def make_inputs(tokens: int) -> Inputs:
    """The same numbers at every call; logits have a standard deviation of about 1.4."""
    generator = torch.Generator().manual_seed(0)
    teacher = 3 * torch.randn(tokens, WIDTH, generator=generator)
    student = teacher + torch.randn(tokens, WIDTH, generator=generator)
    return Inputs(student.requires_grad_(), teacher, 0.02 * torch.randn(VOCAB, WIDTH, generator=generator))


def trl_divergence(inputs: Inputs, kind: Kind) -> Tensor:
    """TRL's kernel; its `beta` is the teacher share of the mixture, 0 and 1 for the two KL divergences."""
    beta = {"forward_kl": 0.0, "reverse_kl": 1.0, "jsd": 0.5}[kind]
    value: Tensor = ChunkedDivergenceFunction.apply(
        inputs.student, inputs.head, None, inputs.teacher, inputs.head, None, beta
    )[0]
    return value


CONTENDERS: dict[str, Callable[[Inputs, Kind], Tensor]] = {
    "ours": lambda inputs, kind: linear_divergence(inputs.student, inputs.teacher, inputs.head, inputs.head, kind),
    "dense": lambda inputs, kind: dense_divergence(inputs.student, inputs.teacher, inputs.head, inputs.head, kind),
    "trl": trl_divergence,
}


def step(name: str, inputs: Inputs, kind: Kind) -> tuple[Tensor, Tensor]:
    """Values and the student's gradient, as in a training step."""
    value = CONTENDERS[name](inputs, kind)
    (gradient,) = torch.autograd.grad(value.sum(), inputs.student)
    return value.detach(), gradient


def seconds(inputs: Inputs, kind: Kind, rounds: int, clock: str) -> dict[str, list[float]]:
    """Time of each round, all contenders in turn."""
    now = time.process_time if clock == "cpu" else time.perf_counter
    times: dict[str, list[float]] = {name: [] for name in CONTENDERS}
    for _ in range(rounds):
        for name, taken in times.items():
            start = now()
            step(name, inputs, kind)
            taken.append(now() - start)
    return times


def errors(kind: Kind) -> dict[str, dict[str, float]]:
    """Largest relative error of a token's value, and relative error of the gradient by norm."""
    inputs = make_inputs(CHECKED_TOKENS)
    exact = Inputs(*(tensor.detach().double() for tensor in inputs))
    value, gradient = step("dense", exact._replace(student=exact.student.requires_grad_()), kind)
    found = {}
    for name in CONTENDERS:
        v, g = step(name, inputs, kind)
        found[name] = {
            "value": ((v - value) / value).abs().max().item(),
            "gradient": ((g - gradient).norm() / gradient.norm()).item(),
        }
    return found


def at_identity(kind: Kind) -> float:
    """Largest value or gradient element when both sides are the same; should be 0."""
    inputs = make_inputs(CHECKED_TOKENS)
    value, gradient = step("ours", inputs._replace(teacher=inputs.student.detach().clone()), kind)
    return max(value.abs().max().item(), gradient.abs().max().item())


def measure_peak(name: str, kind: Kind, tokens: int) -> float:
    """Peak memory of one step, MiB, after a warm-up of the libraries on 8 tokens."""
    inputs = make_inputs(tokens)
    step(name, Inputs(inputs.student[:8].detach().requires_grad_(), inputs.teacher[:8], inputs.head), kind)
    return growth_mib(lambda: step(name, inputs, kind))


def peak_mib(name: str, kind: Kind, tokens: int, threads: int) -> float:
    """`measure_peak` in a fresh process: a heap that has grown once hides the next peak."""
    command = [sys.executable, __file__, "--threads", str(threads), "--peak-of", name, kind, str(tokens)]
    return float(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def compare(kind: Kind, tokens: int, rounds: int, threads: int, clock: str) -> dict[str, Any]:
    """One row of the table."""
    peaks = {name: round(peak_mib(name, kind, tokens, threads), 1) for name in CONTENDERS}
    times = seconds(make_inputs(tokens), kind, rounds, clock)
    row: dict[str, Any] = {"kind": kind, "tokens": tokens, "peak_mib": peaks}
    row["seconds"] = {name: round(median(taken), 3) for name, taken in times.items()}
    for other in ("dense", "trl"):
        row[f"ours_over_{other}"] = round(median(a / b for a, b in zip(times["ours"], times[other], strict=True)), 3)
    return row


def line(row: dict[str, Any]) -> str:
    """A row of the table that `main` prints."""
    times = "".join(f"{row['seconds'][name]:7.2f}" for name in CONTENDERS)
    peaks = "".join(f"{row['peak_mib'][name]:7.0f}" for name in CONTENDERS)
    ratios = f"{row['ours_over_dense']:10.2f} {row['ours_over_trl']:9.2f}"
    return f"{row['kind']:10} {row['tokens']:6} | {times:>22} | {ratios} | {peaks:>24}"


def main() -> None:
    """Measure, print the table, write the result."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", type=Path, help="where to write the result")
    parser.add_argument("--tokens", type=int, nargs="+", default=[512, 1024])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--clock", choices=["wall", "cpu"], default="wall", help="cpu: for a busy machine, 1 thread")
    parser.add_argument(
        "--peak-of", nargs=3, metavar=("NAME", "KIND", "TOKENS"), help="print one peak in MiB and leave"
    )
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    if arguments.peak_of:
        name, kind, tokens = arguments.peak_of
        print(measure_peak(name, kind, int(tokens)))
        return

    error = {kind: errors(kind) for kind in get_args(Kind)}
    identity = {kind: at_identity(kind) for kind in get_args(Kind)}
    print("divergence tokens | s: ours  dense    trl | over dense  over trl | MiB: ours  dense    trl")
    rows = []
    for kind in get_args(Kind):
        for tokens in arguments.tokens:
            row = compare(kind, tokens, arguments.rounds, arguments.threads, arguments.clock)
            rows.append(row)
            print(line(row), flush=True)
    result = {
        "command": f"python bench/divergence.py {' '.join(sys.argv[1:])}",
        "width": WIDTH,
        "vocabulary": VOCAB,
        "cores": os.cpu_count(),
        "versions": {"torch": torch.__version__, "trl": trl.__version__},
        "worst": {
            "ours_over_dense": max(row["ours_over_dense"] for row in rows),
            "ours_over_trl": max(row["ours_over_trl"] for row in rows),
            "peak_mib": max(row["peak_mib"]["ours"] for row in rows),
            "relative_error": max(max(found["ours"].values()) for found in error.values()),
            "at_identity": max(identity.values()),
        },
        "rows": rows,
        "relative_error": error,
    }
    print(json.dumps(result["worst"]))
    if arguments.json:
        arguments.json.write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
