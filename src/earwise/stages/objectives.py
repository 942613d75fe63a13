"""What a training of `[train]` minimises: terms over views of given answers, or reward of answers of its own."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path

import torch

from earwise.distil.cached_teacher import open_teacher
from earwise.distil.objective import SELF, SNAPSHOT, Objective
from earwise.distil.on_policy import OnPolicyObjective
from earwise.distil.parts import PartsObjective
from earwise.distil.policy import PolicyObjective, policy_objective
from earwise.distil.rewards import Known
from earwise.distil.rollouts import ServerRollouts
from earwise.distil.server_teacher import ServerTeacher, open_server_teacher
from earwise.distil.teachers import Teacher
from earwise.distil.terms import Term, make_term
from earwise.errors import InputError
from earwise.models.device import best_device
from earwise.models.omni import OmniModel
from earwise.models.sample import Sample
from earwise.recipe.terms import TaughtTerm, TeacherServer
from earwise.recipe.train import OnPolicy, SftTerm, Train
from earwise.recipe.train import Term as TermSettings
from earwise.recipe.uses import grpo_of
from earwise.records import Item
from earwise.stages.data import data_folder, sound_of
from earwise.stages.jobs.models import ModelSource
from earwise.stages.jobs.teach import VerifyJob
from earwise.stages.jobs.training import TrainJob
from earwise.stages.verify import HEARD
from earwise.traces.describe import Heard
from earwise.traces.opening import open_client
from earwise.traces.prompts import student_messages
from earwise.traces.requests import Message, Sound
from earwise.work.job import StageContext
from earwise.work.ranks import own_file
from earwise.work.store import read_jsonl

ANSWERS, ROLLOUTS = "samples.jsonl", "rollouts.jsonl"
"""Files of a training run with rewards: some answers of each step with their rewards; answers of a server."""
SCORES = "teachers"
"""Folder of a run: scores from servers, found by the token ids that were sent."""


@contextmanager
def open_objective(
    context: StageContext,
    job: TrainJob,
    model: OmniModel,
    samples: Sequence[Sample],
    drawn: Sequence[int],
) -> Iterator[Objective | PartsObjective | OnPolicyObjective | PolicyObjective]:
    """The objective of a training run; servers and stores that it needs stay open inside the context.

    Args:
        context: of the stage that trains.
        job: the training run.
        model: the student; its `requires_grad` must be final.
        samples: all that can be drawn.
        drawn: indices of the samples that are drawn, which a server scores before training.
    """
    own, settings = job.train, job.training
    grpo = grpo_of(own)
    if grpo is None:
        share = settings.shared_prefix == "auto"
        with ExitStack() as servers:
            teachers = {**_teachers(own.every_term, job.source), **_servers(own.every_term, context, servers)}
            if own.parts:
                by_parts = _by_parts(own, teachers, model, share)
                for name, part in by_parts.objectives.items():
                    _score(part, [samples[n] for n in drawn if samples[n].part == name], context)
                yield by_parts
                return
            objective = Objective(own.view, _terms(own.terms), model, teachers=teachers, share_prefix=share)
            if own.on_policy is None:
                _score(objective, [samples[n] for n in drawn], context)
                yield objective
            else:
                yield _on_policy(own.on_policy, objective, model, samples, context.seed)
        return
    rewarded = next(name for name, part in own.mixture.items() if grpo in part.terms)
    build = partial(
        policy_objective,
        [grpo, *[term for term in own.every_term if isinstance(term, SftTerm)][:1]],
        model,
        own.mixture[rewarded].view,
        samples,
        seed=context.seed,
        replay={name: part.view for name, part in own.mixture.items() if name != rewarded},
        known=_known(context, job.heard) if job.heard is not None else None,
        answers=context.folder / ANSWERS,
    )
    if grpo.server is None:
        yield build()
        return
    # Each of several processes asks for the prompts of its own micro-batches, and a store has one writer.
    with open_client(grpo.server, own_file(context.folder / ROLLOUTS)) as client:
        prompt = partial(_heard_prompt, folder=data_folder(context, job.parts[0].data))
        source = ServerRollouts(client, model, prompt, max_tokens=grpo.max_tokens, temperature=grpo.temperature)
        yield build(source=source)


def _by_parts(own: Train, teachers: Mapping[str, Teacher], model: OmniModel, share_prefix: bool) -> PartsObjective:
    """One objective per part; a teacher of several parts is opened once."""
    objectives = {}
    for name, part in own.parts.items():
        terms = _terms(part.terms)
        for term in terms:
            term.name = f"{name}/{term.name}"
        asked = {term.teacher for term in terms if term.weight > 0}
        known = {teacher: opened for teacher, opened in teachers.items() if teacher in asked}
        objectives[name] = Objective(part.view, terms, model, teachers=known, share_prefix=share_prefix)
    return PartsObjective(objectives)


def _terms(listed: Sequence[TermSettings]) -> list[Term]:
    terms = [make_term(settings) for settings in listed]
    for term, settings in zip(terms, listed, strict=True):
        if isinstance(settings, TaughtTerm):
            term.answers = settings.answers
    return terms


def _on_policy(
    settings: OnPolicy, objective: Objective, model: OmniModel, samples: Sequence[Sample], seed: int
) -> OnPolicyObjective:
    """`objective` with answers drawn by the student; all `samples` are checked first."""
    drawing = OnPolicyObjective(objective, model, settings, seed=seed)
    drawing.check(samples)
    return drawing


def _teachers(terms: Sequence[TermSettings], source: ModelSource) -> dict[str, Teacher]:
    """Other models that terms name, or their stored states, each opened once, in the type of the base's weights."""
    assert source.model is not None
    dtype = getattr(torch, source.model.dtype)
    taught = [term.teacher for term in terms if isinstance(term, TaughtTerm) and term.weight > 0]
    others = sorted({one for one in taught if not isinstance(one, TeacherServer)} - {SELF, SNAPSHOT})
    return {name: open_teacher(name, dtype=dtype, device=best_device()) for name in others}


def _servers(terms: Sequence[TermSettings], context: StageContext, stack: ExitStack) -> dict[str, Teacher]:
    """Servers that terms name, with a store that all training runs of the run share."""
    taught = [term for term in terms if isinstance(term, TaughtTerm) and term.weight > 0]
    named = {term.teacher_name: term.teacher for term in taught if isinstance(term.teacher, TeacherServer)}
    folder = context.run_folder / SCORES
    return {name: stack.enter_context(open_server_teacher(one, folder)) for name, one in named.items()}


def _score(objective: Objective, samples: Sequence[Sample], context: StageContext) -> None:
    """Have teachers behind servers score `samples` now, so that training does not wait for them."""
    for who, view in objective.passes:
        if isinstance(teacher := objective.teachers.get(who), ServerTeacher):
            teacher.prepare(samples, view, context.say)


def _known(context: StageContext, job: VerifyJob) -> Known:
    heard = read_jsonl(context.folder_of(job) / HEARD, Heard)
    return Known({one.item: frozenset(one.claims) for one in heard})


def _heard_prompt(item: Item, folder: Path) -> tuple[Message, ...]:
    """The prompt for a server: the item's sound and question."""
    if (path := sound_of(item, folder)) is None:
        raise InputError("the item has neither sound nor video", file=folder, record=item.id)
    return student_messages(item, Sound(path))
