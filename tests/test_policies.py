"""What holds for the whole project, whoever adds to it."""

import ast
import importlib
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import earwise
from earwise.recipe.read import load_recipe

PACKAGE = Path(earwise.__file__).parent
PROJECT = PACKAGE.parent.parent

LAYERS = (
    {"errors"},
    {"io", "views"},
    {"records"},
    {"recipe"},
    {"work"},
    {"data"},
    {"speech"},
    {"models"},
    {"distil", "traces"},
    {"evaluate", "attention"},
    {"report"},
    {"stages"},
    {"planning", "use"},
    {"cli"},
    {"__main__"},
)
"""The order in which data flows; an import never points to the right (here: down)."""

APART = {"micro": {"stages"}, "real": set()}
"""What writes files that others read, and the parts that call it. It stands on nothing to the right of the models."""

LIGHT = (
    *(
        f"earwise.{path.relative_to(PACKAGE).with_suffix('')}".replace("/", ".")
        for folder in ("", "io", "recipe", "work")
        for path in sorted((PACKAGE / folder).glob("[a-z]*.py"))
        if path.name not in ("__main__.py", "run.py")
    ),
    "earwise.work.run",
    "earwise.models.chat_templates",
    "earwise.models.folders",
    "earwise.models.safetensors_files",
    "earwise.models.sample",
    "earwise.planning.compile",
    "earwise.planning.folders",
    "earwise.planning.models",
    "earwise.stages",
    "earwise.evaluate.ablation",
    "earwise.evaluate.filters",
    "earwise.evaluate.gap",
    "earwise.evaluate.scoring",
    "earwise.evaluate.sound",
    "earwise.traces.filtering",
    "earwise.traces.opening",
    "earwise.traces.sampling",
    "earwise.traces.trust",
    "earwise.use.commands",
    "earwise.use.opening",
)
"""Modules that import without torch, besides everything in the report."""

RANK = {name: rank for rank, layer in enumerate(LAYERS) for name in layer}


def modules() -> Iterator[tuple[str, Path]]:
    """Each module's part of the package (`models` for `earwise.models.ears`) and its file."""
    for path in sorted(PACKAGE.rglob("*.py")):
        inside = path.relative_to(PACKAGE)
        if inside != Path("__init__.py"):
            yield inside.parts[0].removesuffix(".py"), path


def imported_parts(path: Path) -> Iterator[tuple[int, str]]:
    """Line and part of the package of each import from earwise, also inside functions."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        names: list[str] = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}:{node.lineno}: imports are absolute"
            names = [f"{node.module}.{alias.name}" for alias in node.names]
        for name in names:
            first, _, rest = name.partition(".")
            if first == "earwise" and rest and not rest.startswith("__"):
                yield node.lineno, rest.partition(".")[0]


def test_every_part_of_the_package_has_its_place() -> None:
    assert {part for part, _ in modules()} <= {*RANK, *APART}


def test_no_import_points_to_the_right() -> None:
    wrong = []
    for part, path in modules():
        limit = RANK["models"] if part in APART else RANK[part]
        for line, target in imported_parts(path):
            if target == part:
                continue
            if part not in APART[target] if target in APART else RANK[target] > limit:
                wrong.append(f"{path.relative_to(PROJECT)}:{line}: {part} imports {target}")
    assert wrong == []


def test_light_modules_import_without_torch() -> None:
    report = [f"earwise.{path.relative_to(PACKAGE).with_suffix('')}".replace("/", ".") for path in
              sorted((PACKAGE / "report").rglob("*.py"))]  # fmt: skip
    code = (
        "import importlib, sys\n"
        "for name in sys.argv[1:]:\n"
        "    importlib.import_module(name)\n"
        "    heavy = {'torch', 'transformers'} & set(sys.modules)\n"
        "    assert not heavy, f'{name} imports {heavy}'\n"
    )
    done = subprocess.run([sys.executable, "-c", code, *LIGHT, *report], capture_output=True, text=True, check=False)
    assert done.stderr == ""


RECIPES = sorted((PROJECT / "recipes").rglob("*.toml"))


@pytest.mark.parametrize("path", RECIPES, ids=lambda path: str(path.relative_to(PROJECT)))
def test_every_recipe_loads(path: Path) -> None:
    recipe = load_recipe(path)
    assert recipe.description, "a recipe says what it is"


def test_the_order_is_checked_against_real_imports() -> None:
    """The checker itself finds an import where there is one."""
    assert ("work", "records") in {(part, target) for part, path in modules() for _, target in imported_parts(path)}


def named_types(path: Path) -> set[str]:
    """Every name that annotations and imports of a file hold."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    names = {alias.name for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) for alias in node.names}
    return names | {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}


def test_only_planning_and_the_command_line_know_a_whole_recipe() -> None:
    knowing = {part for part, path in modules() if "Recipe" in named_types(path)}
    assert knowing == {"recipe", "planning"}


def test_a_job_is_frozen_and_names_the_function_that_does_its_work() -> None:
    from earwise.work.job import Job, imported

    for path in sorted((PACKAGE / "stages/jobs").glob("[a-z]*.py")):
        importlib.import_module(f"earwise.stages.jobs.{path.stem}")
    kinds = Job.__subclasses__()
    assert len(kinds) > 15
    for kind in kinds:
        assert kind.__dataclass_params__.frozen, kind  # type: ignore[attr-defined]
        if kind.__module__.startswith("earwise.stages"):
            assert callable(imported(kind.does)), kind
