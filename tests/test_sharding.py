"""FSDP2 with two gloo processes: one process's curve, checkpoints that fit everywhere, ears that load."""

import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from accelerate.utils import FullyShardedDataParallelPlugin
from safetensors.torch import load_file
from test_trainer import assert_same_curves, curve
from tiny import tiny_model
from training_case import STEPS, trainer_of

from earwise.distil.sharding import shard_base
from earwise.errors import InputError
from earwise.models import OmniModel

LAUNCHER = {"ACCELERATE_USE_FSDP": "true", "FSDP_VERSION": "2"}
"""What `accelerate launch --use_fsdp --fsdp_version 2` tells the processes that it starts."""


def two_processes(*arguments: object) -> None:
    """`training_case.py ARGUMENTS` with FSDP2."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    launch = [sys.executable, "-m", "torch.distributed.run", "--nproc_per_node", "2", "--master_port", str(port)]
    command = [*launch, str(Path(__file__).with_name("training_case.py")), *map(str, arguments)]
    environment = {**os.environ, **LAUNCHER, "OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=240, check=False)
    assert done.returncode == 0, done.stderr[-3000:]


@pytest.fixture(scope="module")
def checkpoint(tiny_checkpoints):
    return tiny_checkpoints["internvl"]


@pytest.fixture(scope="module")
def alone(checkpoint, tmp_path_factory):
    """Logs and model of one process, with its checkpoint after 3 steps of 6."""
    folder = tmp_path_factory.mktemp("alone")
    trainer, logs = trainer_of(checkpoint, folder, folder / "out", batch=4, save_every=3)
    trainer.train()
    return logs, trainer.model, folder / "out" / "checkpoint-3"


@pytest.fixture(scope="module")
def sharded(checkpoint, tmp_path_factory):
    """The folder that two processes leave, 2 samples each per step."""
    folder = tmp_path_factory.mktemp("sharded")
    two_processes(checkpoint, folder, folder, 2, 1, 3)
    return folder


def test_two_sharded_processes_give_the_curve_of_one(alone, sharded):
    assert_same_curves(alone[0], json.loads((sharded / "logs.json").read_text()), 1e-4)


def test_the_decoder_and_the_ears_lie_in_shards_the_head_does_not(checkpoint, sharded):
    names = set(json.loads((sharded / "sharded.json").read_text()))
    kept = {name for name, _ in tiny_model(checkpoint).named_parameters()} - names
    assert any(".layers.0." in name for name in names)
    assert any(name.startswith("ears.") for name in names)
    assert {name.rpartition(".")[0].rpartition(".")[2] for name in kept} <= {"embed_tokens", "lm_head"}


def test_the_ears_that_shards_leave_load_and_are_those_of_one_process(checkpoint, alone, sharded):
    loaded = OmniModel.from_pretrained(str(checkpoint), sharded / "ears")
    for (name, one), two in zip(alone[1].ears.named_parameters(), loaded.ears.parameters(), strict=True):
        torch.testing.assert_close(one, two, rtol=0, atol=2e-5, msg=name)


def test_a_checkpoint_of_shards_is_one_of_a_single_process(checkpoint, alone, sharded, tmp_path):
    mine = load_file(sharded / "checkpoint-3" / "trained.safetensors")
    theirs = load_file(alone[2] / "trained.safetensors")
    assert {name: value.shape for name, value in mine.items()} == {name: value.shape for name, value in theirs.items()}
    resumed, logs = trainer_of(checkpoint, tmp_path, tmp_path / "out", batch=4)
    resumed.train(resume_from_checkpoint=str(sharded / "checkpoint-3"))
    assert curve(logs, "loss") == pytest.approx(curve(alone[0], "loss")[3:], rel=1e-4)


def test_shards_resume_from_the_checkpoint_of_one_process(checkpoint, alone, sharded, tmp_path):
    two_processes(checkpoint, tmp_path, tmp_path, 2, 1, 100, "float32", alone[2])
    logs = json.loads((tmp_path / "logs.json").read_text())
    assert [step for step, numbers in logs if "loss" in numbers] == [4, 5, 6]
    for name in ("loss", "grad_norm"):
        assert curve(logs, name) == pytest.approx(curve(alone[0], name)[3:STEPS], rel=1e-4)


def test_mixed_precision_is_autocast_in_shards_too(checkpoint, alone, tmp_path):
    one, logs = trainer_of(checkpoint, tmp_path, tmp_path / "one", batch=4, precision="bfloat16")
    one.train()
    two_processes(checkpoint, tmp_path, tmp_path, 2, 1, 100, "bfloat16")
    first = curve(json.loads((tmp_path / "logs.json").read_text()), "loss")[0]
    assert first == pytest.approx(curve(logs, "loss")[0], rel=1e-6)
    assert first != pytest.approx(curve(alone[0], "loss")[0], rel=1e-6)


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"fsdp_version": 1}, "FSDP version 1 is not supported (set fsdp_version to 2)"),
        ({"activation_checkpointing": True}, "activation checkpointing drops the keys"),
    ],
)
def test_what_shards_cannot_do_is_one_line(changes, problem, checkpoint):
    plugin = FullyShardedDataParallelPlugin(fsdp_version=2)
    for name, value in changes.items():
        setattr(plugin, name, value)
    with pytest.raises(InputError) as caught:
        shard_base(plugin, tiny_model(checkpoint))
    assert str(caught.value).startswith(f"accelerate's configuration: {problem}")


def test_a_model_that_is_trained_whole_is_not_sharded(checkpoint):
    model = tiny_model(checkpoint)
    model.base.requires_grad_(True)
    with pytest.raises(InputError, match=r"FSDP2 shards a frozen base, but here the whole model is trained \(train it"):
        shard_base(FullyShardedDataParallelPlugin(fsdp_version=2), model)
