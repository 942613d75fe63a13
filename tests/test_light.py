"""What is said before any work starts, and that it waits for neither torch nor transformers."""

import inspect
import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import report_fixture
from example_recipe import TEXT

import earwise
from earwise.errors import InputError
from earwise.io.messages import counted
from earwise.planning.compile import compile_recipe
from earwise.planning.models import check_models, named_models
from earwise.recipe.read import load_recipe
from earwise.recipe.recipe import Recipe
from earwise.work.job import Job, StageContext, imported
from earwise.work.locks import FileLock
from earwise.work.run import Run

RECIPES = [
    path for path in sorted((Path(earwise.__file__).parents[2] / "recipes").rglob("*.toml")) if path.stem != "paper"
]
"""Those of the papers read corpora that are not here."""
VERBS = ("data", "speech", "align", "train", "evaluate", "report")
"""The kinds of stages that the recipe of these tests has."""

CODE = """
import json, sys
from typer.testing import CliRunner
from earwise.cli import app
told = []
for arguments in json.loads(sys.argv[1]):
    result = CliRunner().invoke(app, arguments)
    heavy = sorted({"torch", "transformers", "scipy", "av"} & set(sys.modules))
    told.append({"code": result.exit_code, "out": result.stdout, "err": result.stderr, "heavy": heavy})
print(json.dumps(told))
"""


def told(folder: Path, *commands: list[str]) -> list[dict[str, Any]]:
    """How commands end, run one after the other in one fresh process, and what heavy they imported."""
    arguments = [sys.executable, "-c", CODE, json.dumps(commands)]
    done = subprocess.run(arguments, cwd=folder, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    result: list[dict[str, Any]] = json.loads(done.stdout)
    return result


@pytest.fixture
def finished(tmp_path: Path) -> Path:
    """A place with `quick.toml` and its finished run, whose stages did nothing but leave the files of a report."""
    file = tmp_path / "quick.toml"
    file.write_text(TEXT)
    recipe = load_recipe(file)

    def work(context: StageContext) -> None:
        for name in context.stage.outputs:
            (context.run_folder / name).write_text(json.dumps(report_fixture.summary()))

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Job, "work", lambda job, context: work(context))
        stages = [replace(stage, check=()) for stage in compile_recipe(recipe)]
        Run(tmp_path / "runs/quick", recipe, file, say=lambda line: None).execute(stages)
    return tmp_path


def test_what_a_finished_run_says_needs_nothing_heavy(finished: Path) -> None:
    first = f"earwise {earwise.__version__}, recipe quick.toml, run folder runs/quick"
    commands = [["run", "quick.toml"], *([verb, "quick.toml"] for verb in VERBS)]
    for command, result in zip(commands, told(finished, *commands), strict=True):
        assert (result["code"], result["err"], result["heavy"]) == (0, "", [])
        lines = result["out"].splitlines()
        assert lines[0] == first
        assert lines[-1] == "nothing to do: runs/quick is up to date"
        assert ("report: runs/quick/report.html" in lines) == (command[0] in ("run", "report"))
        assert ("Self-KD + layers" in result["out"]) == (command[0] in ("run", "report"))


def test_what_cannot_be_run_is_said_without_anything_heavy(finished: Path) -> None:
    (finished / "bad.toml").write_text(TEXT.replace("steps = 10", "step = 10"))
    (finished / "folder").mkdir()
    commands = {
        ("--version",): (0, f"earwise {earwise.__version__}\n"),
        ("--help",): (0, "Teach audio and omni-modal"),
        ("run", "--help"): (0, "Run a recipe"),
        ("run", "bad.toml"): (2, "training.step: unknown key"),
        ("run", "quick.toml", "align.steps=0"): (2, "align.steps: expected at least 1"),
        ("run", "quick.toml", "train.sft.start=nobody"): (2, "train.sft.start: "),
        ("run", "quick.toml", "model.base=./nowhere"): (2, "nowhere: model.base: no such model folder"),
        ("run", "quick.toml", "model.base=folder"): (2, "folder: model.base: model folder without config.json"),
        ("gate", "quick.toml"): (2, "the recipe has no gate stage"),
        ("run", "quick.toml", "--out", "locked"): (2, "the run folder is in use by another process"),
    }
    (finished / "locked").mkdir()
    lock = FileLock(finished / "locked/run.lock", "the run folder")
    results = told(finished, *map(list, commands))
    lock.release()
    for (code, said), result in zip(commands.values(), results, strict=True):
        assert (result["code"], result["heavy"]) == (code, [])
        assert said in result["out"] + result["err"]
        assert result["err"].count("\n") == (0 if code == 0 else 1)


def test_help_says_once_that_a_kind_of_stage_runs_what_it_needs(tmp_path: Path) -> None:
    (result,) = told(tmp_path, ["--help"])
    assert " ".join(result["out"].split()).count("also runs the stages it needs") == 1


@pytest.mark.parametrize("file", RECIPES, ids=lambda path: path.stem)
def test_every_work_is_a_function_that_takes_what_it_will_be_given(file: Path) -> None:
    for job in compile_recipe(load_recipe(file)):
        takes = inspect.signature(imported(job.does)).parameters
        assert list(takes) == ["context", "job"]
        assert takes["job"].annotation == type(job).__name__
        assert job.check


MODELS = """
[gate.asr]
model = "GIVEN"
[answers]
model = "GIVEN"
max_new_tokens = 4
[train.taught]
data = "written"
terms = [{ type = "logits", weight = 1.0, teacher = "GIVEN" }]
"""
KEYS = ("gate.asr.model", "answers.model", "train.taught.terms.0.teacher")


def naming(given: str, folder: Path) -> Recipe:
    """A recipe that names the model `given` under each of `KEYS`."""
    file = folder / "models.toml"
    file.write_text(TEXT + MODELS.replace("GIVEN", given))
    return load_recipe(file)


def test_every_model_that_a_recipe_names_is_found(tmp_path: Path) -> None:
    found = {model.key: model for model in named_models(naming("org/name", tmp_path))}
    assert set(found) == {"model.base", *KEYS}
    assert found["model.base"].is_local, "it comes with the package"
    assert not found["answers.model"].is_local


@pytest.mark.parametrize("name", ["org/name", "name", "Qwen/Qwen2-VL-2B-Instruct"])
def test_what_may_be_on_the_hub_is_not_looked_for_on_this_disk(tmp_path: Path, name: str) -> None:
    check_models(naming(name, tmp_path))


@pytest.mark.parametrize("name", ["/no/such/model", "./model", "../model", "runs/a/model", "a/b/c", "~/model", "a b"])
def test_what_cannot_be_on_the_hub_must_be_a_folder(tmp_path: Path, name: str) -> None:
    with pytest.raises(InputError, match=r"gate\.asr\.model: no such model folder"):
        check_models(naming(name, tmp_path))


def test_a_folder_holds_what_its_kind_holds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "given"
    folder.touch()
    with pytest.raises(InputError, match=r"given: gate\.asr\.model: not a model folder"):
        check_models(naming("given", tmp_path))
    folder.unlink()
    folder.mkdir()
    with pytest.raises(InputError, match=r"given: gate\.asr\.model: model folder without config\.json"):
        check_models(naming("given", tmp_path))
    (folder / "config.json").touch()
    check_models(naming("given", tmp_path))


def test_numbers_of_one_thing_are_told_in_the_singular() -> None:
    assert [counted(n, "voice") for n in (0, 1, 2, 1300)] == ["0 voices", "1 voice", "2 voices", "1,300 voices"]
    assert [counted(n, "item has", "items have") for n in (1, 2)] == ["1 item has", "2 items have"]
