"""FSDP2 with two gloo processes where the model is asked within its training: what one process does, they do."""

import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from asking_processes import everything
from test_sharding import LAUNCHER
from test_trainer import curve


@pytest.fixture(scope="module")
def alone(tiny_checkpoints, tmp_path_factory):
    return json.loads(json.dumps(everything(tiny_checkpoints["internvl"], tmp_path_factory.mktemp("alone"))))


@pytest.fixture(scope="module")
def sharded(tiny_checkpoints, tmp_path_factory):
    folder = tmp_path_factory.mktemp("sharded")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    script = str(Path(__file__).with_name("asking_processes.py"))
    launch = ["-m", "torch.distributed.run", "--nproc_per_node", "2", "--master_port", port, script]
    environment = {**os.environ, **LAUNCHER, "OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1"}
    command = [sys.executable, *launch, str(tiny_checkpoints["internvl"]), str(folder)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=400, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads((folder / "done.json").read_text())


def test_the_best_step_is_chosen_and_its_weights_are_saved_whole(alone, sharded):
    one, two = alone["selected"], sharded["selected"]
    assert two["tried"] == one["tried"]
    assert [*two["tried"]] == ["2", "4", "6"]
    assert max(two["tried"].values()) > 0
    assert two["said"] == one["said"]
    assert curve(two["logs"], "loss") == pytest.approx(curve(one["logs"], "loss"), rel=1e-4)
    assert two["weights"] == pytest.approx(one["weights"], rel=1e-3, abs=1e-3)


def test_the_model_is_whole_only_while_it_is_asked(alone, sharded):
    before, asked, after = sharded["selected"]["sharded"]
    assert (asked, after) == (0, before)
    assert before > 10
    assert alone["selected"]["sharded"] == [0, 0, 0]


def test_learning_from_reward_in_shards_gives_the_curve_of_one_process(alone, sharded):
    """Completions, the reference that is swapped in, and two updates on what was drawn."""
    for name in ("loss", "grad_norm", "reward", "kl", "entropy", "length", "clipped"):
        mine, theirs = curve(sharded["by_reward"], name), curve(alone["by_reward"], name)
        assert mine == pytest.approx(theirs, rel=1e-3, abs=1e-5), name
    assert curve(alone["by_reward"], "kl")[0] == 0
    assert max(curve(alone["by_reward"], "kl")) > 1e-4


def test_drawn_answers_in_shards_give_the_curve_of_one_process(alone, sharded):
    for name in ("loss", "grad_norm", "drawn", "length", "terms/logits"):
        mine, theirs = curve(sharded["on_policy"], name), curve(alone["on_policy"], name)
        assert mine == pytest.approx(theirs, rel=1e-3, abs=1e-5), name
    assert max(curve(alone["on_policy"], "drawn")) > 0


def test_what_would_wait_for_ever_is_refused(sharded):
    """FSDP2 gathers the shards of all processes at every pass, so all must make as many."""
    replayed, parts = sharded["refused"]
    assert replayed.startswith("with replayed samples, processes make different numbers of passes")
    assert parts.startswith("accelerate's configuration: with parts, processes make different numbers of passes")
