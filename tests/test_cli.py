import errno
import logging
import os
from collections.abc import Callable
from pathlib import Path

import pytest
from example_recipe import TEXT
from plain_stage import Stage
from typer.testing import CliRunner, Result

import earwise
from earwise.cli import VERBS, app
from earwise.errors import EarwiseError, InputError
from earwise.recipe.recipe import Recipe
from earwise.work.job import StageContext

Work = Callable[[StageContext], None]


class Command:
    """The command line over a plan of two stages whose works a test may replace."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.recipe = folder / "quick.toml"
        self.recipe.write_text(TEXT)
        self.works: dict[str, Work] = {}
        self.calls: list[str] = []
        self.planned: Recipe | None = None

    def plan(self, recipe: Recipe) -> list[Stage]:
        self.planned = recipe
        return [
            Stage(name="data", work=self.work, settings=recipe.data.for_stage()),
            Stage(name="seed0/train.sft", work=self.work, settings={}, needs=("data",)),
        ]

    def work(self, context: StageContext) -> None:
        self.calls.append(context.stage.name)
        self.works.get(context.stage.name, lambda context: None)(context)

    def __call__(self, *arguments: object) -> Result:
        self.calls = []
        return CliRunner().invoke(app, [str(argument) for argument in arguments])


@pytest.fixture
def command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Command:
    command = Command(tmp_path)
    monkeypatch.setattr("earwise.planning.compile.compile_recipe", command.plan)
    monkeypatch.setattr("earwise.planning.models.check_models", lambda recipe: None)
    monkeypatch.chdir(tmp_path)
    return command


def raises(error: BaseException) -> Work:
    def work(context: StageContext) -> None:
        raise error

    return work


def test_a_run_goes_to_its_recipes_name_and_a_finished_one_does_nothing(command: Command) -> None:
    result = command("run", command.recipe)
    assert (result.exit_code, result.stderr) == (0, "")
    assert command.calls == ["data", "seed0/train.sft"]
    assert (command.folder / "runs/quick/stages/data/done.json").exists()
    again = command("run", command.recipe)
    assert again.exit_code == 0
    assert command.calls == []
    assert "nothing to do: runs/quick is up to date" in again.stdout


def test_overrides_and_the_folder_are_taken_in_any_order(command: Command) -> None:
    result = command("run", command.recipe, "data.seed=7", "--out", "elsewhere", "training.lr=1e-4")
    assert result.exit_code == 0
    assert command.planned is not None
    assert command.planned.data.seed == 7  # type: ignore[union-attr]
    assert command.planned.optimisation("sft").lr == 1e-4
    assert (command.folder / "elsewhere/run.json").exists()
    assert not (command.folder / "runs").exists()


def test_a_verb_runs_its_stages_and_what_they_need(command: Command) -> None:
    assert command("data", command.recipe).exit_code == 0
    assert command.calls == ["data"]
    assert command("train", command.recipe).exit_code == 0
    assert command.calls == ["seed0/train.sft"]


def test_a_verb_without_a_stage_says_so(command: Command) -> None:
    result = command("report", command.recipe)
    assert (result.exit_code, result.stderr) == (2, f"earwise: {command.recipe}: the recipe has no report stage\n")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["nowhere.toml"], "nowhere.toml: no such recipe"),
        (["quick.toml", "training.step=3"], "command line: training.step: unknown key (did you mean 'steps'?)"),
        (["quick.toml", "training.steps=x"], "command line: training.steps: expected a whole number, got 'x'"),
    ],
)
def test_bad_input_is_one_line_and_exit_2(command: Command, arguments: list[str], said: str) -> None:
    result = command("run", *arguments)
    assert (result.exit_code, result.stderr, result.stdout) == (2, f"earwise: {said}\n", "")
    assert not (command.folder / "runs").exists()


def test_bad_input_inside_a_stage_names_the_stage(command: Command) -> None:
    command.works["data"] = raises(InputError("is not an image", file="a.png"))
    result = command("run", command.recipe)
    assert (result.exit_code, result.stderr) == (2, "earwise: data: a.png: is not an image\n")
    assert not (command.folder / "runs/quick/failure.txt").exists()


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (EarwiseError("the loss is\n not finite"), "the loss is not finite"),
        (ZeroDivisionError("division\nby zero"), "ZeroDivisionError: division by zero"),
    ],
)
def test_a_failure_is_one_line_and_its_traceback_is_kept(command: Command, error: Exception, said: str) -> None:
    command.works["seed0/train.sft"] = raises(error)
    result = command("run", command.recipe)
    where = "runs/quick/failure.txt"
    assert (result.exit_code, result.stderr) == (1, f"earwise: seed0/train.sft: {said} (traceback: {where})\n")
    assert type(error).__name__ in (command.folder / where).read_text()
    assert "in work" in (command.folder / where).read_text()
    command.works = {}
    assert command("run", command.recipe).exit_code == 0
    assert command.calls == ["seed0/train.sft"]
    assert not (command.folder / where).exists()


@pytest.mark.parametrize(
    "error",
    [
        OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "weights.bin"),
        OSError(errno.EDQUOT, os.strerror(errno.EDQUOT), "weights.bin"),
        RuntimeError("I/O error: No space left on device (os error 28)"),
    ],
)
def test_a_full_disk_is_a_persons_to_mend(command: Command, error: Exception) -> None:
    command.works["data"] = raises(error)
    result = command("run", command.recipe)
    assert result.exit_code == 2
    assert result.stderr.startswith("earwise: data: ")
    assert result.stderr.count("\n") == 1


def test_an_interruption_is_no_failure(command: Command) -> None:
    command.works["seed0/train.sft"] = raises(KeyboardInterrupt())
    result = command("run", command.recipe)
    assert result.exit_code == 130
    assert result.stderr == "earwise: seed0/train.sft: interrupted (the same command continues)\n"


def test_a_folder_that_cannot_be_is_bad_input(command: Command) -> None:
    (command.folder / "file").write_text("")
    for out, why in (("file", "File exists"), ("file/inside", "Not a directory")):
        result = command("run", command.recipe, "--out", out)
        assert (result.exit_code, result.stderr) == (2, f"earwise: {out}: cannot be a run's folder: {why}\n")


def test_what_is_logged_is_shown_and_stderr_is_left_to_errors(command: Command) -> None:
    command.works["data"] = lambda context: logging.getLogger("earwise.work.store").warning("cut off %d bytes", 3)
    result = command("run", command.recipe)
    assert "warning: cut off 3 bytes\n" in result.stdout
    assert result.stderr == ""
    assert not logging.getLogger("earwise").handlers


def test_every_verb_is_a_command() -> None:
    said = CliRunner().invoke(app, ["--help"]).stdout
    for verb in ("run", *VERBS):
        assert f" {verb} " in said
    assert CliRunner().invoke(app, ["--version"]).stdout == f"earwise {earwise.__version__}\n"
