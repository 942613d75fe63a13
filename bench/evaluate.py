"""Time to answer the same items typed and spoken: batched on a shared prefix, and one by one with Hugging Face.

Both sides use one model, eight layers deep and 256 wide, greedy decoding and the same ears: `python bench/evaluate.py
--json FILE`. One by one means that for each item and view the whole prompt goes through `generate`, as in a plain
script. The two sides take turns in one process, and only their ratio is reported.
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
from pathlib import Path

import torch
from models import Size, build, spoken_questions

from earwise.models import OmniModel, Sample
from earwise.models.batch import collate
from earwise.records import View

DEEP = Size(256, 8, 8, 4, 768, 2_048, 128, 2, 4, 128, 2, 4)
VIEWS: tuple[View, ...] = ("image_text", "image_speech")
TEXT_TOKENS, SPEECH_S = (6, 18), (1.5, 4.5)
SPREAD = 3.0
"""Factor on fresh weights, so that answers depend on the question."""

Answers = dict[View, list[str]]


def deep_model(folder: Path, image_tokens: int) -> OmniModel:
    """The model of both sides."""
    torch.manual_seed(0)
    model = build("internvl", DEEP, folder, "cpu", torch.float32, image_tokens).eval()
    with torch.no_grad():
        for weight in model.family.backbone.parameters():
            if weight.dim() > 1:
                weight.mul_(SPREAD)
    return model


def make_samples(model: OmniModel, folder: Path, count: int, image_tokens: int) -> list[Sample]:
    """Questions of varying length, sorted by length."""
    samples = spoken_questions(model, folder, count, image_tokens, TEXT_TOKENS, SPEECH_S)
    return sorted(samples, key=lambda sample: sample.turns[0].num_samples)  # as the runner does


def batched(model: OmniModel, samples: list[Sample], size: int, new_tokens: int) -> Answers:
    """As in `earwise evaluate`: all views of a batch on top of one prefix."""
    answers: Answers = {view: [] for view in VIEWS}
    for start in range(0, len(samples), size):
        found = model.generate_views(samples[start : start + size], views=VIEWS, max_new_tokens=new_tokens)
        for view in VIEWS:
            answers[view] += found[view]
    return answers


@torch.no_grad()
def one_by_one(model: OmniModel, samples: list[Sample], new_tokens: int) -> Answers:
    """Hugging Face's `generate` for each item and view; a clip enters as the embeddings of the same ears."""
    answers: Answers = {view: [] for view in VIEWS}
    tokenizer = model.family.tokenizer
    how = {"max_new_tokens": new_tokens, "do_sample": False, "pad_token_id": model.family.stop_ids[0]}
    for sample in samples:
        for view in VIEWS:
            layout = model.layouts.build(sample, view, answers=False)
            prompt = collate({view: [layout]}, model.family, share_prefix=False).views[view]
            if prompt.waveforms:
                inputs = {"inputs_embeds": model.embed(prompt, model.ears)}
            else:
                inputs = {"input_ids": prompt.ids, **prompt.images[0].tensors}
            ids = model.base.generate(
                **inputs, attention_mask=prompt.mask.long(), eos_token_id=list(model.family.stop_ids), **how
            )
            new = ids[0] if prompt.waveforms else ids[0, len(layout) :]
            answers[view].append(tokenizer.decode(new, skip_special_tokens=True).strip())
    return answers


def timed(work: Callable[[], Answers], clock: Callable[[], float]) -> tuple[float, Answers]:
    """The seconds and the result of `work`."""
    start = clock()
    answers = work()
    return clock() - start, answers


def bench(given: argparse.Namespace) -> dict[str, object]:
    """Median ratio over rounds in which the two sides take turns, after one round to warm up."""
    clock = time.process_time if given.clock == "cpu" else time.perf_counter
    times: dict[str, list[float]] = {"one_by_one": [], "batched": []}
    with tempfile.TemporaryDirectory() as folder:
        model = deep_model(Path(folder) / "base", given.image_tokens)
        samples = make_samples(model, Path(folder), given.items, given.image_tokens)
        prefix = len(model.layouts.build(samples[0], "image_text", answers=False))
        for n in range(given.rounds + 1):
            single_s, expected = timed(lambda: one_by_one(model, samples, given.new_tokens), clock)
            batched_s, found = timed(lambda: batched(model, samples, given.batch, given.new_tokens), clock)
            if n:
                times["one_by_one"].append(single_s)
                times["batched"].append(batched_s)
            print(f"round {n}: one by one {single_s:.2f} s, batched {batched_s:.2f} s", flush=True)
    pairs = [(a, b) for view in VIEWS for a, b in zip(expected[view], found[view], strict=True)]
    return {
        **{key: value for key, value in vars(given).items() if key != "json"},
        "views": list(VIEWS),
        "prompt_tokens_typed": prefix,
        "speedup": statistics.median(a / b for a, b in zip(*times.values(), strict=True)),
        "same_answers": all(a == b for a, b in pairs),
        "answers": len(pairs),
        "answers_that_differ": sum(a != b for a, b in pairs),
        "distinct_answers": len({a for a, _ in pairs}),
        **{f"{side}_s": statistics.median(seconds) for side, seconds in times.items()},
        "items_per_s": given.items / statistics.median(times["batched"]),
    }


def main() -> int:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", type=Path, help="where to write the numbers")
    parser.add_argument("--items", type=int, default=64)
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--new-tokens", type=int, default=24, help="longest answer; a random model uses all of it")
    parser.add_argument("--image-tokens", type=int, default=64, help="per image, a square number")
    parser.add_argument("--rounds", type=int, default=3)
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
