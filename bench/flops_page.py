"""The page of `flops.py`: its numbers as tables."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

_HEAD = """# What a step costs at the size of published models

Command: `python bench/flops.py --json docs/results/flops.json --page docs/results/flops.md`. Operations are
counted, not timed: each model is built from its published configuration on torch's meta device, earwise's own code
runs one step on it, and torch's `FlopCounterMode` counts the products ([method](../../bench/README.md#flopspy)).
Parameters, compared with the model cards:

{sizes}

One step has one sample: a picture, a spoken question at 25 tokens per second, an answer of {answer} tokens, and the
same question typed for the teacher. The base is frozen, in bfloat16. The trained part is ears with
Whisper-large-v3's encoder ({encoder:.2f} of its {whisper:.2f} billion parameters) under autocast, as in
`recipes/self_kd/paper.toml`; for the natively hearing Qwen2.5-Omni it is the projection of its audio tower. An
InternVL cuts a picture into tiles of 256 tokens, so the sizes 320 and 1,200 are 256 and 1,280 tokens.

## Operations

The first column has the operations of a step of **SFT on whole sequences**; the next four are ratios to it. `SFT,
prefix` computes everything before the question without a gradient, as earwise does by default. Naive Self-KD makes
two full passes; shared Self-KD computes their common start once; `layers` also compares hidden states. The last two
columns are the ratios of shared Self-KD to **SFT with its own prefix shared**, and to SFT on whole sequences
without the vision tower on either side.

{operations}

Over all rows, the ratio of Self-KD on a shared prefix is {kd_whole} to SFT on whole sequences and {kd_prefix} to
SFT with its own prefix shared. With 1,200 picture tokens it is {kd_whole_1200} and {kd_prefix_1200}; without the
vision tower, {kd_seen_1200} and {kd_prefix_seen_1200}. The tower is {tower_1200} of such a step of SFT on whole
sequences, and every method runs it once.

The goal was at most 0.55 of SFT on whole sequences and at most 1.25 of SFT with its prefix shared, at 1,200 picture
tokens. {aim}

## Memory

Activations of one sample that are saved for the backward pass, in MiB: all tensors that autograd saves, each
storage once, without weights and their casts. Ratios are to SFT on whole sequences. Not included are logits, of
which one block exists at a time, and temporary tensors inside a layer.

{memory}

## GRPO

One prompt and {group} answers of {answer} tokens, sampled and then learned from, without a reference. `shared`
computes the prompt once for all answers, in sampling and in learning; `repeated` computes it once for each.

{grpo}

## `earwise plan`

Estimates of the plan divided by the counts, over all {count} rows: operations {plan_flops}, memory {plan_memory}.

What this does not show: time. Operations do not all run at the same speed: the prefix is one long forward pass, the
rest are short passes, and attention and norms are limited by memory. `bench/step.py --preset h200` times the same
kinds of steps on a GPU, with their share of its peak; it has not been run. Padding and the optimiser are left out.
Attention is counted as the kernel with a mask: dense, with scores recomputed in the backward pass. Memory is what
is saved, not the peak.
"""

Row = dict[str, Any]


def page(results: dict[str, Any]) -> str:
    """The results of `flops.py` as Markdown."""
    rows: list[Row] = results["rows"]
    cells = {(row["model"], row["prefix"], row["speech"], row["method"]): row for row in rows}
    places = list(dict.fromkeys(key[:3] for key in cells))
    shared = [row for row in rows if row["method"] == "selfkd_shared"]
    long = [row for row in shared if row["prefix"] == 1200]
    whole_long = [row for row in rows if row["method"] == "sft_whole" and row["prefix"] == 1200]
    whisper = results["whisper_large_v3"]
    return _HEAD.format(
        sizes=_sizes(results["models"]),
        answer=results["answer_tokens"],
        group=results["group"],
        encoder=whisper["encoder_parameters"] / 1e9,
        whisper=whisper["parameters"] / 1e9,
        operations=_operations(places, cells),
        memory=_memory(places, cells),
        grpo=_grpo(places, cells),
        kd_whole=_range(shared, "over_sft_whole"),
        kd_prefix=_range(shared, "over_sft_prefix"),
        kd_whole_1200=_range(long, "over_sft_whole"),
        kd_prefix_1200=_range(long, "over_sft_prefix"),
        kd_seen_1200=_range(long, "over_sft_whole_without_vision"),
        kd_prefix_seen_1200=_range(long, "over_sft_prefix_without_vision"),
        tower_1200=_between([row["vision_flops"] / row["flops"] for row in whole_long]),
        aim=_aim(long),
        count=len(rows),
        plan_flops=_range(rows, "plan_flops_ratio", 3),
        plan_memory=_range(rows, "plan_memory_ratio", 3),
    )


def _aim(rows: Sequence[Row]) -> str:
    """The number of `rows` that meet the goal, as sentences."""
    first, second = (
        sum(row[key] <= most for row in rows) for key, most in (("over_sft_whole", 0.55), ("over_sft_prefix", 1.25))
    )
    seen = sum(row["over_sft_whole_without_vision"] <= 0.55 for row in rows)
    return (
        f"The first is met in {first} of {len(rows)} rows ({seen} without the tower), the second in {second}.\n"
        "With a frozen base, the backward pass costs as much as the forward pass, so a prefix without a gradient\n"
        "saves at most half of a step. The teacher's tokens, the ears and the tower are additional."
    )


def _sizes(models: dict[str, Any]) -> str:
    lines = [
        (name, one["checkpoint"], f"{one['parameters']:,}", f"{one['card_billions'] or '-'}")
        for name, one in models.items()
    ]
    return _table(("model", "configuration", "parameters", "billions on its card"), lines)


def _operations(places: Sequence[tuple], cells: dict[tuple, Row]) -> str:
    def line(place: tuple) -> Iterable[str]:
        of = _finder(place, cells)
        yield f"{of('sft_whole')['flops'] / 1e12:.1f}"
        for method in ("sft_prefix", "selfkd_naive", "selfkd_shared", "selfkd_shared_layers"):
            yield f"{of(method)['over_sft_whole']:.2f}"
        yield f"**{of('selfkd_shared')['over_sft_prefix']:.2f}**"
        yield f"{of('selfkd_shared')['over_sft_whole_without_vision']:.2f}"

    titles = (
        "SFT, whole, TFLOP", "SFT, prefix", "Self-KD, naive", "Self-KD, shared", "and `layers`",
        "shared over SFT, prefix", "without the tower",
    )  # fmt: skip
    return _by_place(titles, places, line)


def _memory(places: Sequence[tuple], cells: dict[tuple, Row]) -> str:
    def line(place: tuple) -> Iterable[str]:
        of = _finder(place, cells)
        yield f"{of('sft_whole')['activation_bytes'] / 2**20:,.0f}"
        for method in ("sft_prefix", "selfkd_naive", "selfkd_shared", "selfkd_shared_layers"):
            yield f"{of(method)['memory_over_sft_whole']:.2f}"

    titles = ("SFT, whole, MiB", "SFT, prefix", "Self-KD, naive", "Self-KD, shared", "and `layers`")
    return _by_place(titles, places, line)


def _grpo(places: Sequence[tuple], cells: dict[tuple, Row]) -> str:
    def line(place: tuple) -> Iterable[str]:
        shared, repeated = (_finder(place, cells)(f"grpo_{how}") for how in ("shared", "repeated"))
        yield f"{repeated['flops'] / 1e12:.1f}"
        yield f"{shared['flops'] / repeated['flops']:.2f}"
        yield f"{shared['drawing_flops'] / repeated['drawing_flops']:.2f}"
        yield f"{shared['activation_bytes'] / repeated['activation_bytes']:.2f}"

    titles = ("repeated, TFLOP", "shared over repeated", "drawing alone", "activations")
    return _by_place(titles, places, line)


def _finder(place: tuple, cells: dict[tuple, Row]) -> Callable[[str], Row]:
    return lambda method: cells[*place, method]


def _by_place(titles: Sequence[str], places: Sequence[tuple], line: Callable[[tuple], Iterable[str]]) -> str:
    lines = [(str(name), f"{prefix:,}", str(speech), *line((name, prefix, speech))) for name, prefix, speech in places]
    return _table(("model", "picture", "speech", *titles), lines)


def _table(titles: Sequence[str], lines: Iterable[Sequence[str]]) -> str:
    return "\n".join("| " + " | ".join(cells) + " |" for cells in (titles, ["---"] * len(titles), *lines))


def _range(rows: Sequence[Row], key: str, digits: int = 2) -> str:
    return _between([row[key] for row in rows], digits)


def _between(values: Sequence[float], digits: int = 2) -> str:
    return f"{min(values):.{digits}f} to {max(values):.{digits}f}"
