"""What a training step costs at the size of published models: operations and memory, counted without computing any.

`python bench/flops.py --json FILE --page FILE`. Each model is built from its published configuration (`published.py`)
with weights that have no values (`uncomputed.py`), and earwise's own code runs on it: layouts, `collate`, objectives,
the backward pass. Beside each count stands what `earwise plan` says of the same step, over what is counted.

A step is one sample, so nothing is padded. It is counted on models of few layers, from which the numbers of all layers
follow exactly (`depth.py`); `--whole` counts all layers themselves.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final
from unittest import mock

import numpy as np
import torch
from depth import deep
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
from earwise.grpo_settings import FormatReward, GrpoTerm
from earwise.micro.words import VOCABULARY
from earwise.models import OmniModel, Sample, Turn
from earwise.models.batch import ViewBatch, collate
from earwise.models.layout import Layout
from earwise.planning.cost import Pass, Shown, Sizes, drawing_flops, step_flops, step_memory
from earwise.records import Item
from earwise.traces import local_sampling
from earwise.training_settings import LayersTerm, LogitsTerm, SftTerm, Term

PREFIXES, SPEECH = (320, 1200), (50, 300)
"""Tokens of the picture, and of the spoken question at 25 a second."""
ANSWER, GROUP = 60, 8
"""Tokens of an answer, the one that ends it included; answers of GRPO to one prompt."""
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
"""Terms, and whether a prefix is shared."""
REWARDED: Final = {"grpo_repeated": False, "grpo_shared": True}
"""Whether a prompt is computed once for its group."""

Numbers = dict[str, int]


def make_sample(model: OmniModel, folder: Path, prefix: int, speech: int) -> Sample:
    """A spoken question of `speech` tokens about a picture of about `prefix` tokens, with its typed form."""
    rng = np.random.default_rng(0)
    seconds = speech / TOKENS_PER_S
    path, clip = folder / f"{prefix}.png", folder / f"{speech}.wav"
    model.family._images[path] = picture(model.family, prefix)
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
    """One step of a `PolicyObjective` for one prompt: its answers are drawn, and learned from."""
    prompt = Prompt(sample, model.layouts.build(sample, SPOKEN, answers=False))
    one, two, three = (_drawn(model, prompt, tokens, shared) for tokens in (1, 2, 3))
    # Each step reads one token more than the one before it, so its cost grows by the same each time.
    drawing = one + (ANSWER - 1) * (two - one) + (ANSWER - 1) * (ANSWER - 2) // 2 * (three - 2 * two + one)
    learning = counted(lambda: _learn(model, sample, shared), model.parameters())
    return {"flops": drawing + learning.flops, "activation_bytes": learning.saved_bytes, "drawing_flops": drawing}


def _drawn(model: OmniModel, prompt: Prompt, tokens: int, shared: bool) -> int:
    """Operations of drawing the answers to `prompt`. Only which tokens they are cannot be known without values."""
    source = LocalRollouts(model, max_tokens=tokens, temperature=1.0)
    prompts, each = ([prompt], GROUP) if shared else ([prompt] * GROUP, 1)
    with mock.patch.object(local_sampling, "choose", _any_word):
        return counted(lambda: source.draw(prompts, list(range(len(prompts))), each)).flops


def _any_word(logits: Tensor, draws: Tensor, sampling: object) -> tuple[Tensor, Tensor]:
    return torch.full((len(draws),), _WORD), torch.zeros(len(draws))


_WORD: Final = 5


@dataclass(frozen=True)
class _Given:
    """A source of answers that are there already."""

    ids: tuple[int, ...]

    def draw(self, prompts: Sequence[Prompt], seeds: Sequence[int], group: int) -> list[list[Completion]]:
        """As `RolloutSource.draw`."""
        return [[Completion(self.ids, "word", ended=True)] * group for _ in prompts]


def _learn(model: OmniModel, sample: Sample, shared: bool) -> None:
    """The pass that is learned from. Equal answers have no advantage: the pass is the same, and its gradient is 0."""
    model.zero_grad(set_to_none=True)
    ids = (_WORD,) * (ANSWER - 1) + (model.family.stop_ids[0],)
    objective = PolicyObjective(GRPO, model, SPOKEN, make_rewards(GRPO.rewards), _Given(ids), seed=0)
    batch = objective.collate([sample])["batch"]
    objective.begin(0, [batch])
    assert batch.rollouts is not None
    if not shared:
        layouts = [replace(row, starts=()) for row in _completed(batch.prompts[0].layout, ids, 1)] * GROUP
        views = {POLICY: collate({POLICY: layouts}, model.family, share_prefix=False).views[POLICY]}
        batch.rollouts.views = ViewBatch(views, None)
    with torch.autocast("cpu", torch.bfloat16):
        losses = objective.losses(model, batch)
    sum(loss.sum() for loss in losses.values()).backward()  # type: ignore[union-attr]


def _completed(prompt: Layout, ids: tuple[int, ...], group: int) -> list[Layout]:
    return [completed(prompt, [ids] * group)]


def count(model: OmniModel, method: str, sample: Sample, whole: bool) -> Numbers:
    """What one step by `method` takes."""

    def once() -> Numbers:
        if method in TAUGHT:
            return taught(model, sample, *TAUGHT[method])
        return rewarded(model, sample, REWARDED[method])

    return once() if whole else deep(model, once)


def planned(model: OmniModel, method: str, sample: Sample) -> Numbers:
    """What `earwise plan` says of the same step."""
    sizes = Sizes.of(model, bfloat16=True)
    if method in REWARDED:
        return _planned_reward(model, sample, sizes, REWARDED[method])
    terms, shared = TAUGHT[method]
    views = [SPOKEN] if terms is SFT else [SPOKEN, TYPED]
    rows = [[model.layouts.build(sample, view, answers=True) for view in views]]
    passes = [Pass([Shown.of(rows[0][n], sizes)], learns=n == 0) for n in range(len(views))]
    shares = prefixes(rows) if shared else [0]
    memory = step_memory(passes[0], shares, sizes, terms, batch=1)
    return {"flops": round(step_flops(passes, shares, terms, sizes)), "activation_bytes": round(memory.activations)}


def _planned_reward(model: OmniModel, sample: Sample, sizes: Sizes, shared: bool) -> Numbers:
    prompt = model.layouts.build(sample, SPOKEN, answers=False)
    ids = (_WORD,) * ANSWER
    rows = _completed(prompt, ids, GROUP) if shared else _completed(prompt, ids, 1) * GROUP
    learned = Pass([Shown.of(row, sizes) for row in rows], learns=True)
    prompts, answers = ([Shown.of(prompt, sizes)], GROUP) if shared else ([Shown.of(prompt, sizes)] * GROUP, 1)
    none = [0] * len(rows)
    drawing = drawing_flops(prompts, sizes, answers=answers, tokens=ANSWER)
    memory = step_memory(learned, none, sizes, [GRPO], batch=len(rows))
    flops = round(drawing + step_flops([learned], none, [GRPO], sizes))
    return {"flops": flops, "activation_bytes": round(memory.activations)}
