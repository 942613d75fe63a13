"""The cost of a training step at the size of published models: operations and memory, counted without computing.

`python bench/flops.py --json FILE --page FILE`. Each model is built from its published configuration (`published.py`)
with weights without values (`uncomputed.py`), and earwise's own code runs on it: layouts, `collate`, objectives, the
backward pass. The estimate of `earwise plan` for the same step is reported as a ratio to each count.

A step is one sample, so there is no padding. It is counted on models with few layers, from which the numbers of all
layers follow exactly (`depth.py`); `--whole` counts all layers.
"""

from __future__ import annotations

from earwise.work.threads import prepare

prepare()  # before torch is loaded, which reads the environment once

import argparse
import itertools
import json
import sys
import tempfile
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from multiprocessing import get_context
from pathlib import Path
from typing import Any, Final
from unittest import mock

import numpy as np
import torch
import transformers
from depth import deep
from flops_page import page
from published import MODELS, picture, published_model, whisper_sizes
from step import step
from torch import Tensor
from uncomputed import counted

from earwise.data.media import save_wav
from earwise.distil.objective import Objective
from earwise.distil.policy import PolicyObjective
from earwise.distil.policy_batch import POLICY, completed
from earwise.distil.rewards import make_rewards
from earwise.distil.rollouts import Completion, LocalRollouts, Prompt
from earwise.distil.terms import make_term
from earwise.micro.words import VOCABULARY
from earwise.models import OmniModel, Sample, Turn
from earwise.models.batch import ViewBatch, collate
from earwise.models.families import ImageInput
from earwise.planning.cost import Pass, drawing_flops, shared_starts, step_flops, step_memory
from earwise.planning.sizes import Shown, Sizes
from earwise.recipe.terms import FormatReward, GrpoTerm
from earwise.recipe.train import LayersTerm, LogitsTerm, SftTerm, Term
from earwise.records import Item
from earwise.traces import local_sampling

PREFIXES, SPEECH = (320, 1200), (50, 300)
"""Tokens of the picture, and of the spoken question at 25 per second."""
ANSWER, GROUP = 60, 8
"""Tokens of an answer with the end-of-turn token, and GRPO's answers per prompt."""
WORDS_PER_S, TOKENS_PER_S = 3, 25
SPOKEN, TYPED = "image_speech", "image_text"

SFT: Final = (SftTerm(type="sft", weight=0.25),)
SELF_KD: Final = (*SFT, LogitsTerm(type="logits", weight=0.75))
WITH_LAYERS: Final = (*SELF_KD, LayersTerm(type="layers", weight=0.05))
GRPO: Final = GrpoTerm(
    type="grpo", weight=1.0, rewards=(FormatReward(type="format", weight=1.0),), group=GROUP, max_tokens=ANSWER,
    beta=0.0, drop_equal=True,
)  # fmt: skip
TAUGHT: Final[dict[str, tuple[tuple[Term, ...], bool]]] = {
    "sft_whole": (SFT, False),
    "sft_prefix": (SFT, True),
    "selfkd_naive": (SELF_KD, False),
    "selfkd_shared": (SELF_KD, True),
    "selfkd_shared_layers": (WITH_LAYERS, True),
}
"""Terms, and whether the prefix is shared."""
REWARDED: Final = {"grpo_repeated": False, "grpo_shared": True}
"""Whether a prompt is computed once for its group."""

Numbers = dict[str, int]


def make_sample(model: OmniModel, folder: Path, prefix: int, speech: int) -> Sample:
    """A spoken question of `speech` tokens about a picture of about `prefix` tokens, with its typed form."""
    rng = np.random.default_rng(0)
    seconds = speech / TOKENS_PER_S
    path, clip = folder / f"{prefix}.png", folder / f"{speech}.wav"
    model.family._images[path, False] = picture(model.family, prefix)
    markers = 2 if getattr(model.ears, "markers", None) is not None else 0
    waveform = 0.1 * rng.standard_normal(round((seconds - markers / TOKENS_PER_S) * 16_000)).astype(np.float32)
    save_wav(clip, waveform)
    question = " ".join(rng.choice(VOCABULARY, round(seconds * WORDS_PER_S)))
    answer = " ".join(rng.choice(VOCABULARY, ANSWER - 1))
    item = Item(id="0", source="bench", question=question, answers=(answer,), cluster="0")
    return Sample((Turn(item, question, clip=clip, num_samples=len(waveform)),), path)


def taught(model: OmniModel, sample: Sample, terms: Sequence[Term], shared: bool) -> Numbers:
    """One step of an `Objective`."""
    objective = Objective(SPOKEN, [make_term(term) for term in terms], model, share_prefix=shared)
    found = counted(lambda: step(model, objective, [sample], autocast=True), model.parameters())
    return {"flops": found.flops, "activation_bytes": found.saved_bytes}


def rewarded(model: OmniModel, sample: Sample, shared: bool) -> Numbers:
    """One step of a `PolicyObjective` for one prompt: sampling of the answers and learning."""
    prompt = Prompt(sample, model.layouts.build(sample, SPOKEN, answers=False))
    one, two, three = (_drawn(model, prompt, tokens, shared) for tokens in (1, 2, 3))
    # Each step reads one more token than the one before, so its cost grows linearly.
    drawing = one + (ANSWER - 1) * (two - one) + (ANSWER - 1) * (ANSWER - 2) // 2 * (three - 2 * two + one)
    learning = counted(lambda: _learn(model, sample, shared), model.parameters())
    return {"flops": drawing + learning.flops, "activation_bytes": learning.saved_bytes, "drawing_flops": drawing}


def _drawn(model: OmniModel, prompt: Prompt, tokens: int, shared: bool) -> int:
    """Operations of sampling the answers to `prompt`. Only the choice of tokens needs values, and is replaced."""
    source = LocalRollouts(model, max_tokens=tokens, temperature=1.0)
    prompts, each = ([prompt], GROUP) if shared else ([prompt] * GROUP, 1)
    with mock.patch.object(local_sampling, "choose", _any_word):
        return counted(lambda: source.draw(prompts, list(range(len(prompts))), each)).flops


def _any_word(logits: Tensor, draws: Tensor, sampling: object) -> tuple[Tensor, Tensor]:
    return torch.full((len(draws),), _WORD), torch.zeros(len(draws))


_WORD: Final = 5


@dataclass(frozen=True)
class _Given:
    """A source of given answers."""

    ids: tuple[int, ...]
    """Tokens of all answers; the last answer lacks the first token, so that lengths differ as usual."""

    def draw(self, prompts: Sequence[Prompt], seeds: Sequence[int], group: int) -> list[list[Completion]]:
        """As `RolloutSource.draw`."""
        return [[Completion(ids, "word", ended=True) for ids in _ragged(self.ids, group)] for _ in prompts]


def _ragged(ids: tuple[int, ...], group: int) -> list[tuple[int, ...]]:
    return [ids] * (group - 1) + [ids[1:]]


def _learn(model: OmniModel, sample: Sample, shared: bool) -> None:
    """The learning pass. Equal answers have no advantage: the pass is the same, and its gradient is 0."""
    model.zero_grad(set_to_none=True)
    ids = (_WORD,) * (ANSWER - 1) + (model.family.stop_ids[0],)
    objective = PolicyObjective(GRPO, model, SPOKEN, make_rewards(GRPO.rewards), _Given(ids), seed=0)
    batch = objective.collate([sample])["batch"]
    objective.begin(0, [batch])
    assert batch.rollouts is not None
    if not shared:
        layouts = [replace(completed(batch.prompts[0].layout, [one]), starts=()) for one in _ragged(ids, GROUP)]
        views = {POLICY: collate({POLICY: layouts}, model.family, share_prefix=False).views[POLICY]}
        batch.rollouts.views = ViewBatch(views, None)
    with torch.autocast("meta", torch.bfloat16):
        losses = objective.losses(model, batch)
    sum(loss.sum() for loss in losses.values()).backward()  # type: ignore[union-attr]


def count(model: OmniModel, method: str, sample: Sample, whole: bool) -> Numbers:
    """The cost of one step by `method`."""

    def once() -> Numbers:
        if method in TAUGHT:
            return taught(model, sample, *TAUGHT[method])
        return rewarded(model, sample, REWARDED[method])

    return once() if whole else deep(model, once)


def planned(model: OmniModel, method: str, sample: Sample) -> Numbers:
    """The estimate of `earwise plan` for the same step."""
    sizes = Sizes.of(model, bfloat16=True)
    if method in REWARDED:
        return _planned_reward(model, sample, sizes, REWARDED[method])
    terms, shared = TAUGHT[method]
    views = [SPOKEN] if terms is SFT else [SPOKEN, TYPED]
    rows = [[model.layouts.build(sample, view, answers=True) for view in views]]
    passes = [Pass([Shown.of(rows[0][n], sizes)], learns=n == 0) for n in range(len(views))]
    shares = shared_starts(rows) if shared else [0]
    memory = step_memory(passes[0], shares, sizes, terms, batch=1)
    return {"flops": round(step_flops(passes, shares, terms, sizes)), "activation_bytes": round(memory.activations)}


def _planned_reward(model: OmniModel, sample: Sample, sizes: Sizes, shared: bool) -> Numbers:
    prompt = model.layouts.build(sample, SPOKEN, answers=False)
    ids = (_WORD,) * ANSWER
    rows = [completed(prompt, [ids] * GROUP)] if shared else [completed(prompt, [ids])] * GROUP
    learned = Pass([Shown.of(row, sizes) for row in rows], learns=True)
    prompts, answers = ([Shown.of(prompt, sizes)], GROUP) if shared else ([Shown.of(prompt, sizes)] * GROUP, 1)
    none = [0] * len(rows)
    drawing = drawing_flops(prompts, sizes, answers=answers, tokens=ANSWER)
    memory = step_memory(learned, none, sizes, [GRPO], batch=len(rows))
    flops = round(drawing + step_flops([learned], none, [GRPO], sizes))
    return {"flops": flops, "activation_bytes": round(memory.activations)}


def rows_of(name: str, whole: bool) -> list[dict[str, Any]]:
    """All rows of the table for one model."""
    model, rows = published_model(name), []
    with tempfile.TemporaryDirectory() as folder:
        for prefix, speech in itertools.product(PREFIXES, SPEECH):
            sample = make_sample(model, Path(folder), prefix, speech)
            image = model.family.load_image(sample.image)
            seeing = deep(model, lambda image=image: {"flops": _seen(model, image)})["flops"]
            found = {method: count(model, method, sample, whole) for method in (*TAUGHT, *REWARDED)}
            said = {method: planned(model, method, sample) for method in found}
            lengths = {"prefix": prefix, "speech": speech, "picture_tokens": image.num_tokens}
            new = [
                {"model": name, **lengths, "method": method, **_ratios(method, found, said, seeing)} for method in found
            ]
            for row in new:
                print(json.dumps(row), flush=True)
            rows += new
    return rows


def _seen(model: OmniModel, image: ImageInput) -> int:
    """Operations of the vision tower on one image."""
    with torch.no_grad():
        return counted(lambda: model.family.encode_images([image])).flops


def _ratios(method: str, found: dict[str, Numbers], said: dict[str, Numbers], seeing: int) -> dict[str, Any]:
    mine, whole, prefix = found[method], found["sft_whole"], found["sft_prefix"]
    row: dict[str, Any] = {
        **mine,
        "over_sft_whole": mine["flops"] / whole["flops"],
        "over_sft_prefix": mine["flops"] / prefix["flops"],
        "memory_over_sft_whole": mine["activation_bytes"] / whole["activation_bytes"],
        "plan_flops_ratio": said[method]["flops"] / mine["flops"],
        "plan_memory_ratio": said[method]["activation_bytes"] / mine["activation_bytes"],
    }
    if method in TAUGHT:  # the tower sees the picture once
        row["vision_flops"] = seeing
        row["over_sft_whole_without_vision"] = (mine["flops"] - seeing) / (whole["flops"] - seeing)
        row["over_sft_prefix_without_vision"] = (mine["flops"] - seeing) / (prefix["flops"] - seeing)
    return row


def main() -> int:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", type=Path, help="where to write the numbers")
    parser.add_argument("--page", type=Path, help="where to write them as tables")
    parser.add_argument("--models", nargs="+", choices=MODELS, default=[*MODELS])
    parser.add_argument("--workers", type=int, default=1, help="processes, each with a model of its own")
    parser.add_argument("--whole", action="store_true", help="count every layer: 10 times as long, the same numbers")
    given = parser.parse_args()
    torch.set_num_threads(1)
    with ProcessPoolExecutor(given.workers, get_context("fork")) as pool:
        rows = [row for some in pool.map(rows_of, given.models, [given.whole] * len(given.models)) for row in some]
    whisper, encoder = whisper_sizes()
    sizes = {name: {"checkpoint": MODELS[name].checkpoint, "card_billions": MODELS[name].card} for name in given.models}
    for name in given.models:
        sizes[name]["parameters"] = sum(p.numel() for p in published_model(name).base.parameters())
    results = {
        "answer_tokens": ANSWER,
        "group": GROUP,
        "torch": torch.__version__,
        "transformers": transformers.__version__,
        "models": sizes,
        "whisper_large_v3": {"parameters": whisper, "encoder_parameters": encoder},
        "rows": rows,
    }
    if given.json:
        given.json.write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")
    if given.page:
        given.page.write_text(page(results), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
