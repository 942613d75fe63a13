"""Speech, traces and verification by workers, one of which is killed: the same records, none lost and none twice."""

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from scale_case import clips, traces, verdicts

from earwise.errors import InputError
from earwise.work.cluster import RayData
from earwise.work.parallel import ProcessPool
from earwise.work.store import PART

HAS_RAY = importlib.util.find_spec("ray") is not None


def files(folder: Path) -> dict[str, bytes]:
    """All files but those that a killed process had not finished: the next run clears them away."""
    found = [path for path in folder.rglob("*") if path.is_file() and path.suffix != PART]
    return {str(path.relative_to(folder)): path.read_bytes() for path in found}


@pytest.fixture(scope="module")
def alone(tmp_path_factory, tiny_checkpoints):
    """What one process makes: the folder, the checker's words and the model's answers."""
    folder = tmp_path_factory.mktemp("alone")
    (folder / "sound.wav").write_bytes(b"sound")
    clips(folder / "clips", None, None)
    words = verdicts(folder / "verdicts.jsonl", folder / "sound.wav", None, None)
    return folder, words, traces(folder / "traces.jsonl", tiny_checkpoints["internvl"], None)


def assert_one_was_killed_of_several(deaths: Path) -> None:
    """One process noted its death, and others went on."""
    killed = (deaths / "killed").read_text()
    noted = {path.name for path in deaths.glob("worker*")}
    assert f"worker{killed}" in noted
    assert len(noted) >= 2


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "sound.wav").write_bytes(b"sound")
    for name in ("clips", "verdicts"):
        (tmp_path / f"{name}-deaths").mkdir()
    return tmp_path


def test_clips_of_a_pool_with_a_killed_process_are_those_of_one_process(alone, folder):
    clips(folder / "clips", ProcessPool, folder / "clips-deaths")
    assert_one_was_killed_of_several(folder / "clips-deaths")
    assert files(folder / "clips") == files(alone[0] / "clips")


def test_verdicts_of_a_pool_with_a_killed_process_are_those_of_one_process(alone, folder):
    words = verdicts(folder / "verdicts.jsonl", folder / "sound.wav", ProcessPool, folder / "verdicts-deaths")
    assert_one_was_killed_of_several(folder / "verdicts-deaths")
    assert words == alone[1]
    assert sum("the script has no answer" in word for word in words) == 1
    assert (folder / "verdicts.jsonl").read_bytes() == (alone[0] / "verdicts.jsonl").read_bytes()


def test_two_copies_of_a_local_model_answer_as_one(alone, folder, tiny_checkpoints):
    assert traces(folder / "traces.jsonl", tiny_checkpoints["internvl"], ProcessPool) == alone[2]
    assert (folder / "traces.jsonl").read_bytes() == (alone[0] / "traces.jsonl").read_bytes()


def test_nothing_imports_ray_unless_it_is_asked_for():
    code = "import sys, earwise.planning.compile, earwise.work.cluster; assert 'ray' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_without_ray_its_absence_is_one_line(monkeypatch):
    monkeypatch.setitem(sys.modules, "ray", None)  # as if it were not installed
    with pytest.raises(InputError, match=r"^a cluster needs the package `ray` \(pip install 'earwise\[ray\]'\)$"):
        list(RayData(2).map(dict, [1]))


@pytest.mark.skipif(not HAS_RAY, reason="needs the extra `ray` (pip install 'earwise[ray]')")
def test_a_ray_cluster_of_two_workers_one_of_them_killed_makes_the_same(alone, tmp_path, tiny_checkpoints):
    (tmp_path / "sound.wav").write_bytes(b"sound")
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(Path(__file__).parent)}
    script = Path(__file__).with_name("scale_case.py")
    command = [sys.executable, script, tmp_path, tiny_checkpoints["internvl"]]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    said = json.loads(next(line for line in done.stdout.splitlines() if line.startswith("{")))  # Ray prints, too.
    for name in ("clips", "verdicts"):
        assert_one_was_killed_of_several(tmp_path / f"{name}-deaths")
    assert files(tmp_path / "clips") == files(alone[0] / "clips")
    assert said["verdicts"] == alone[1]
    assert said["traces"] == alone[2]
    for name in ("verdicts.jsonl", "traces.jsonl"):
        assert (tmp_path / name).read_bytes() == (alone[0] / name).read_bytes()
    assert said["cores"] == 2
    assert "workers were killed 3 times without doing any of the 2 jobs" in said["given_up"]
