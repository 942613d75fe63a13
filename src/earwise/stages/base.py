"""Stage `base`: a small vision-language model of a real architecture, trained from nothing on typed questions."""

from __future__ import annotations

import random
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from earwise.data.items import read_items
from earwise.distil.fit import fit
from earwise.distil.objective import Objective
from earwise.distil.schedule import Schedule, draw, group_by_length, mix, shortest_first
from earwise.distil.terms import make_term
from earwise.metrics import Metrics
from earwise.micro.build import write_tiny
from earwise.micro.lab import spoken_words
from earwise.model_settings import BASE
from earwise.models.omni import OmniModel
from earwise.models.views import Sample, Turn
from earwise.run import Stage, StageContext
from earwise.settings import Recipe
from earwise.stages.data import NAME as DATA
from earwise.stages.data import data_folder
from earwise.stages.samples import conversations, sample_items
from earwise.training_settings import Base, BasePhase, SftTerm

_COPIES_PER_CONVERSATION = 3
_CLOSED = frozenset({"yes", "no", "a", "b", "c", "d", "A", "B", "C", "D"})


def stage(recipe: Recipe, seed: int) -> Stage:
    """The stage of `[base]`."""
    assert recipe.base is not None
    return Stage(
        name=f"seed{seed}/{BASE}",
        work=lambda context: _work(context, recipe),
        settings=recipe.base.for_stage(),
        seed=seed,
        needs=(DATA,),
    )


def base_stage_needed(recipe: Recipe, seed: int) -> tuple[str, ...]:
    """The base stage, if the recipe trains its base."""
    return (f"seed{seed}/{BASE}",) if recipe.base is not None else ()


def _work(context: StageContext, recipe: Recipe) -> None:
    settings = recipe.base
    assert settings is not None
    folder = data_folder(recipe, context.folder_of(DATA))
    pools = _Pools.read(folder, context)
    start = fresh_checkpoint(settings, context.folder / "start", context.seed)
    for number, phase in enumerate(settings.phases):
        end = context.folder / f"phase{number}"
        if not (end / "done").exists():
            _phase(context, phase, pools, start, end)
            (end / "done").touch()
        start = end / "model"
    (context.folder / "model").unlink(missing_ok=True)
    (context.folder / "model").symlink_to(start.relative_to(context.folder))


def fresh_checkpoint(settings: Base, folder: Path, seed: int) -> Path:
    """A checkpoint of the model that `[base]` describes, with fresh weights, in `folder`."""
    return write_tiny(
        folder,
        settings.family,
        seed,
        hidden_size=settings.width,
        intermediate_size=settings.feed_forward,
        num_layers=settings.layers,
        num_heads=settings.heads,
        num_key_value_heads=settings.key_value_heads,
        vision_hidden_size=settings.vision_width,
        vision_intermediate_size=settings.vision_feed_forward,
        vision_layers=settings.vision_layers,
        vision_heads=settings.vision_heads,
    )


@dataclass(frozen=True)
class _Pools:
    """The kinds of conversations that a phase draws from."""

    questions: list[Sample]
    scans: list[Sample]
    copies: list[Sample]

    @classmethod
    def read(cls, folder: Path, context: StageContext) -> _Pools:
        """Conversations about images, requests to name all that is in one, and texts to write down, three at a time."""
        single = sample_items(read_items(folder / "transcribe.jsonl"), folder, None, context.say)
        turns = [turn for sample in single for turn in sample.turns]
        size = _COPIES_PER_CONVERSATION
        return cls(
            conversations(read_items(folder / "train.jsonl"), folder),
            conversations(read_items(folder / "scan.jsonl"), folder),
            [Sample(tuple(turns[n : n + size])) for n in range(0, len(turns), size)],
        )

    def order(self, phase: BasePhase, seed: int) -> tuple[list[Sample], np.ndarray]:
        """All samples of a phase, and the order in which they are drawn."""
        count = phase.steps * phase.batch_size * phase.accumulate
        questions = self._questions(phase, random.Random(seed))
        copies = [_drawn_out(copy, phase, random.Random(f"{seed}/{n}")) for n, copy in enumerate(self.copies)]
        samples = [*questions, *self.scans, *copies]
        order = draw(len(questions), count, seed)
        # Of what is not a copy, scans are this share.
        seeing = phase.scan_share / (1 - phase.copy_share) if phase.copy_share < 1 else 0.0
        order = mix(order, len(questions) + draw(len(self.scans), count, seed + 1), seeing, seed + 1)
        offset = len(questions) + len(self.scans)
        order = mix(order, offset + draw(len(copies), count, seed + 2), phase.copy_share, seed + 2)
        lengths = np.array([_num_words(sample) for sample in samples])
        if phase.shortest_first:
            order = shortest_first(order, lengths)
        if phase.group_by_length:
            order = group_by_length(order, lengths, phase.batch_size * phase.accumulate, seed)
        return samples, order

    def _questions(self, phase: BasePhase, rng: random.Random) -> list[Sample]:
        """Each image's questions as this phase asks them."""
        scan_of = {scan.image: scan.turns for scan in self.scans}
        asked = []
        for sample in self.questions:
            turns = tuple(turn for turn in sample.turns if _is_asked(turn, phase))
            if not turns:
                continue
            if rng.random() < phase.independent:
                along = scan_of[sample.image] if rng.random() < phase.scan_along else ()
                asked.append(Sample(turns + along, sample.image, independent=True))
            else:
                asked.append(Sample(turns, sample.image))
        return asked


def _drawn_out(copy: Sample, phase: BasePhase, rng: random.Random) -> Sample:
    """`copy` as it is, or in a share of the cases stretched: a model that only sees drawn-out words takes a word that
    is really there twice for one.
    """
    return _stretched(copy, phase.stretch, rng) if rng.random() < phase.stretch_share else copy


def _stretched(copy: Sample, most: int, rng: random.Random) -> Sample:
    """`copy` with every word of its texts typed 1 to `most` times; the answers stay as they are."""
    if most == 1:
        return copy
    turns = []
    for turn in copy.turns:
        drawn_out = [word for word in spoken_words(turn.text).split() for _ in range(rng.randint(1, most))]
        turns.append(replace(turn, text=" ".join(drawn_out)))
    return replace(copy, turns=tuple(turns))


def _is_asked(turn: Turn, phase: BasePhase) -> bool:
    wanted = not phase.kinds or turn.item.kind in phase.kinds
    return wanted and not (phase.open_only and turn.item.answers[0] in _CLOSED)


def _num_words(sample: Sample) -> int:
    return sum(len(turn.text.split()) + len(turn.item.answers[0].split()) for turn in sample.turns)


def _phase(context: StageContext, phase: BasePhase, pools: _Pools, start: Path, end: Path) -> None:
    """Train the model in `start` and leave it in `end`."""
    model = OmniModel.from_pretrained(str(start))
    model.base.requires_grad_(True)
    samples, order = pools.order(phase, context.seed)
    objective = Objective("image_text", [make_term(SftTerm(type="sft", weight=1.0))], model, share_prefix=False)
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
    )
    model.base.save_pretrained(end / "model")
    model.family.tokenizer.save_pretrained(end / "model")
    model.family.image_processor.save_pretrained(end / "model")
