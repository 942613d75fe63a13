"""Whole trainings by reward: resumed, cut up otherwise, in several updates, from a server."""

import json
import os
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from example_recipe import TEXT
from grpo_case import asked, curve, learner, objective_of, term_of, trainer_of
from grpo_processes import logs_of
from tiny import tiny_model

from earwise.distil.rollouts import Prompt, ServerRollouts
from earwise.distil.schedule import repeat_batches
from earwise.errors import EarwiseError, InputError
from earwise.planning.compile import Compiler
from earwise.recipe.read import load_recipe
from earwise.stages.objectives import open_objective
from earwise.traces.client import Client
from earwise.traces.requests import Message
from earwise.traces.scripted import ScriptedEngine

NUMBERS = ("loss", "grad_norm", "reward", "kl", "entropy", "length", "clipped")
STEPS = 6


@pytest.fixture(scope="module")
def checkpoint(tiny_checkpoints):
    return tiny_checkpoints["internvl"]


def run(checkpoint, folder, *, updates=1, batch=4, accumulate=1, resume=None, save_every=2, train="ears", **given):
    """A training on twelve spoken questions; its logs, weights and answers."""
    folder.mkdir(exist_ok=True)
    model, answers = learner(checkpoint, train=train), folder / "samples.jsonl"
    term = term_of(updates=updates, **given)
    objective = objective_of(model, term, view="image_speech", answers=answers)
    trainer, logs = trainer_of(
        model, asked(folder, 12), folder / "out", objective, steps=STEPS, batch=batch, accumulate=accumulate,
        save_every=save_every, lr=3e-3,
    )  # fmt: skip
    trainer.train(resume_from_checkpoint=resume and str(folder / "out" / f"checkpoint-{resume}"))
    trained = {name: p.detach().clone() for name, p in model.named_parameters() if p.requires_grad}
    return logs, trained, [json.loads(line) for line in answers.read_text().splitlines()]


@pytest.mark.parametrize("updates", [1, 2])
def test_resuming_gives_the_same_curve_weights_and_answers_bit_for_bit(updates, checkpoint, tmp_path):
    """The reference stays the start, the draws go on where they were, and a line of the killed run is not doubled."""
    logs, trained, answers = run(checkpoint, tmp_path / "once", updates=updates)
    run(checkpoint, tmp_path / "again", updates=updates)
    after, resumed, answered = run(checkpoint, tmp_path / "again", updates=updates, resume=4)
    for name in NUMBERS:
        late = [(step, numbers) for step, numbers in logs if step > 4]
        assert curve(after, name) == curve(late, name) != [], name
    assert max(curve(logs, "kl")) > 1e-5
    for name, weights in trained.items():
        assert torch.equal(weights, resumed[name]), name
    assert answered == answers
    assert [line["step"] for line in answers] == [step for step in range(1, STEPS + 1) for _ in range(5)]


def test_accumulation_gives_the_same_curve(checkpoint, tmp_path):
    logs, _, answers = run(checkpoint, tmp_path / "whole")
    cut, _, others = run(checkpoint, tmp_path / "cut", batch=1, accumulate=4)
    for name in NUMBERS:
        assert curve(cut, name) == pytest.approx(curve(logs, name), rel=1e-3, abs=1e-5), name
    assert [(line["step"], line["text"]) for line in others] == [(line["step"], line["text"]) for line in answers]


def test_two_processes_give_the_same_curve(checkpoint, tmp_path):
    """Completions, dropped groups, replayed samples and what is divided by are those of one process."""
    command = [
        sys.executable, "-m", "torch.distributed.run", "--nproc_per_node", "2", "--master_port", "29523",
        str(Path(__file__).with_name("grpo_processes.py")), str(checkpoint), str(tmp_path / "two"),
    ]  # fmt: skip
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=240, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    together, alone = json.loads((tmp_path / "two" / "logs.json").read_text()), logs_of(checkpoint, tmp_path / "one")
    for name in (*NUMBERS, "terms/sft", "dropped"):
        assert curve(together, name) == pytest.approx(curve(alone, name), rel=1e-3, abs=1e-5), name
    assert max(curve(alone, "terms/sft")) > 0


def test_several_updates_learn_from_one_rollout_and_the_clipping_binds(checkpoint, tmp_path):
    """The second update sees the same completions under other weights; the first has ratio 1 throughout."""
    logs, _, answers = run(checkpoint, tmp_path, updates=2, clip=0.001, train="decoder")
    texts = {step: [line["text"] for line in answers if line["step"] == step] for step in range(1, STEPS + 1)}
    assert texts[1] == texts[2] != texts[3] == texts[4] != texts[5]
    clipped = curve(logs, "clipped")
    assert clipped[::2] == [0, 0, 0]
    assert min(clipped[1::2]) > 0.1
    assert len(curve(logs, "reward")) == 3, "rewards are counted when completions are drawn"


def test_a_schedule_that_does_not_repeat_its_batches_is_noticed(checkpoint, tmp_path):
    model, samples = learner(checkpoint), asked(tmp_path, 4)
    objective = objective_of(model, term_of(updates=2))
    objective.begin(0, [objective.collate(samples[:2])["batch"]])
    with pytest.raises(EarwiseError, match="step 1 repeats no batch, and 2 updates are made on each"):
        objective.begin(1, [objective.collate(samples[2:])["batch"]])


def test_batches_are_repeated_in_place():
    order = np.arange(8)
    assert repeat_batches(order, 2, 3).tolist() == [0, 1, 0, 1, 0, 1, 2, 3]
    assert repeat_batches(order, 4, 1).tolist() == order.tolist()
    with pytest.raises(ValueError, match="8 draws are no whole number of batches of 3"):
        repeat_batches(order, 3, 2)


def test_bfloat16_autocast_begins_without_a_kl(checkpoint, tmp_path):
    """Casts of the weights are cached while autocast is on; the reference must not be the student's casts."""
    model = learner(checkpoint)
    objective = objective_of(model, term_of(beta=0.5))
    trainer, logs = trainer_of(
        model, asked(tmp_path, 2), tmp_path / "out", objective, steps=3, lr=1e-2, precision="bfloat16"
    )
    trainer.train()
    kl = curve(logs, "kl")
    assert kl[0] == 0
    assert kl[2] > 1e-3


def asking(client, model, **given):
    settings = {"max_tokens": 6, "temperature": 1.0} | given
    return ServerRollouts(client, model, lambda item: (Message("user", (item.question,)),), **settings)


def test_completions_from_a_server_are_the_students_tokens_and_are_asked_once(checkpoint, tmp_path):
    model = tiny_model(checkpoint)
    tokenizer, (stop,) = model.family.tokenizer, model.family.stop_ids
    (sample,) = asked(tmp_path, 1)
    prompt = Prompt(sample, model.layouts.build(sample, "text_only", answers=False))
    texts = ["red star", "two <|im_end|> three", None, "no"]
    engine = ScriptedEngine(lambda request, number: texts[number])
    with Client(engine, tmp_path / "store") as client:
        source = asking(client, model)
        ((red, injected, no),) = source.draw([prompt], [5], 4)
        assert source.draw([prompt], [5], 2) == [[red, injected]]
        source.draw([prompt], [6], 1)
    assert engine.asked == [("item-0", 0), ("item-0", 1), ("item-0", 2), ("item-0", 3), ("item-0", 0)]
    assert red.ids == (*tokenizer.encode("red star", add_special_tokens=False), stop)
    assert stop not in injected.ids[:-1], "text that spells the stop token does not become it"
    assert (no.text, no.ended) == ("no", True)


def test_a_training_learns_from_a_server(checkpoint, tmp_path):
    """The ratio is to the student's own log-probabilities: 1 at the first update, whoever drew the completions."""
    model = learner(checkpoint)
    words = ["red star", "yes it is", "two", "no"]
    engine = ScriptedEngine(lambda request, number: words[number % 4])
    with Client(engine, tmp_path / "store") as client:
        objective = objective_of(model, term_of(), source=asking(client, model))
        trainer, logs = trainer_of(model, asked(tmp_path, 2), tmp_path / "out", objective, steps=2)
        trainer.train()
    assert curve(logs, "reward") == pytest.approx([(1 / 2 + 1 / 3 + 0 + 0) / 4] * 2)
    assert curve(logs, "clipped") == [0, 0]
    assert curve(logs, "kl")[0] == 0
    assert curve(logs, "grad_norm")[0] > 0


def test_an_unanswered_step_is_an_error(checkpoint, tmp_path):
    model = learner(checkpoint)
    with Client(ScriptedEngine(lambda request, number: None), tmp_path / "store") as client:
        objective = objective_of(model, term_of(), source=asking(client, model))
        with pytest.raises(EarwiseError, match="step 0: none of 2 prompts was answered"):
            objective.begin(0, [objective.collate(asked(tmp_path, 2))["batch"]])


GRPO = """
[train.reward]
terms = [{ type = "grpo", weight = 1.0, max_tokens = 8, rewards = [{ type = "accuracy", weight = 1.0 }] }]
"""


def test_each_process_has_a_store_of_its_own_for_what_a_server_answers(checkpoint, tmp_path, monkeypatch):
    """A store has one writer: two processes that open the same training do not fight for it."""
    server = 'server = { type = "server", base_url = "http://127.0.0.1:9/v1", model = "m" }, max_tokens = 8'
    path = tmp_path / "reward.toml"
    path.write_text(TEXT.replace("[report]\n", "") + GRPO.replace("max_tokens = 8", server))
    job, samples = Compiler(load_recipe(path)).train("reward", 0), asked(tmp_path, 2)
    stage = SimpleNamespace(folder=tmp_path / "stage", folder_of=lambda _: tmp_path, seed=0)
    with ExitStack() as stack:
        for rank in ("0", "1"):
            monkeypatch.setenv("RANK", rank)
            stack.enter_context(open_objective(stage, job, learner(checkpoint), samples, ()))
        assert {file.name for file in stage.folder.glob("*.jsonl")} == {"rollouts.jsonl", "rollouts@1.jsonl"}


@pytest.mark.parametrize(
    ("old", "new", "match"),
    [
        ("terms = [{ type = \"grpo\"", "terms = [{ type = \"logits\", weight = 1.0 }, { type = \"grpo\"",
         "train.reward.terms.0: logits compares views of given answers: it cannot stand beside grpo"),
        ("max_tokens = 8", "max_tokens = 8, updates = 3",
         "training.save_every: 100 is no multiple of the 3 updates of train.reward.terms: rollouts are not saved"),
        ("max_tokens = 8", "max_tokens = 8, betta = 1", "did you mean 'beta'"),
        ("\"accuracy\"", "\"accurate\"", "train.reward.terms.0"),
    ],
)  # fmt: skip
def test_recipes_that_contradict_themselves_are_refused(old, new, match, tmp_path):
    path = tmp_path / "reward.toml"
    path.write_text(TEXT.replace("[report]\n", "") + GRPO)
    (term,) = load_recipe(path).train["reward"].terms
    assert (term.group, term.beta, term.clip, term.updates) == (8, 0.04, 0.2, 1)
    path.write_text(TEXT.replace("[report]\n", "") + GRPO.replace(old, new))
    with pytest.raises(InputError, match=match):
        load_recipe(path)
