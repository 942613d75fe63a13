"""Whatever a command meets, it ends with one line and an exit code; nothing out of a file steers the terminal."""

import errno
import json
import os
import sys
import types
from pathlib import Path

import pytest
from data_folder import COLORS
from example_recipe import TEXT
from rich.text import Text
from typer.testing import CliRunner, Result

from earwise.cli import app
from earwise.errors import EarwiseError, InputError
from earwise.io.messages import printable

NAME_TOO_LONG = OSError(errno.ENAMETOOLONG, os.strerror(errno.ENAMETOOLONG), "a" * 5_000)
ENDS = [
    # what is raised; exit code; the line after `earwise: `
    (InputError("is not an image", file="a.png"), 2, "a.png: is not an image"),
    (EarwiseError("the loss is not finite"), 1, "the loss is not finite (traceback: "),
    (
        PermissionError(errno.EACCES, os.strerror(errno.EACCES), "a/b.json"),
        2,
        "a/b.json: cannot read: Permission denied",
    ),
    (NAME_TOO_LONG, 2, f"{'a' * 60}...: is longer than a file's name can be"),
    (
        IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), b"a\xff"),
        2,
        "a\\udcff: cannot read: it is a folder (name a file, or delete the folder or move it away)",
    ),
    (FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), "a"), 2, "a: no such file"),
    (OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "a"), 2, "OSError: "),
    (RecursionError("maximum\nrecursion"), 1, "RecursionError: maximum recursion (traceback: "),
    (MemoryError(), 1, "MemoryError: "),
    (
        UnicodeEncodeError("utf-8", "\udcff", 0, 1, "surrogates not allowed"),
        1,
        "UnicodeEncodeError: 'utf-8' codec can't",
    ),
]


@pytest.fixture
def run(tmp_path, monkeypatch):
    """Runs a command in a folder with a recipe and a file; planning, auditing and stages do what they are told."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    (tmp_path / "quick.toml").write_text(TEXT)

    def run(*arguments: str, does) -> Result:
        for name in ("planning.page", "planning.compile", "planning.models", "evaluate.audit"):
            module = types.ModuleType(f"earwise.{name}")
            module.console_tables = module.hash_lines = module.check_models = lambda _: []
            module.plan = module.compile_recipe = module.audit = lambda *args, **keys: does()
            monkeypatch.setitem(sys.modules, f"earwise.{name}", module)
        return CliRunner().invoke(app, [*arguments])

    return run


def raising(error: BaseException):
    def does():
        raise error

    return does


@pytest.mark.parametrize("command", [("plan", "quick.toml"), ("audit", "mme", "MME.tsv"), ("run", "quick.toml")])
@pytest.mark.parametrize(("error", "code", "line"), ENDS)
def test_every_command_ends_in_one_line(command, error, code, line, run, tmp_path):
    result = run(*command, does=raising(error))
    assert (result.exit_code, result.stderr.count("\n")) == (code, 1)
    assert result.stderr.startswith(f"earwise: {line}")
    assert len(result.stderr) < 1_100
    if code == 1:
        (kept,) = tmp_path.rglob("*failure.txt")
        assert result.stderr.endswith(f"(traceback: {kept if command[0] != 'run' else kept.relative_to(tmp_path)})\n")
        assert type(error).__name__ in kept.read_text()


@pytest.mark.parametrize("command", [("plan", "quick.toml"), ("audit", "mme", "MME.tsv")])
def test_an_interrupted_command_says_nothing(command, run):
    result = run(*command, does=raising(KeyboardInterrupt()))
    assert (result.exit_code, result.stderr) == (130, "")


STEERING = "\x1b[2J\x1b]0;title\x07 \x9b31m \u202egnp.exe\u202c \x00\x7f\r \udcff"


def test_what_steers_a_terminal_is_shown_as_its_code():
    assert printable("\x1b[31m\u202e\x7f\x9b\udcff\r") == "\\u001b[31m\\u202e\\u007f\\u009b\\udcff\\u000d"
    assert printable("Übel\t日本\n😀 ‘x’") == "Übel\t日本\n😀 ‘x’"
    text = json.dumps({"id": STEERING}, ensure_ascii=False)
    assert json.loads(printable(text)) == {"id": STEERING}


@pytest.mark.parametrize("command", [("plan", "quick.toml"), ("audit", "mme", "MME.tsv"), ("run", "quick.toml")])
@pytest.mark.parametrize("kind", [InputError, EarwiseError, RuntimeError])
def test_errors_show_control_characters_as_their_codes(command, kind, run):
    said = run(*command, does=raising(kind(f"item {STEERING} is wrong"))).stderr
    assert "\\u001b[2J\\u001b]0;title\\u0007" in said
    assert said.isprintable() or {character for character in said if not character.isprintable()} == {"\n"}


def test_an_endless_line_loses_its_middle_and_keeps_its_remedy(run):
    does = raising(InputError("is " + "x" * 100_000, file="a.tsv", remedy="mend it"))
    said = run("plan", "quick.toml", does=does).stderr
    assert said.startswith("earwise: a.tsv: is xxx")
    assert said.endswith("xxx (mend it)\n")
    assert len(said) < 1_050


def test_the_lines_of_a_plan_are_printed_and_how_many_items_is_passed_on(run, monkeypatch):
    assert run("plan", "quick.toml", does=lambda: [Text("data train: 5 items")]).stdout == "data train: 5 items\n"
    asked: list[int] = []
    monkeypatch.setattr(sys.modules["earwise.planning.page"], "plan", lambda recipe, items: asked.append(items) or [])
    for more in ([], ["--items", "0"], ["--items", "5"]):
        assert CliRunner().invoke(app, ["plan", "quick.toml", *more]).exit_code == 0
    assert asked == [1, 0, 5]
    assert CliRunner().invoke(app, ["plan", "quick.toml", "--items", "99"]).exit_code == 2


def test_the_real_audit_of_steering_ids_and_names_is_plain_text(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    header = ["index", "category", "question", "answer", "image_path"]
    row = ["\x1b[31m1", "color", "Is it red?", "Yes", f"{COLORS[0]}\x9b.png"]
    Path("MME\udcff.tsv").write_text("\n".join("\t".join(line) for line in (header, row)))
    for more in ([], ["--json"]):
        result = CliRunner().invoke(app, ["audit", "mme", "MME\udcff.tsv", "--own", *more])
        assert (result.exit_code, result.stderr.count("\n")) == (2, 1)
        for said in (result.stdout, result.stderr):
            assert {character for character in said if not character.isprintable()} == {"\n"}
            assert "[31m1" in said
    assert json.loads(result.stdout)["file"] == "MME\udcff.tsv"


def test_a_pipe_in_place_of_a_recipe_or_a_benchmark_never_waits(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    os.mkfifo("pipe")
    for verb in (["run"], ["plan"], ["audit", "mme"]):
        result = CliRunner().invoke(app, [*verb, "pipe"])
        assert (result.exit_code, result.stdout) == (2, "")
        assert result.stderr == "earwise: pipe: is a named pipe, not a file (name a regular file)\n"
