"""A recipe that several processes run together, as `torchrun -m earwise` starts them."""

import json
import os
import shutil
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from data_folder import RECIPE, write_data_folder
from earwise_process import ENVIRONMENT, earwise
from plain_stage import Stage

from earwise.errors import InputError
from earwise.recipe.read import load_recipe
from earwise.work.ranks import Ranks
from earwise.work.run import Run

EVEN = (
    "align.batch_size=4", "align.steps=3", "align.log_every=1", "align.precision=float32",
    "training.steps=3", "training.log_every=1", "training.precision=float32",
)  # fmt: skip
"""Batches that two processes can share, and enough steps to see a curve."""


@pytest.fixture(scope="module")
def folder(tmp_path_factory, tiny_checkpoints):
    folder = tmp_path_factory.mktemp("ranks")
    shutil.copytree(tiny_checkpoints["internvl"], folder / "vlm")
    write_data_folder(folder / "own")
    (folder / "own.toml").write_text(RECIPE)
    return folder


def together(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """`torchrun --nproc-per-node 2 -m earwise ARGUMENTS` in `folder`."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    launch = ["-m", "torch.distributed.run", "--nproc-per-node", "2", "--master-port", port, "-m", "earwise"]
    environment = {**os.environ, **ENVIRONMENT, "PYTHONWARNINGS": "default"}
    command = [sys.executable, *launch, *arguments]
    return subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, timeout=400, check=False
    )


def numbers(run: Path, stage: str) -> list[float]:
    lines = (run / "stages/seed0" / stage / "metrics.jsonl").read_text().splitlines()
    return [json.loads(line)["loss"] for line in lines if "loss" in json.loads(line)]


def test_two_processes_leave_the_run_of_one(folder):
    alone = earwise(folder, "run", "own.toml", "--out", "alone", *EVEN)
    assert (alone.code, alone.stderr) == (0, "")
    done = together(folder, "run", "own.toml", "--out", "two", *EVEN)
    assert done.returncode == 0, done.stderr[-3000:]
    one, two = (json.loads((folder / name / "summary.json").read_text()) for name in ("alone", "two"))
    assert two["models"] == one["models"]
    for stage in ("align", "train.sft"):
        losses = numbers(folder / "two", stage)
        assert len(losses) == 3
        assert losses == pytest.approx(numbers(folder / "alone", stage), rel=1e-4)
    assert [attempt["processes"] for attempt in json.loads((folder / "two/run.json").read_text())["attempts"]] == [2]
    assert done.stdout.count("data: starts") == done.stdout.count("report: two/report.html") == 1
    assert not list((folder / "two").rglob("checkpoint*"))
    again = earwise(folder, "run", "own.toml", "--out", "two", *EVEN)
    assert again.stdout.endswith("nothing to do: two is up to date\n"), "the number of processes decides no result"


def test_a_batch_that_two_processes_cannot_share_is_named_by_each_that_meets_it(folder):
    done = together(folder, "run", "own.toml", "--out", "odd", *EVEN, "align.batch_size=3")
    assert done.returncode != 0
    line = "seed0/align: a batch of 3 cannot be shared evenly by 2 processes (set batch_size to a multiple of 2)"
    assert line in done.stderr
    assert "data: starts" in done.stdout


def test_a_stage_made_for_one_process_says_how_it_is_run(tmp_path):
    (tmp_path / "own.toml").write_text(RECIPE)
    recipe = load_recipe(tmp_path / "own.toml")
    stage = Stage(name="seed0/base", work=lambda context: None, settings={}, processes="one")
    Run(tmp_path / "run", recipe).execute([stage])

    class Two(Ranks):
        def tell(self, number: int) -> None:
            pass

    run = Run(tmp_path / "two", recipe, ranks=Two(0, 2))
    with pytest.raises(InputError, match=r"made for one process, and there are 2 .run `earwise base` by itself first"):
        run.execute([stage])
    run = Run(tmp_path / "run", recipe, ranks=Two(0, 2))
    assert run.execute([stage]) == [], "done is done"


@pytest.mark.parametrize(("processes", "tidied"), [("1", True), ("2", False)])
def test_one_of_several_leaves_at_once_with_its_code_and_all_that_it_said(processes, tidied):
    """What Python does at its end takes down threads of torch.distributed in any order."""
    program = (
        "import atexit; from earwise.work.ranks import leave; atexit.register(print, 'tidied'); print('said'); leave(3)"
    )
    environment = {**os.environ, "WORLD_SIZE": processes}
    done = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 3
    assert done.stdout.split() == (["said", "tidied"] if tidied else ["said"])


def test_the_package_is_a_command(tmp_path):
    done = subprocess.run([sys.executable, "-m", "earwise", "--version"], capture_output=True, text=True, check=True)
    assert done.stdout.startswith("earwise ")
