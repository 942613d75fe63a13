"""Every command and program of docs/use_your_model.md, as it stands there."""

import contextlib
import io
import shlex
import shutil
import subprocess
import sys
import types
from pathlib import Path

import pytest
from earwise_process import earwise
from serving import needs_server, served
from test_ask import questions
from test_readme import blocks

pytestmark = needs_server
PAGE = Path(__file__).parents[1] / "docs/use_your_model.md"
COMMANDS = [shlex.split(line) for block in blocks(PAGE, "sh") for line in block.splitlines()]
SERVES = ("serve", "talk")


@pytest.fixture(scope="module")
def place(small_run: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with `runs/quickstart`, a picture and a recording."""
    folder = tmp_path_factory.mktemp("use")
    (folder / "runs").mkdir()
    (folder / "runs/quickstart").symlink_to(small_run)
    question = next(iter(questions(small_run, "textvqa").values()))
    shutil.copy(question.images[0], folder / "picture.png")
    shutil.copy(question.speech, folder / "question.wav")
    return folder


@pytest.fixture(scope="module")
def server(place: Path):
    (place / "serve").mkdir()
    (place / "serve/runs").symlink_to(place / "runs")
    with served(place / "serve", "serve", "runs/quickstart:self_kd_layers") as server:
        yield server


def test_the_page_shows_every_command_of_the_use_of_a_model() -> None:
    from earwise.use.commands import COMMANDS as known

    assert {command[1] for command in COMMANDS if command[0] == "earwise"} == {*known}


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_a_command_does_what_the_page_says(
    command: list[str], place: Path, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    if command[0] == "earwise" and command[1] in SERVES:
        shown = [word for word in command[1:] if word not in ("--port", "8000")]
        (tmp_path / "runs").symlink_to(place / "runs")
        with served(tmp_path, *shown, *(["--no-browser"] if command[1] == "talk" else [])) as server:
            assert server.get("/health")[0] == 200
    elif command[0] == "earwise":
        monkeypatch.setenv("BROWSER", "true")
        result = earwise(place, *command[1:])
        assert (result.code, result.stderr) == (0, "")
        assert result.stdout.endswith("\n")
    elif command[0] == "curl":
        server = request.getfixturevalue("server")
        words = [word.replace("http://127.0.0.1:8000", server.address) for word in command]
        done = subprocess.run([*words, "--fail"], cwd=place, capture_output=True, text=True, check=True)
        assert done.stdout.strip()
    else:
        if not (place / "my-model").exists():
            assert earwise(place, "export", "runs/quickstart:self_kd_layers", "--to", "my-model").code == 0
        done = subprocess.run([sys.executable, *command[1:]], cwd=place, capture_output=True, text=True, check=True)
        assert done.stdout.strip()


def test_the_program_gets_the_answer_of_the_command(place: Path, request: pytest.FixtureRequest, monkeypatch) -> None:
    server = request.getfixturevalue("server")
    (code,) = blocks(PAGE, "python")
    monkeypatch.chdir(place)
    out = io.StringIO()
    with contextlib.redirect_stdout(out):
        exec(
            compile(code.replace("http://127.0.0.1:8000", server.address), str(PAGE), "exec"),
            types.ModuleType("program").__dict__,
        )
    told = earwise(place, *COMMANDS[0][1:])
    assert out.getvalue() == told.stdout
