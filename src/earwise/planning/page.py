"""`earwise plan`: shows what a recipe would do, without training.

The plan has dropped items, trained parameters, tokens and cost of a step relative to plain SFT, memory, and items as
tokens under both views.
"""

from __future__ import annotations

import math
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import ClassVar, Final

from rich.text import Text
from transformers.utils import logging as transformers_logging

from earwise.distil.objective import SELF, SNAPSHOT
from earwise.io.messages import counted, printable
from earwise.models.batch import MIN_PREFIX
from earwise.models.layout import Layout
from earwise.models.omni import OmniModel
from earwise.models.prefix import shared_prefix
from earwise.planning.compile import Compiler
from earwise.planning.cost import Pass, drawing_flops, shared_starts, step_flops, step_memory
from earwise.planning.data import Material, look
from earwise.planning.model_checks import check_model
from earwise.planning.sizes import Shown, Sizes
from earwise.planning.views import side_by_side
from earwise.recipe.checks import questions_file
from earwise.recipe.model import ALIGNED, Model
from earwise.recipe.recipe import Recipe
from earwise.recipe.terms import GrpoTerm
from earwise.recipe.train import Align, OnPolicy, Optimisation, SftTerm, TaughtTerm, Term, Training, portions
from earwise.records import View
from earwise.stages import base
from earwise.stages.jobs.models import ModelSource
from earwise.stages.models import load_base, load_start, train_ears
from earwise.stages.samples import that_can_be_shown
from earwise.work import arithmetic
from earwise.work.job import Job, StageContext
from earwise.work.metrics import Metrics

SHOWN: Final = 1
"""Default number of items shown as tokens."""
_SFT: Final = (SftTerm(type="sft", weight=1.0),)


@dataclass(frozen=True)
class Planned:
    """A training run of a recipe, or a part of one, as a plan sees it."""

    name: str
    data: str
    view: View
    teachers: tuple[tuple[str, View], ...]
    """(teacher, view) of each teacher's pass."""
    terms: tuple[Term, ...]
    settings: Optimisation
    shares_prefix: bool
    on_policy: OnPolicy | None = None


@dataclass(frozen=True, kw_only=True)
class _Look(Job):
    """What a plan needs of a model: to have it loaded."""

    verb: ClassVar[str] = "plan"

    source: ModelSource

    @property
    def name(self) -> str:
        """`plan`."""
        return "plan"


def trainings(recipe: Recipe) -> list[Planned]:
    """Every training run of the recipe that trains ears, in order."""
    found = []
    if recipe.align is not None:
        align = recipe.align
        found.append(Planned(ALIGNED, align.data, align.view, (), _SFT, align, True))
    for name, own in recipe.train.items():
        settings = recipe.optimisation(name)
        items = settings.batch_size * settings.accumulate
        counts = portions(items, [part.share for part in own.mixture.values()])
        several = len(own.mixture) > 1
        for (part_name, part), count in zip(own.mixture.items(), counts, strict=True):
            title = f"{name}, part {part_name or part.data}" if several else name
            terms = tuple(term for term in part.terms if term.weight > 0)
            taught = dict.fromkeys((term.teacher_name, term.view) for term in terms if isinstance(term, TaughtTerm))
            file, shares_prefix = questions_file(recipe, part.data), settings.shared_prefix == "auto"
            shared_out = {"batch_size": count, "accumulate": 1} if several else {}
            alone = settings.model_copy(update=shared_out)
            found.append(Planned(title, file, part.view, (*taught,), terms, alone, shares_prefix, own.on_policy))
    return found


def plan(recipe: Recipe, shown: int = SHOWN) -> Iterator[Text]:
    """The plan of a recipe, line by line, at most 100 columns wide; ends with `shown` items as tokens.

    Raises `InputError` as the stages of the recipe would for data, voices or a model that is not there.
    """
    transformers_logging.disable_progress_bar()
    check_model(recipe)
    with tempfile.TemporaryDirectory(prefix="earwise-plan-") as name:
        folder = Path(name)
        materials = look(recipe, folder)
        yield from _data(materials)
        if recipe.model is None and recipe.base is None:
            yield from _title("no model to show items to")
            return
        model = _model(recipe, folder)
        yield from _left_out(model, materials)
        todo = trainings(recipe)
        yield from _weights(model)
        for job in todo:
            yield from _costs(job, model, recipe.model, materials[job.data])
        yield from _items(recipe, model, todo, materials, shown)


def _model(recipe: Recipe, folder: Path) -> OmniModel:
    """The start model of the recipe's training runs, with the trained parameters marked."""
    seed = recipe.seeds[0]
    job = _Look(source=Compiler(recipe).source(seed), seed=seed)
    context = StageContext(job, folder, folder, Metrics(folder / "metrics.jsonl"), lambda _: None, {})
    if recipe.base is not None and job.source.base is not None:
        base.fresh_checkpoint(recipe.base, context.folder_of(job.source.base) / "model", seed)
    if recipe.model is None or not trainings(recipe):
        model = load_base(context, job.source)
        model.base.requires_grad_(recipe.base is not None)
        return model
    model = load_start(context, job.source, None)
    if model.ears is not None:
        train_ears(model, recipe.model, recipe.training.frozen_layers if recipe.training is not None else 0, seed)
    return model


def _data(materials: dict[str, Material]) -> Iterator[Text]:
    for name, material in materials.items():
        yield from _title(f"data {name}: {material.total:,} {material.unit}")
        for note in material.notes:
            yield from _wrapped(note)


def _left_out(model: OmniModel, materials: dict[str, Material]) -> Iterator[Text]:
    """Drop samples that the model cannot take, and report them."""
    for name, material in [*materials.items()]:
        notes: list[str] = []
        shown = that_can_be_shown(material.samples, model.family, notes.append)
        materials[name] = replace(material, samples=shown)
        for note in notes:
            yield from _wrapped(f"{name}: {note}")


def _items(
    recipe: Recipe, model: OmniModel, todo: Sequence[Planned], materials: dict[str, Material], shown: int
) -> Iterator[Text]:
    """Items of the first training that has a teacher, under the student's view and the teacher's."""
    taught = [job for job in todo if job.teachers]
    job = next(iter([*taught, *todo]), None)
    views: tuple[View, ...] = ("image_text",)
    data = job.data if job else next(iter(materials), "")
    if job is not None:
        views = (job.view, *(view for _, view in job.teachers[:1]))
    if data not in materials:
        return
    for sample in materials[data].samples[:shown]:
        layouts = [model.layouts.build(sample, view, answers=True) for view in views]
        yield from _title(f"item {sample.key}")
        titles = [f"{view}: {counted(len(layout), 'token')}" for view, layout in zip(views, layouts, strict=True)]
        yield from side_by_side(layouts[0], layouts[1] if len(layouts) > 1 else None, titles, model.family.tokenizer)
        if job is not None and len(layouts) > 1:
            yield Text(_said_of_prefix(job, model, layouts))


def _said_of_prefix(job: Planned, model: OmniModel, layouts: Sequence[Layout]) -> str:
    if reason := model.no_shared_prefix:
        return f"no shared prefix: {reason}"
    if not job.shares_prefix:
        return "no shared prefix: the recipe switches it off"
    length = shared_prefix(layouts, with_audio=False)
    if length < MIN_PREFIX:
        return f"no shared prefix: {length} tokens are too few"
    return f"shared prefix: tokens 0:{length} of the views are computed once"


def _weights(model: OmniModel) -> Iterator[Text]:
    yield from _title("parameters")
    ears = {id(p): name for name, p in model.ears.named_parameters()} if model.ears is not None else {}
    groups: dict[str, int] = {}
    for name, p in model.named_parameters():
        if p.requires_grad:
            part = f"ears: {ears[id(p)].partition('.')[0]}" if id(p) in ears else _part(model, name)
            groups[part] = groups.get(part, 0) + p.numel()
    for part, count in groups.items():
        yield Text(f"  trained {count:>15,}  {part}")
    total = sum(groups.values())
    yield Text(f"  trained {total:>15,}  in all")
    yield Text(f"  frozen  {sum(p.numel() for p in model.parameters()) - total:>15,}")


def _part(model: OmniModel, name: str) -> str:
    """The part of the base that a trained parameter belongs to."""
    return "LoRA" if "lora" in name else "decoder" if model.decoder is not None else "base"


def _costs(job: Planned, model: OmniModel, settings: Model | None, material: Material) -> Iterator[Text]:
    """Tokens, operations and memory of one training step."""
    yield from _title(f"training {job.name}: {job.view}, {_terms(job)}")
    if not material.samples:
        yield Text("  nothing to learn from")
        return
    if isinstance(job.settings, Align | Training) and model.ears is not None:
        train_ears(model, settings, job.settings.frozen_layers, 0)
    if grpo := next((term for term in job.terms if isinstance(term, GrpoTerm)), None):
        yield from _rollouts(job, model, material, grpo)
        return
    sizes = Sizes.of(model, bfloat16=arithmetic.resolve(job.settings.precision) == "bfloat16")
    views = [job.view, *(view for _, view in job.teachers)]
    rows = [[model.layouts.build(s, view, answers=True) for view in views] for s in material.samples]
    own = [True, *(who in (SELF, SNAPSHOT) for who, _ in job.teachers)]
    passes = [Pass([Shown.of(row[n], sizes) for row in rows], learns=n == 0, shares=own[n]) for n in range(len(views))]
    prefixes = _prefixes(job, model, [[layout for n, layout in enumerate(row) if own[n]] for row in rows])
    scale = job.settings.batch_size * job.settings.accumulate / len(rows)
    here = step_flops(passes, prefixes, job.terms, sizes)
    for n, (view, one) in enumerate(zip(views, passes, strict=True)):
        tokens = sum(shown.tokens for shown in one.shown)
        yield Text(f"  {tokens * scale:>12,.0f} tokens per step under {view}{' (teacher)' if n else ''}")
    yield Text(f"  {sum(shown.responses for shown in passes[0].shown) * scale:>12,.0f} of them are learned from")
    if any(prefixes):
        yield Text(f"  {sum(prefixes) * scale:>12,.0f} of each view's are computed once, in the shared prefix")
    yield Text(f"  {here * scale / 1e9:>12,.1f} GFLOP per step and process, {_steps(job, material)}")
    if foreign := [term.type for term in job.terms if term.is_plugin]:
        yield Text(f"  not counted: what {', '.join(foreign)} computes beside the passes")
    if sizes.hearing.frozen:
        kept = counted(sizes.hearing.frozen, "layer")
        yield Text(f"  not counted: {kept} of the encoder, which a clip goes through once for all steps")
    yield from _beside_sft(job, passes, here, _prefixes(job, model, [row[:1] for row in rows]), sizes)
    if job.on_policy is not None:
        count = job.on_policy.share * job.settings.batch_size * job.settings.accumulate
        yield _drawing(job, model, material, count, 1, job.on_policy.max_tokens)
    memory = step_memory(passes[0], prefixes, sizes, job.terms, batch=job.settings.batch_size)
    parts = {"weights": memory.weights, "optimiser": memory.optimiser, "activations": memory.activations}
    said = ", ".join(f"{_size(part)} {what}" for what, part in {**parts, "logits": memory.logits}.items())
    yield Text(f"  {_size(memory.total):>12} of memory, about: {said}")
    if others := [who for who, _ in job.teachers if who not in (SELF, SNAPSHOT)]:
        yield Text(f"  the weights of {', '.join(others)} come on top")


def _beside_sft(
    job: Planned, passes: Sequence[Pass], here: float, alone: Sequence[int], sizes: Sizes
) -> Iterator[Text]:
    """The cost of a step, `here`, relative to SFT on the same items: to SFT with `alone` tokens of each sample computed
    without a gradient, as earwise trains it, and to SFT on whole sequences.
    """
    none = [0] * len(alone)
    sft, whole = (step_flops(passes[:1], starts, _SFT, sizes) for starts in (alone, none))
    apart = f"; with full passes {step_flops(passes, none, job.terms, sizes) / whole:.2f}" if job.teachers else ""
    if not any(alone):
        yield Text(f"  {here / sft:>12.2f} of the cost of plain SFT on the same items{apart}")
        return
    yield Text(f"  {here / sft:>12.2f} of the cost of plain SFT on the same items, its own prefix computed once")
    yield Text(f"  {here / whole:>12.2f} of the cost of SFT on whole sequences{apart}")


def _rollouts(job: Planned, model: OmniModel, material: Material, grpo: GrpoTerm) -> Iterator[Text]:
    """Samples of a step, the cost of learning from them, and an estimate of the cost of sampling."""
    prompts = job.settings.batch_size * job.settings.accumulate
    layouts = [model.layouts.build(sample, job.view, answers=False) for sample in material.samples]
    lengths = [*map(len, layouts)]
    yield Text(f"  {prompts * sum(lengths) / len(lengths):>12,.0f} tokens of prompts per step under {job.view}")
    yield Text(f"  {prompts * grpo.group:>12,.0f} answers are drawn per step, of {grpo.max_tokens} tokens at most")
    if grpo.server is None:
        yield _drawing(job, model, material, prompts, grpo.group, grpo.max_tokens)
    none = [0] * len(material.samples)
    sizes = Sizes.of(model, bfloat16=job.settings.precision == "bfloat16")
    answered = [_answered(Shown.of(x, sizes), grpo) for x in layouts]
    passes = [Pass(answered, learns=True), *([Pass(answered, learns=False)] if grpo.beta else [])]
    most = step_flops(passes, none, (grpo,), sizes) * prompts / len(none)
    yield Text(f"  {most / 1e9:>12,.1f} GFLOP at most to learn from them, {_steps(job, material)}")


def _answered(prompt: Shown, grpo: GrpoTerm) -> Shown:
    """A prompt with all its answers at maximum length; each answer repeats the token that predicts its first token."""
    tokens = grpo.group * grpo.max_tokens
    length = prompt.tokens - 1 + tokens + grpo.group
    return replace(prompt, tokens=length, responses=tokens, has_turns=True)


def _drawing(job: Planned, model: OmniModel, material: Material, prompts: float, answers: int, tokens: int) -> Text:
    """An estimate of the maximum cost of sampling answers to the prompts of a step."""
    sizes = Sizes.of(model, bfloat16=arithmetic.resolve(job.settings.precision) == "bfloat16")
    rows = [Shown.of(model.layouts.build(s, job.view, answers=False), sizes) for s in material.samples]
    most = drawing_flops(rows, sizes, answers=answers, tokens=tokens) * prompts / len(rows)
    drawn = prompts * answers * tokens
    return Text(f"  {most / 1e9:>12,.1f} GFLOP at most to draw answers: an estimate, for {drawn:,.0f} decoded tokens")


def _prefixes(job: Planned, model: OmniModel, rows: Sequence[Sequence[Layout]]) -> list[int]:
    """Tokens of each sample that are computed once in training; `rows` as in `shared_starts`."""
    if not job.shares_prefix or model.no_shared_prefix is not None:
        return [0] * len(rows)
    return shared_starts(rows)


def _terms(job: Planned) -> str:
    return " + ".join(f"{term.weight:g} {term.type}" for term in job.terms)


def _steps(job: Planned, material: Material) -> str:
    drawn = job.settings.steps * job.settings.batch_size * job.settings.accumulate
    return f"{job.settings.steps:,} steps, {drawn / max(1, material.total):.2f} epochs"


def _size(count: float) -> str:
    return f"{count / 2**30:.2f} GiB" if count >= 2**29 else f"{count / 2**20:.0f} MiB"


def _title(text: str) -> Iterator[Text]:
    yield Text("")
    yield Text(printable(text), style="bold")


def _wrapped(text: str) -> Iterator[Text]:
    text = printable(text)
    for number in range(math.ceil(len(text) / 96)):
        yield Text(("  " if number == 0 else "    ") + text[number * 96 : (number + 1) * 96])
