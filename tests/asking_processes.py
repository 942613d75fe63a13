"""Trainings that ask the model on the way, in this process or in shards under `torchrun`.

python asking_processes.py CHECKPOINT OUT
"""

import json
import os
import sys
from dataclasses import replace
from pathlib import Path

import torch
from grpo_case import asked, learner, objective_of, term_of
from grpo_case import trainer_of as trainer_by_reward
from torch.distributed.tensor import DTensor
from training_case import trainer_of
from transformers import TrainerCallback

from earwise.distil.fit import fit
from earwise.distil.objective import Objective
from earwise.distil.on_policy import OnPolicyObjective
from earwise.distil.parts import PartsObjective
from earwise.distil.schedule import Schedule
from earwise.distil.sharding import whole_for_asking
from earwise.distil.terms import make_term
from earwise.errors import InputError
from earwise.models import OmniModel
from earwise.recipe.train import OnPolicy, Selection, SftTerm, Training
from earwise.stages.selection import TRIED, Best
from earwise.work.metrics import Metrics
from earwise.work.ranks import leave, process_count, process_rank

STEPS, BATCH = 4, 4


class Asking(TrainerCallback):
    """Counts what lies in shards before, while and after the model is asked at the first step."""

    def __init__(self, model: OmniModel) -> None:
        self.model, self.counts = model, []

    def count(self) -> None:
        self.counts.append(sum(isinstance(parameter, DTensor) for parameter in self.model.parameters()))

    def on_step_end(self, args, state, control, **_):
        if state.global_step == 1:
            self.count()
            with whole_for_asking(self.model):
                self.count()
            self.count()


def selected(checkpoint: Path, out: Path) -> dict:
    """The best of every second step, with what was said of each try; the best weights as they load."""
    media, said = out / f"media{process_rank()}", []
    media.mkdir(parents=True)
    processes = process_count()
    trainer, logs = trainer_of(checkpoint, media, out / "out", batch=BATCH // processes, processes=processes)
    samples = asked(media, 12)
    # Answers of an untrained model: some held-out questions are answered right from the first try on.
    with torch.no_grad():
        words = trainer.model.generate(samples, view="image_speech", max_new_tokens=3)
    truths = [word if n % 2 else "never" for n, word in enumerate(words)]
    held_out = [asked(media, 12, answers=(truth or "?",))[n] for n, truth in enumerate(truths)]
    settings = Selection(every=2, max_new_tokens=3)
    best = Best(trainer.model, held_out, "image_speech", settings, out, said.append)
    trainer.add_callback(best)
    asking = Asking(trainer.model)
    trainer.add_callback(asking)
    trainer.train()
    if process_rank():
        return {}
    best.take(out / "ears")
    kept = OmniModel.from_pretrained(str(checkpoint), out / "ears").ears
    weights = {name: value.double().sum().item() for name, value in kept.state_dict().items()}
    return {
        "said": said,
        "tried": json.loads((out / TRIED).read_text()),
        "logs": logs,
        "weights": weights,
        "sharded": asking.counts,
    }


def by_reward(checkpoint: Path, out: Path) -> list:
    """Logs of a training by reward with a reference, two updates on the same completions."""
    media = out / f"media{process_rank()}"
    media.mkdir(parents=True)
    model, samples = learner(checkpoint, train="ears"), asked(media, 12)
    objective = objective_of(model, term_of(updates=2, beta=0.5), view="image_speech")
    trainer, logs = trainer_by_reward(model, samples, out, objective, steps=STEPS, batch=BATCH, lr=3e-3)
    trainer.train()
    return logs


def on_policy(checkpoint: Path, out: Path) -> list:
    """Logs of a training of which half of the answers are drawn."""
    media = out / f"media{process_rank()}"
    media.mkdir(parents=True)
    processes = process_count()
    trainer, logs = trainer_of(checkpoint, media, out, batch=BATCH // processes, processes=processes)
    settings = OnPolicy(share=0.5, max_tokens=4)
    objective = OnPolicyObjective(trainer._objective, trainer.model, settings, seed=5)
    trainer._objective, trainer.data_collator = objective, objective.collate
    trainer.train()
    return logs


def refused(checkpoint: Path, out: Path) -> list[str]:
    """What is said of trainings whose processes would make different numbers of passes."""
    media = out / f"media{process_rank()}"
    media.mkdir(parents=True)
    model, samples = learner(checkpoint, train="ears"), asked(media, 4)
    replayed = objective_of(model, term_of(), view="image_speech", replay={"kept": "image_speech"})
    said = []
    try:
        trainer_by_reward(model, samples, out, replayed, steps=1, batch=BATCH)[0].train()
    except InputError as error:
        said.append(str(error))
    model = learner(checkpoint, train="ears")
    term = make_term(SftTerm(type="sft", weight=1.0))
    term.name = "one/sft"
    parts = PartsObjective({"one": Objective("image_speech", [term], model)})
    settings = Training(steps=1, batch_size=BATCH, lr=1e-3, precision="float32")
    metrics = Metrics(out / "metrics.jsonl")
    schedule = Schedule([replace(sample, part="one") for sample in samples], [0, 1, 2, 3])
    try:
        fit(model, parts, schedule, settings, out / "parts", seed=0, metrics=metrics, what="parts")
    except InputError as error:
        said.append(str(error))
    return said


def everything(checkpoint: Path, out: Path) -> dict:
    return {
        "selected": selected(checkpoint, out / "selected"),
        "by_reward": by_reward(checkpoint, out / "by_reward"),
        "on_policy": on_policy(checkpoint, out / "on_policy"),
        "refused": refused(checkpoint, out / "refused") if process_count() > 1 else [],
    }


if __name__ == "__main__":
    torch.set_num_threads(1)
    done = everything(*map(Path, sys.argv[1:]))
    if os.environ["RANK"] == "0":
        Path(sys.argv[2], "done.json").write_text(json.dumps(done))
    torch.distributed.barrier()
    torch.distributed.destroy_process_group()
    leave()
