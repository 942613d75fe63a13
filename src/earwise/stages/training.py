"""Stages `align` and `train.NAME`: fit ears to a frozen base, by transcription, then by an objective."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from earwise.data.items import read_items
from earwise.distil.fit import fit
from earwise.distil.objective import Objective
from earwise.distil.on_policy import OnPolicyObjective
from earwise.distil.parts import PartsObjective
from earwise.distil.policy import PolicyObjective
from earwise.distil.schedule import Schedule, braid, draw, draw_evenly, group_by_length, repeat_batches
from earwise.distil.terms import make_term
from earwise.errors import InputError
from earwise.io.messages import counted
from earwise.models.families import Family
from earwise.models.kept_pictures import KeptPictures
from earwise.models.omni import OmniModel
from earwise.models.sample import Sample
from earwise.recipe.checks import part_views
from earwise.recipe.train import Align, SftTerm, Training, portions
from earwise.recipe.uses import grpo_of
from earwise.records import SAMPLE_RATE_HZ, View
from earwise.stages.base_pools import stretched
from earwise.stages.data import data_folder
from earwise.stages.descriptions import described
from earwise.stages.gate import failures
from earwise.stages.jobs.training import AlignJob, Material, TrainJob
from earwise.stages.models import EARS, load_model, load_start, train_ears
from earwise.stages.objectives import open_objective
from earwise.stages.samples import sample_items, that_can_be_shown
from earwise.stages.selection import Best
from earwise.stages.speech import telling_how_to_repair
from earwise.stages.taught import read_taught
from earwise.traces.agreement import canonical
from earwise.traces.format import said
from earwise.views import CLIP_VIEWS, DESCRIBED_VIEWS
from earwise.work.job import StageContext
from earwise.work.ranks import process_count

TERMS = "terms"
"""Folder of modules that terms trained; only for inspection."""
ENCODER = "ears.encoder."
"""Prefix of the names of the encoder's parameters, its LoRA included."""
_SEEDS = 7_919
"""Distance between the seeds of two parts: larger than any study's number of seeds."""


def align(context: StageContext, job: AlignJob) -> None:
    """Fit new ears by transcription."""
    settings = job.align
    model = load_model(context, job.source)
    samples = that_can_be_shown(
        _samples(context, job.material, job.source.longest_sound, [settings.view]), model.family, context.say
    )
    objective = Objective(settings.view, [make_term(SftTerm(type="sft", weight=1.0))], model)
    order = draw(len(samples), settings.steps * settings.batch_size * settings.accumulate, context.seed)
    train_ears(model, job.source.model, settings.frozen_layers, context.seed)
    _fit(context, model, objective, samples, order, settings)


def train(context: StageContext, job: TrainJob) -> None:
    """One training run."""
    own, settings = job.train, job.training
    model = load_start(context, job.source, job.start)
    samples, order = _mixed(context, job, model.family)
    best = None
    if settings.select is not None and job.held_out is not None:
        held_out = _samples(context, job.held_out, job.source.longest_sound, [own.view], settings.select.limit)
        best = Best(model, held_out, own.view, settings.select, context.folder, context.say)
    train_ears(model, job.source.model, settings.frozen_layers, context.seed)
    grpo = grpo_of(own)
    with open_objective(context, job, model, samples, np.unique(order).tolist()) as objective:
        # Each part is grouped by length already.
        grouped = settings.model_copy(update={"group_by_length": False})
        _fit(context, model, objective, samples, order, grouped, best, grpo.updates if grpo is not None else 1)


def _mixed(context: StageContext, job: TrainJob, family: Family) -> tuple[list[Sample], np.ndarray]:
    """Samples of all parts, and their drawing order: every optimiser step has some of each part."""
    own, settings = job.train, job.training
    items = settings.batch_size * settings.accumulate
    parts = own.mixture
    counts = portions(items, [part.share for part in parts.values()])
    samples: list[Sample] = []
    orders = []
    for number, ((name, part), material) in enumerate(zip(parts.items(), job.parts, strict=True)):
        of_part = _samples(context, material, job.source.longest_sound, part_views(part))
        found = _of_kinds(part.kinds, of_part, f"part {name}")
        seed = context.seed + _SEEDS * number
        typed = (stretched(one, part.stretch, random.Random(f"{seed}/{n}")) for n, one in enumerate(found))
        some = [replace(sample, part=name) for sample in that_can_be_shown(list(typed), family, context.say)]
        order = _draw(some, part.balance, settings.steps * counts[number], seed)
        if settings.group_by_length:
            order = group_by_length(order, np.array([_length(sample) for sample in some]), counts[number], seed)
        if len(parts) > 1:
            share = f"{counts[number]} of {counted(items, 'item')} of a step"
            context.say(f"part {name or part.data}: {share}, of {len(some)} from {part.data}")
        orders.append(len(samples) + order)
        samples += some
    return samples, braid(orders, counts)


def _of_kinds(kinds: Sequence[str], samples: list[Sample], who: str) -> list[Sample]:
    """Those of `samples` whose items are of one of `kinds`, each of which must occur; all if `kinds` is empty."""
    if not kinds:
        return samples
    known = {sample.turns[0].item.kind for sample in samples}
    if missing := sorted({*kinds} - known):
        remedy = f"name some of {', '.join(sorted(known - {''}))}"
        raise InputError(f"no item is of kind {missing[0]!r}", record=who, remedy=remedy)
    return [sample for sample in samples if sample.turns[0].item.kind in kinds]


def _draw(samples: Sequence[Sample], balance: bool, count: int, seed: int) -> np.ndarray:
    """(count,) indices: each sample equally often, or with `balance` each answer to a first turn."""
    if not balance:
        return draw(len(samples), count, seed)
    items = [sample.turns[0].item for sample in samples]
    answers = [canonical(said(item.answers[0]) or "", item.choices) or "" for item in items]
    return draw_evenly(answers, count, seed)


def _samples(
    context: StageContext, material: Material, longest_s: float, views: Sequence[View], limit: int | None = None
) -> list[Sample]:
    """Samples of an item file, prepared for `views`, with clips if a view needs them; of a sound, the first `longest_s`
    seconds are heard.
    """
    folder, name = data_folder(context, material.data), material.file
    writer, file = material.writer, folder / f"{name}.jsonl"
    items = (read_taught(context.folder_of(writer), name) if writer is not None else read_items(file))[:limit]
    clips, failed = None, {}
    if any(view in CLIP_VIEWS for view in views) and material.clips is not None:
        clips, failed = context.folder_of(material.clips), failures(context, material.gate)
    samples = sample_items(items, folder, clips, context.say, views=views, failed=failed, longest_s=longest_s)
    if not samples:
        raise InputError("nothing is left to train on", file=file, remedy="see above for what was left out, and why")
    if DESCRIBED_VIEWS & {*views}:
        samples = described(context, material.descriptions, samples, folder)
    return samples


def _length(sample: Sample) -> int:
    """The length that batches are grouped by: samples of the clip; without one, samples of the sound plus 40 ms per
    word.
    """
    if sample.turns[0].num_samples:
        return sample.turns[0].num_samples
    words = sum(len(turn.text.split()) + len(turn.item.answers[0].split()) for turn in sample.turns)
    return words * SAMPLE_RATE_HZ // 25 + (sample.sound.num_samples if sample.sound is not None else 0)


def _fit(
    context: StageContext,
    model: OmniModel,
    objective: Objective | PartsObjective | OnPolicyObjective | PolicyObjective,
    samples: Sequence[Sample],
    order: np.ndarray,
    settings: Align | Training,
    best: Best | None = None,
    updates: int = 1,
) -> None:
    """Order the draws, train, and save the ears as the stage's result."""
    lengths = np.array([_length(sample) for sample in samples])
    batch = settings.batch_size * settings.accumulate
    if settings.group_by_length:
        order = group_by_length(order, lengths, batch, context.seed)
    if updates > 1:
        order = repeat_batches(order, batch, updates)
    if model.device.type == "cpu" and process_count() == 1:
        # On accelerators memory costs more than this arithmetic; shards are gathered by all processes at once.
        model.kept = KeptPictures(model)
    ears = context.folder / EARS

    def save() -> None:
        best.take(ears) if best is not None else model.save_ears(ears)
        if not isinstance(objective, PolicyObjective):
            objective.save_aids(context.folder / TERMS)

    with telling_how_to_repair(context.run_folder / "stages" / "speech"):
        fit(
            model,
            objective,
            Schedule(samples, order.tolist()),
            context.settled(settings),
            context.folder / "checkpoints",
            seed=context.seed,
            rates={ENCODER: settings.encoder_lr} if settings.encoder_lr is not None else {},
            metrics=context.metrics,
            what=context.stage.name,
            save=save,
            callbacks=[best] if best is not None else [],
        )
