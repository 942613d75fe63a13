"""Time of GRPO's rollouts: one pass for all completions of a prompt, compared with one pass for each.

Both sides sample with the same function, weights and seeds: `python bench/rollout.py --json FILE`. `shared` passes each
prompt through the model once and draws G samples on top of it; `repeated` passes it G times, as a script does that
repeats its prompts. Both draw the same completions, so their log-probabilities can be compared. The sides take turns in
one process; ratios are medians over the rounds, in processor time and in wall time.
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
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import torch
from models import CPU, build, spoken_questions

from earwise.distil.policy_batch import completed
from earwise.models import OmniModel
from earwise.models.batch import collate
from earwise.models.layout import Layout
from earwise.models.states import Ask
from earwise.traces.local_sampling import Sampled, sample
from earwise.traces.requests import Sampling

TEXT_TOKENS, SPEECH_S = (6, 18), (2.0, 6.0)
_NAME = "prompt"


def make_prompts(model: OmniModel, folder: Path, count: int, image_tokens: int) -> list[Layout]:
    """Spoken questions of varying length about images, without answers."""
    samples = spoken_questions(model, folder, count, image_tokens, TEXT_TOKENS, SPEECH_S)
    return [model.layouts.build(one, "image_speech", answers=False) for one in samples]


def draw(model: OmniModel, prompts: list[Layout], group: int, tokens: int, *, shared: bool) -> list[Sampled]:
    """`group` samples of each prompt; sample i of prompt b has the same seed on both sides."""
    seeds = [[1000 * b + i for i in range(group)] for b in range(len(prompts))]
    rows = prompts if shared else [prompt for prompt in prompts for _ in range(group)]
    batch = collate({_NAME: rows}, model.family, share_prefix=False).views[_NAME]
    return sample(model, batch, seeds if shared else [[one] for some in seeds for one in some], Sampling(tokens))


def learn(model: OmniModel, prompts: list[Layout], drawn: list[Sampled], group: int, *, shared: bool) -> None:
    """The learning pass, forward and backward, with completions as turns after one prompt, or one prompt each."""
    ids = [one.ids or [0] for one in drawn]
    groups = [ids[start : start + group] for start in range(0, len(ids), group)]
    if shared:
        rows = [completed(prompt, some) for prompt, some in zip(prompts, groups, strict=True)]
    else:
        rows = [completed(prompt, [one]) for prompt, some in zip(prompts, groups, strict=True) for one in some]
        rows = [replace(row, starts=()) for row in rows]
    states = model(collate({_NAME: rows}, model.family, share_prefix=False), {_NAME: Ask(learn=True)})
    states[_NAME].hidden.square().mean().backward()


def timed(work: Callable[[], object]) -> tuple[float, float]:
    """Processor time and wall time of `work`, in seconds."""
    wall, cpu = time.perf_counter(), time.process_time()
    work()
    return time.process_time() - cpu, time.perf_counter() - wall


def turns(works: dict[str, Callable[[], object]], rounds: int) -> dict[str, list[tuple[float, float]]]:
    """Times of `works`, which take turns, without a first round to warm up."""
    times: dict[str, list[tuple[float, float]]] = {name: [] for name in works}
    for n in range(rounds + 1):
        for name, work in works.items():
            found = timed(work)
            if n:
                times[name].append(found)
            print(f"round {n}: {name} {found[0]:.2f} s processor, {found[1]:.2f} s wall", flush=True)
    return times


def ratios(times: dict[str, list[tuple[float, float]]], key: str, clock: str) -> dict[str, float]:
    """Medians of repeated / shared: `key` by the chosen clock, and for each clock."""
    pairs = list(zip(times["repeated"], times["shared"], strict=True))
    cpu, wall = (statistics.median(a[i] / b[i] for a, b in pairs) for i in (0, 1))
    return {key: cpu if clock == "cpu" else wall, f"{key}_cpu": cpu, f"{key}_wall": wall}


def bench(given: argparse.Namespace) -> dict[str, object]:
    """All numbers."""
    torch.manual_seed(0)
    with tempfile.TemporaryDirectory() as folder:
        model = build("internvl", CPU, Path(folder) / "base", "cpu", torch.float32, given.image_tokens).eval()
        prompts = make_prompts(model, Path(folder), given.prompts, given.image_tokens)
        sides = {"repeated": False, "shared": True}

        def both(tokens: int) -> dict[str, Callable[[], object]]:
            return {
                name: lambda shared=shared: draw(model, prompts, given.group, tokens, shared=shared)
                for name, shared in sides.items()
            }

        found = {name: draw(model, prompts, given.group, given.new_tokens, shared=how) for name, how in sides.items()}
        model.family.backbone.requires_grad_(True)
        passes = {
            name: lambda how=how: learn(model, prompts, found["shared"], given.group, shared=how)
            for name, how in sides.items()
        }
        numbers = {
            **ratios(turns(both(1), given.rounds), "prompt_speedup", given.clock),
            **ratios(turns(both(given.new_tokens), given.rounds), "rollout_speedup", given.clock),
            **ratios(turns(passes, given.rounds), "pass_speedup", given.clock),
        }
    pairs = list(zip(found["repeated"], found["shared"], strict=True))
    apart = [abs(a - b) for one, other in pairs for a, b in zip(one.logprobs, other.logprobs, strict=True)]
    return {
        **{key: value for key, value in vars(given).items() if key != "json"},
        "prompt_tokens": [len(prompt) for prompt in prompts],
        "completions": len(pairs),
        "same_completions": all(one.ids == other.ids for one, other in pairs),
        "max_logprob_difference": max(apart),
        "tokens_compared": len(apart),
        **numbers,
    }


def main() -> int:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", type=Path, help="where to write the numbers")
    parser.add_argument("--prompts", type=int, default=4)
    parser.add_argument("--group", type=int, default=8, help="completions of each prompt")
    parser.add_argument("--new-tokens", type=int, default=32, help="longest completion; a random model uses all of it")
    parser.add_argument("--image-tokens", type=int, default=144, help="per image, a square number")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--clock", choices=("wall", "cpu"), default="wall", help="cpu: on a busy machine")
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    results = bench(given)
    print(json.dumps(results, indent=2))
    if given.json:
        given.json.write_text(json.dumps(results, indent=2) + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
