"""Small trainings by reward, for tests: a model, prompts, an objective and a trainer."""

from dataclasses import replace
from pathlib import Path

import numpy as np
from tiny import tiny_model, tiny_samples

from earwise.distil.policy import PolicyObjective
from earwise.distil.rewards import Reward
from earwise.distil.rollouts import LocalRollouts
from earwise.distil.schedule import Schedule, repeat_batches
from earwise.distil.terms.sft import Sft
from earwise.distil.trainer import DistilTrainer, training_arguments
from earwise.models.lora import Lora
from earwise.recipe.terms import GrpoTerm
from earwise.recipe.train import SftTerm, Training

ACCURACY = {"type": "accuracy", "weight": 1.0}


class Letters(Reward):
    """The share of the words that hold an "e": some do, so that every group has an advantage."""

    name = "letters"
    weight = 1.0

    def __call__(self, text, item):
        words = text.split()
        return sum("e" in word for word in words) / len(words) if words else 0.0


class Says(Reward):
    """1 if `word` is among the words."""

    name = "says"
    weight = 1.0

    def __init__(self, word):
        self.word = word

    def __call__(self, text, item):
        return float(self.word in text.split())


def term_of(**given):
    defaults = {"type": "grpo", "weight": 1.0, "rewards": [ACCURACY], "group": 4, "max_tokens": 5}
    return GrpoTerm.model_validate(defaults | given)


def learner(checkpoint, *, train="decoder"):
    """A tiny model of which the decoder, LoRA in it, or the ears are trained."""
    model = tiny_model(checkpoint)
    model.ears.requires_grad_(False)
    if train == "decoder":
        model.family.backbone.requires_grad_(True)
    elif train == "lora":
        model.lora = Lora.fresh(model.family.backbone, rank=4, alpha=8, dropout=0.5, targets=["q_proj"], seed=0)
        model.lora.requires_grad_(True)
    else:
        model.ears.requires_grad_(True)
    return model


def asked(folder, count=4, **changed):
    """Samples with one question each, whose items are `changed`."""
    samples = tiny_samples(Path(folder), count)
    return [
        replace(one, turns=(replace(one.turns[0], item=one.turns[0].item.model_copy(update=changed)),))
        for one in samples
    ]


def objective_of(model, term, *, view="text_only", rewards=None, replay=(), answers=None, source=None, seed=7):
    """An objective whose rewards are functions, where the settings' own would be too rare for a random model."""
    local = LocalRollouts(model, max_tokens=term.max_tokens, temperature=term.temperature)
    return PolicyObjective(
        term, model, view, rewards or [Letters()], source or local, seed=seed, replay=replay, answers=answers,
        sft=Sft(SftTerm(type="sft", weight=1.0)) if replay else None,
    )  # fmt: skip


def trainer_of(
    model, samples, out, objective, *, steps, batch=2, accumulate=1, save_every=100, lr=1e-3, log_every=1,
    precision="float32",
):  # fmt: skip
    """A trainer that draws `samples` in their order, again and again, and the list of its logs."""
    settings = Training(
        steps=steps, batch_size=batch, accumulate=accumulate, lr=lr, log_every=log_every, save_every=save_every,
        schedule="constant", precision=precision,
    )  # fmt: skip
    drawn, updates = batch * accumulate, objective.settings.updates
    order = repeat_batches(np.arange(steps * drawn) % len(samples), drawn, updates)
    logs = []
    arguments = training_arguments(settings, Path(out), seed=0)
    schedule = Schedule(samples, order.tolist())
    trainer = DistilTrainer(model, objective, schedule, arguments, lambda step, numbers: logs.append((step, numbers)))
    return trainer, logs


def curve(logs, name):
    return [numbers[name] for _, numbers in logs if name in numbers]
