"""How many threads a command uses, and how they wait: decided before torch is loaded, and only for commands."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from earwise.work import threads
from earwise.work.parallel import ProcessPool
from earwise.work.threads import COUNTS, WAITING, cpu_quota, prepare, threads_of_each, usable_cores, usable_cpus

NAMES = (*WAITING, *COUNTS)

SEEN = """
import json, os, sys
from earwise import cli
def app():
    assert "torch" not in sys.modules, "too late"
    print(json.dumps({{name: os.environ.get(name) for name in {names}}}))
cli.app = app
cli.main()
"""


def command_sees(before: str = "") -> dict[str, str | None]:
    """The environment in which a command runs that was started with none of what `prepare` sets, after `before`."""
    clean = {name: value for name, value in os.environ.items() if name not in NAMES}
    program = before + SEEN.format(names=NAMES)
    done = subprocess.run([sys.executable, "-c", program], env=clean, capture_output=True, text=True, check=True)
    return json.loads(done.stdout)


def test_a_command_sets_how_threads_wait_before_torch_is_loaded():
    seen = command_sees()
    assert {name: seen[name] for name in WAITING} == {
        "OMP_WAIT_POLICY": "passive", "GOMP_SPINCOUNT": "0", "KMP_BLOCKTIME": "0"
    }  # fmt: skip
    assert seen["OMP_NUM_THREADS"] == str(usable_cores())
    assert seen["MKL_NUM_THREADS"] is None


def test_threads_are_no_more_than_the_affinity_of_the_process():
    cpu = min(os.sched_getaffinity(0))
    assert command_sees(f"import os; os.sched_setaffinity(0, [{cpu}])")["OMP_NUM_THREADS"] == "1"


@pytest.mark.parametrize(
    ("name", "value"), [("OMP_WAIT_POLICY", "active"), ("GOMP_SPINCOUNT", "1000"), ("KMP_BLOCKTIME", "200")]
)
def test_how_the_users_threads_wait_stays_as_a_whole(name, value):
    """GOMP_SPINCOUNT=0 would override the user's OMP_WAIT_POLICY."""
    environment = {name: value}
    prepare(environment)
    assert {key: environment.get(key) for key in WAITING} == dict.fromkeys(WAITING) | {name: value}
    assert environment["OMP_NUM_THREADS"] == str(usable_cores())


@pytest.mark.parametrize("name", COUNTS)
def test_the_users_number_of_threads_stays(name):
    environment = {name: "7"}
    prepare(environment)
    assert {key: environment.get(key) for key in COUNTS} == dict.fromkeys(COUNTS) | {name: "7"}
    assert environment.items() >= WAITING.items()


def test_importing_the_package_sets_nothing():
    program = (
        "import os; before = dict(os.environ)\n"
        "import earwise.cli, earwise.work.parallel, earwise.work.cluster, earwise.work.threads, earwise.work.run\n"
        "assert dict(os.environ) == before, {*os.environ.items()} ^ {*before.items()}\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.stderr == ""


def test_torch_takes_the_number_and_its_openmp_the_policy():
    """`OMP_DISPLAY_ENV` makes the library print what it understood when it is loaded."""
    clean = {name: value for name, value in os.environ.items() if name not in NAMES}
    program = "from earwise.work.threads import prepare; prepare(); import torch; print(torch.get_num_threads())"
    done = subprocess.run(
        [sys.executable, "-c", program], env=clean | {"OMP_DISPLAY_ENV": "verbose"},
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert done.stdout.strip() == str(usable_cores())
    assert "OMP_WAIT_POLICY = 'PASSIVE'" in done.stderr
    assert "GOMP_SPINCOUNT = '0'" in done.stderr or "KMP_BLOCKTIME" in done.stderr


@pytest.mark.parametrize(
    ("groups", "files", "quota"),
    [
        ("0::/\n", {"cpu.max": "150000 100000\n"}, 1.5),
        ("0::/\n", {"cpu.max": "max 100000\n"}, None),
        ("0::/\n", {}, None),
        # The narrowest of a group and those that it is in counts.
        ("0::/a/b\n", {"a/b/cpu.max": "400000 100000", "a/cpu.max": "300000 100000", "cpu.max": "max 100000"}, 3.0),
        # A container sees its own group as the root, and the host's path in its list.
        ("0::/../../docker/abc\n", {"cpu.max": "200000 100000"}, 2.0),
        ("1:cpu:/\n0::/\n", {"cpu/cpu.cfs_quota_us": "50000", "cpu/cpu.cfs_period_us": "100000"}, 0.5),
        ("1:cpu:/\n", {"cpu/cpu.cfs_quota_us": "-1", "cpu/cpu.cfs_period_us": "100000"}, None),
        (
            "9:name=systemd:/\n4:cpu,cpuacct:/docker/abc\n3:cpuset:/\n",
            {
                "cpu,cpuacct/docker/abc/cpu.cfs_quota_us": "600000\n",
                "cpu,cpuacct/docker/abc/cpu.cfs_period_us": "200000\n",
                "cpuset/cpu.cfs_quota_us": "1",
            },
            3.0,
        ),
        ("2:cpuacct:/\n", {"cpuacct/cpu.cfs_quota_us": "1", "cpuacct/cpu.cfs_period_us": "1"}, None),
    ],
)  # fmt: skip
def test_the_quota_of_control_groups_of_both_versions(tmp_path, groups, files, quota):
    (tmp_path / "groups").write_text(groups)
    for name, text in files.items():
        path = tmp_path / "root" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    assert cpu_quota(tmp_path / "groups", tmp_path / "root") == quota
    assert cpu_quota(tmp_path / "none", tmp_path / "root") is None


@pytest.mark.parametrize(
    ("quota", "cores", "cpus"), [(None, 4, 8), (16.0, 4, 8), (6.9, 4, 6), (2.5, 2, 2), (0.5, 1, 1)]
)
def test_threads_are_no_more_than_the_quota_and_than_whole_cores(monkeypatch, quota, cores, cpus):
    """Eight hardware threads, two of each core."""
    monkeypatch.setattr(threads, "_affinity", lambda: set(range(8)))
    monkeypatch.setattr(threads, "_core_of", lambda cpu: f"{cpu % 4},{cpu % 4 + 4}")
    monkeypatch.setattr(threads, "cpu_quota", lambda: quota)
    assert (usable_cores(), usable_cpus()) == (cores, cpus)
    environment: dict[str, str] = {}
    prepare(environment)
    assert environment["OMP_NUM_THREADS"] == str(cores)


@pytest.mark.parametrize(
    ("cores", "wanted", "processes", "each"),
    [
        (8, None, 2, 4),
        (8, "2", 2, 2),
        (8, "6", 2, 4),
        (2, None, 3, 1),
        (2, "1", 1, 1),
        (4, "4,2", 2, 2),
        (4, "0", 1, 4),
    ],
)
def test_processes_share_the_cores_and_what_the_user_allows(monkeypatch, cores, wanted, processes, each):
    monkeypatch.setattr(threads, "usable_cores", lambda: cores)
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    if wanted is not None:
        monkeypatch.setenv("OMP_NUM_THREADS", wanted)
    assert threads_of_each(processes) == each


def work_in_worker():
    return lambda names: [os.environ.get(name) for name in names]


def test_workers_sleep_while_they_wait_too(monkeypatch):
    for name in NAMES:
        monkeypatch.delenv(name, raising=False)
    (seen,) = ProcessPool(1).map(work_in_worker, [NAMES])
    assert dict(zip(NAMES, seen, strict=True)) == {
        **WAITING, "OMP_NUM_THREADS": str(usable_cores()), "MKL_NUM_THREADS": None
    }  # fmt: skip
    assert not any(name in os.environ for name in WAITING), "this process is not a command"


BENCHES = [
    path for path in sorted((Path(__file__).parent.parent / "bench").glob("*.py")) if "__main__" in path.read_text()
]


@pytest.mark.parametrize("path", BENCHES, ids=lambda path: path.stem)
def test_benches_prepare_before_they_import_torch(path):
    lines = path.read_text().splitlines()
    heavy = [n for n, line in enumerate(lines) if line.startswith(("import torch", "from torch", "from step"))]
    if heavy and path.stem != "models":  # imported by the others
        assert any(line.startswith("prepare()") for line in lines[: heavy[0]])
