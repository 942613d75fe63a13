"""What the documents say is true: commands, links, code, the file tree, the keys of a recipe, the pinned versions."""

import ast
import json
import re
import shlex
import tomllib
import types
import typing
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest
from pydantic.fields import FieldInfo
from recipe_tables import members
from tiny import tiny_model

from earwise.cli import VERBS
from earwise.evaluate.benchmarks import load_benchmark
from earwise.micro.build import write_tiny
from earwise.micro.lab import LabSize, write_lab
from earwise.recipe.read import load_recipe
from earwise.recipe.recipe import Recipe
from earwise.recipe.speech import EspeakSettings
from earwise.recipe.table import Settings
from earwise.recipe.train import Optimisation
from earwise.speech.clips import make_clips
from earwise.speech.engine import open_engine
from earwise.use.commands import COMMANDS

PROJECT = Path(__file__).parent.parent
DOCUMENTS = [PROJECT / name for name in ("README.md", "CONTRIBUTING.md", "CHANGELOG.md")]
DOCUMENTS += sorted((PROJECT / "docs").rglob("*.md"))
PYPROJECT = tomllib.loads((PROJECT / "pyproject.toml").read_text(encoding="utf-8"))

each_document = pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: str(path.relative_to(PROJECT)))


def blocks(path: Path, language: str) -> list[str]:
    """Fenced blocks of one language."""
    return re.findall(rf"^```{language}\n(.*?)^```$", path.read_text(encoding="utf-8"), flags=re.M | re.S)


def commands(path: Path) -> Iterator[list[str]]:
    for block in blocks(path, "sh"):
        for line in block.replace("\\\n", " ").splitlines():
            if words := shlex.split(line, comments=True):
                yield words


def make_targets() -> set[str]:
    return set(re.findall(r"^([a-z]+):.*##", (PROJECT / "Makefile").read_text(encoding="utf-8"), flags=re.M))


def check_earwise(words: list[str]) -> None:
    """The verb exists and the recipe loads with the overrides. `test_use_your_model` runs the other commands."""
    if words[0] in COMMANDS:
        return
    assert words[0] in {"run", "plan", *VERBS}
    recipe, rest = PROJECT / words[1], iter(words[2:])
    overrides = []
    for word in rest:
        if word == "--out":
            next(rest)
        else:
            overrides.append(word)
    load_recipe(recipe, overrides)


def check_command(words: list[str]) -> None:
    name, rest = words[0].removeprefix(".venv/bin/"), words[1:]
    if name == "make":
        assert set(rest) <= make_targets(), rest
    elif name == "earwise":
        check_earwise(rest)
    elif name in ("torchrun", "accelerate"):
        check_earwise(rest[rest.index("earwise") + 1 :])
    elif name in ("pytest", "python"):
        assert (PROJECT / rest[0].partition("::")[0]).exists(), rest
    else:
        assert name in ("pip", "pre-commit", "ray", ".ci/run"), f"a command that no test knows: {words}"


@each_document
def test_commands_refer_to_what_exists(path: Path) -> None:
    if path.name == "use_your_model.md":
        return  # `test_use_your_model` runs every one of them.
    for words in commands(path):
        check_command(words)


@pytest.mark.parametrize(
    "line", ["make cake", "earwise fly recipes/quickstart.toml", "python bench/none.py", "rm -r x"]
)
def test_a_command_that_refers_to_nothing_is_found(line: str) -> None:
    with pytest.raises(AssertionError):
        check_command(shlex.split(line))


def test_the_makefile_lists_what_it_offers() -> None:
    phony = re.search(r"^\.PHONY: (.*)$", (PROJECT / "Makefile").read_text(encoding="utf-8"), flags=re.M)
    assert phony
    assert (
        set(phony[1].split())
        == make_targets()
        == {"help", "env", "quickstart", "test", "check", "bench", "parity", "torture", "real"}
    )


@each_document
def test_links_lead_somewhere(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    anchors = {re.sub(r"[^\w\- ]", "", title).strip().lower().replace(" ", "-") for title in headings(text)}
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        file, _, anchor = target.partition("#")
        if "://" in target:
            continue
        assert (path.parent / file).exists(), f"{path.name} links to {target}"
        assert file or anchor in anchors, f"{path.name} links to {target}"


def headings(text: str) -> list[str]:
    return re.findall(r"^#+ (.*)$", text, flags=re.M)


@each_document
def test_python_compiles_and_toml_parses(path: Path) -> None:
    for block in blocks(path, "python"):
        ast.parse(block)
    for block in blocks(path, "toml"):
        tomllib.loads(block)


def test_the_recipe_that_the_readme_shows_is_the_shipped_one() -> None:
    shipped = tomllib.loads((PROJECT / "recipes/quickstart.toml").read_text(encoding="utf-8"))
    (shown,) = (tomllib.loads(block) for block in blocks(PROJECT / "README.md", "toml"))
    assert shown["train"] == shipped["train"]
    assert shown["training"].items() <= shipped["training"].items()


def tree_paths(tree: str) -> Iterator[str]:
    """Paths of an indented list of files, folders with a slash at their end."""
    parents: list[str] = []
    for line in tree.splitlines():
        depth = (len(line) - len(line.lstrip())) // 2
        name = line.split()[0]
        assert depth <= len(parents), line
        parents = [*parents[:depth], name.removesuffix("/")]
        yield "/".join(parents) + ("/" if name.endswith("/") else "")


def test_the_annotated_tree_is_the_real_one() -> None:
    (tree,) = [block for block in blocks(PROJECT / "docs/design.md", "text") if "src/earwise/\n" in block]
    named = set(tree_paths(tree))
    for name in named:
        path = PROJECT / name
        assert path.is_dir() if name.endswith("/") else path.is_file(), name
    package = PROJECT / "src/earwise"
    folders = {f"src/earwise/{path.parent.name}/" for path in package.glob("*/__init__.py")}
    assert folders <= named, "a package that the tree does not name"


def test_every_direct_dependency_is_pinned_to_a_plain_version() -> None:
    lines = (PROJECT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    pins = [line for line in lines if not line.startswith("#")]
    for pin in pins:
        assert re.fullmatch(r"[a-z0-9_-]+==[0-9]+(\.[0-9]+)*", pin), pin
    project = PYPROJECT["project"]
    wanted = {
        re.split(r"[<>=!~\[]", text)[0] for text in project["dependencies"] + project["optional-dependencies"]["dev"]
    }
    assert {pin.partition("==")[0] for pin in pins} == wanted


def recipe_keys(
    table: type[Settings], path: str, told: dict[type[Settings], str]
) -> Iterator[tuple[str, str, FieldInfo]]:
    """Section of `docs/recipes.md`, key and field of everything that a recipe can set.

    A table that stands in several places has its section at the first one, which `told` remembers.
    """
    if told.setdefault(table, path) != path:
        return
    for name, field in table.model_fields.items():
        shared = issubclass(table, Optimisation) and name in Optimisation.model_fields
        yield "Optimisation" if shared else path, name, field
        inner = f"{path}.{name}".removeprefix("Top level.")
        if typing.get_origin(field.annotation) is dict:
            inner += ".NAME"
        for member in members(field.annotation):
            yield from recipe_keys(member, inner, told)


def documented_keys(text: str) -> dict[str, dict[str, str]]:
    """Section -> key -> its cell `default` of `docs/recipes.md`."""
    sections: dict[str, dict[str, str]] = {}
    for part in re.split(r"^##+ ", text, flags=re.M)[1:]:
        title = part.splitlines()[0].strip("`")
        rows = re.findall(r"^\| `(\w+)` \| (?:[^|]|\\\|)* \| ([^|]*) \|", part, flags=re.M)
        sections[title] = {key: default.strip() for key, default in rows}
    return sections


def default_in_words(field: FieldInfo) -> str:
    if field.is_required():
        return "required"
    value = field.default
    if isinstance(value, Settings):
        return "its defaults"
    if value is None or value in ((), {}, ""):
        return "none"
    return f"`{json.dumps(value)}`"


def test_every_key_of_a_recipe_is_documented_with_its_default() -> None:
    documented = documented_keys((PROJECT / "docs/recipes.md").read_text(encoding="utf-8"))
    real: dict[str, dict[str, str]] = {}
    for section, key, field in recipe_keys(Recipe, "Top level", {}):
        real.setdefault(section, {})[key] = default_in_words(field)
    assert {section: keys for section, keys in documented.items() if keys} == real


def test_the_code_of_the_readme_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    (code,) = blocks(PROJECT / "README.md", "python")
    write_run_for_example(tmp_path / "runs/quickstart/stages", tmp_path / "models/internvl-micro")
    monkeypatch.setattr("earwise.models.shipped.SHIPPED", tmp_path / "models")
    monkeypatch.chdir(tmp_path)
    exec(compile(code, "README.md", "exec"), types.ModuleType("readme").__dict__)
    lines = capsys.readouterr().out.splitlines()
    assert sum("| typed:" in line and "| spoken:" in line for line in lines) == 8


def write_run_for_example(stages: Path, base: Path) -> None:
    """The folders of a quickstart run that the example reads, tiny and untrained."""
    write_tiny(base)
    tiny_model(base).save_ears(stages / "seed0/train.self_kd_layers/ears")
    write_lab(stages / "data", size=LabSize(2, 2, 60, 2, 10))
    items = load_benchmark("realworldqa", stages / "data/benchmarks")[:8]
    engine = partial(open_engine, EspeakSettings(type="espeak"))
    clips = stages / "speech/benchmarks/realworldqa"
    make_clips(items, clips, engine, voices=["en-us+m3"], rates=(175, 175), pitches=(50, 50))
