"""Stage `encoder`: trains a small Whisper encoder, to be the pretrained encoder of other recipes."""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import jiwer
import numpy as np
import torch
from safetensors.torch import load, save

from earwise.data.media import load_audio
from earwise.distil.fit import fit
from earwise.distil.schedule import Schedule, draw, group_by_length
from earwise.distil.transcription import Transcription
from earwise.errors import InputError
from earwise.io.messages import counted
from earwise.models.ctc import CtcRecogniser
from earwise.models.device import best_device
from earwise.models.sample import Sample
from earwise.models.shipped import TRAINING, model_folder
from earwise.models.whisper import encoder_config, read_encoder
from earwise.recipe.train import Encoder
from earwise.speech.clips import read_clips
from earwise.speech.voices import variant
from earwise.stages.data import data_folder, items_of
from earwise.stages.gate import failures
from earwise.stages.jobs.models import EncoderJob
from earwise.stages.samples import sample_items
from earwise.stages.speech import telling_how_to_repair
from earwise.work.job import Input, StageContext
from earwise.work.store import read_json, write_atomic, write_bytes_atomic

ENCODER = "encoder"
"""Folder of the checkpoint."""
TRAINED = "recogniser.safetensors"
"""The encoder with its CTC layer, which measures the word error rate."""
_HELD_OUT = 500
"""Clips kept from training, to measure the word error rate."""


def work(context: StageContext, job: EncoderJob) -> None:
    """Train the encoder and save it as a checkpoint, with a description of its training."""
    settings, clips = job.encoder, context.folder_of(job.clips)
    items, unfit = items_of(context, job.data, job.clips.file), failures(context, job.gate)
    samples = sample_items(items, data_folder(context, job.data), clips, context.say, failed=unfit)
    words = sorted({word for sample in samples for word in sample.turns[0].item.answers[0].split()})
    recogniser = CtcRecogniser(_shape(settings), words, stack=settings.stack, seed=context.seed)
    if settings.start is not None:
        _take_up(recogniser, settings, settings.start)
    held_out, taught = _split(_long_enough(samples, recogniser, context))
    with telling_how_to_repair(clips):
        _train(context, recogniser, taught, settings)
        rate = _word_error_rate(recogniser, held_out)
    recogniser.encoder.save_pretrained(context.folder / ENCODER)
    context.say(f"{context.stage.name}: {rate:.1%} of the words of {counted(len(held_out), 'held-out clip')} are wrong")
    speakers = sorted({variant(clip.voice) for clip in read_clips(clips).clips} | _heard_before(job.start))
    described = {"words": words, "word_error_rate": rate, "held_out": len(held_out), "speakers": speakers}
    write_atomic(context.folder / ENCODER / TRAINING, json.dumps(described, indent=2) + "\n")


def _train(context: StageContext, recogniser: CtcRecogniser, taught: list[Sample], settings: Encoder) -> None:
    """Train, or load the result of a training run that was killed after its end."""
    trained, checkpoints = context.folder / TRAINED, context.folder / "checkpoints"
    if trained.is_file():
        shutil.rmtree(checkpoints, ignore_errors=True)
        recogniser.load_state_dict(load(trained.read_bytes()))
        recogniser.to(best_device())
        return
    fit(
        recogniser,
        Transcription(recogniser),
        Schedule(taught, _order(taught, settings, context.seed)),
        context.settled(settings),
        checkpoints,
        seed=context.seed,
        metrics=context.metrics,
        what=context.stage.name,
        save=lambda: write_bytes_atomic(trained, save(recogniser.state_dict()), durable=True),
    )


def _take_up(recogniser: CtcRecogniser, settings: Encoder, start: str) -> None:
    """Load the encoder of the checkpoint `start`, which must have the sizes of `[encoder]`."""
    found, weights = read_encoder(model_folder(start), None)
    wanted = _shape(settings)
    other = [
        f"{name} is {found[name]}, not {value}" for name, value in wanted.items() if found.get(name, value) != value
    ]
    if other:
        raise InputError(f"the encoder to start from has other sizes: {', '.join(other)}", file=start)
    recogniser.encoder.load_state_dict(weights)


def _heard_before(start: Input | None) -> set[str]:
    """The speakers of the earlier training of the encoder, if known."""
    path = start.path / TRAINING if start is not None else None
    return {*read_json(path)["speakers"]} if path is not None and path.is_file() else set()


def _shape(settings: Encoder) -> dict[str, Any]:
    return encoder_config(settings.layers, settings.width, settings.heads, settings.mel_bins)


def _long_enough(samples: list[Sample], recogniser: CtcRecogniser, context: StageContext) -> list[Sample]:
    """Leave out clips that are too short: CTC needs an output per word, and one more between equal words."""
    kept = []
    for sample in samples:
        turn = sample.turns[0]
        words = turn.item.answers[0].split()
        needed = len(words) + sum(one == two for one, two in pairwise(words))
        if recogniser.num_outputs(turn.num_samples) >= needed:
            kept.append(sample)
    if len(kept) < len(samples):
        context.say(
            f"{context.stage.name}: {counted(len(samples) - len(kept), 'clip')} left out: too fast for their words"
        )
    return kept


def _split(samples: list[Sample]) -> tuple[list[Sample], list[Sample]]:
    """Hold out the last clips, at most a tenth; every item has its own words."""
    count = min(_HELD_OUT, len(samples) // 10)
    if count == 0:
        raise InputError(f"{counted(len(samples), 'clip')} of transcribe.jsonl can be used", remedy="ten are the least")
    return samples[-count:], samples[:-count]


def _order(samples: Sequence[Sample], settings: Encoder, seed: int) -> list[int]:
    batch = settings.batch_size * settings.accumulate
    order = draw(len(samples), settings.steps * batch, seed)
    if settings.group_by_length:
        lengths = np.array([sample.turns[0].num_samples for sample in samples])
        order = group_by_length(order, lengths, batch, seed)
    return [int(index) for index in order]


def _word_error_rate(recogniser: CtcRecogniser, samples: Sequence[Sample]) -> float:
    recogniser.eval()
    heard = []
    for sample in samples:
        clip = sample.turns[0].clip
        assert clip is not None
        heard += recogniser.transcribe([torch.from_numpy(load_audio(clip))])
    return float(jiwer.wer([sample.turns[0].item.answers[0] for sample in samples], heard))
