"""Stage `base`: a small model of a real architecture that sees or hears, trained from scratch on typed questions."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np

from earwise.distil.fit import fit
from earwise.distil.objective import Objective
from earwise.distil.schedule import Schedule
from earwise.distil.terms import make_term
from earwise.micro.build import write_tiny
from earwise.models.omni import OmniModel
from earwise.models.shipped import model_folder
from earwise.models.whisper import read_encoder
from earwise.recipe.base import Base, BasePhase
from earwise.recipe.train import SftTerm
from earwise.records import View
from earwise.stages.base_pools import Files, Pools, Scenes, by_length, sample_length
from earwise.stages.configs import check_tower
from earwise.stages.data import data_folder
from earwise.stages.jobs.models import BaseJob
from earwise.work.job import StageContext
from earwise.work.manifest import link
from earwise.work.metrics import Metrics

_DONE = "done"
"""Marker of a completed phase."""


def work(context: StageContext, job: BaseJob) -> None:
    """Train the base, phase by phase, and link to the last phase's model."""
    settings, folder = job.base, data_folder(context, job.data)
    start = fresh_checkpoint(settings, context.folder / "start", context.seed)
    scenes: Scenes | None = None
    for number, phase in enumerate(settings.phases):
        end = context.folder / f"phase{number}"
        if not (end / _DONE).exists():
            if not phase.files and scenes is None:
                scenes = Scenes.read(folder, context.say)
            view = phase.view or settings.view
            pools = Files.read(folder, phase, view, context.say) if phase.files else scenes
            assert pools is not None
            _phase(context, view, context.settled(phase, number), pools, start, end)
        shutil.rmtree(end / "checkpoints", ignore_errors=True)  # left by a kill just before the end
        start = end / "model"
    link(context.folder / "model", start.relative_to(context.folder))


def fresh_checkpoint(settings: Base, folder: Path, seed: int) -> Path:
    """A checkpoint in `folder` of the model that `[base]` describes, with fresh weights."""
    sizes = {
        "vision_hidden_size": settings.vision_width,
        "vision_intermediate_size": settings.vision_feed_forward,
        "vision_layers": settings.vision_layers,
        "vision_heads": settings.vision_heads,
        "image_size": settings.image_size,
        "audio_hidden_size": settings.audio_width,
        "audio_intermediate_size": settings.audio_feed_forward,
        "audio_layers": settings.audio_layers,
        "audio_heads": settings.audio_heads,
        "mel_bins": settings.mel_bins,
    }
    tower = None
    if settings.tower is not None:
        check_tower(settings.tower)
        tower = read_encoder(model_folder(settings.tower), None)
    return write_tiny(
        folder,
        settings.family,
        seed,
        hidden_size=settings.width,
        intermediate_size=settings.feed_forward,
        num_layers=settings.layers,
        num_heads=settings.heads,
        num_key_value_heads=settings.key_value_heads,
        tower=tower,
        vocabulary=settings.vocabulary,
        **{name: size for name, size in sizes.items() if size is not None},
    )


def _phase(context: StageContext, view: View, phase: BasePhase, pools: Pools, start: Path, end: Path) -> None:
    """Train the model in `start` and save it to `end`."""
    model = OmniModel.from_pretrained(str(start))
    model.base.requires_grad_(True)
    samples, order = pools.order(phase, context.seed)
    lengths = np.array([sample_length(sample, model.layouts.audio_tokens) for sample in samples])
    order = by_length(order, lengths, phase, context.seed)
    objective = Objective(view, [make_term(SftTerm(type="sft", weight=1.0))], model, share_prefix=False)
    end.mkdir(exist_ok=True)
    fit(
        model,
        objective,
        Schedule(samples, order.tolist()),
        phase,
        end / "checkpoints",
        seed=context.seed,
        metrics=Metrics(end / "metrics.jsonl"),
        what=f"{context.stage.name} {end.name}",
        save=lambda: _save(model, end),
    )


def _save(model: OmniModel, end: Path) -> None:
    """Save the model as a checkpoint, then the marker that says that the phase is complete."""
    family = model.family
    for part in (model.base, family.tokenizer, family.image_processor, family.feature_extractor):
        if part is not None:
            part.save_pretrained(end / "model")
    (end / _DONE).touch()
