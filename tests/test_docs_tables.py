"""Tables of the documents: whole, and clear about which variant of a table of a recipe has a key."""

import re
import typing
from collections.abc import Iterator
from pathlib import Path

import pytest
from recipe_tables import members

from earwise.recipe.recipe import Recipe
from earwise.recipe.table import Settings

PROJECT = Path(__file__).parent.parent
DOCUMENTS = [*PROJECT.glob("*.md"), *sorted((PROJECT / "docs").rglob("*.md"))]
RECIPES = (PROJECT / "docs/recipes.md").read_text(encoding="utf-8")


def rows_apart(text: str) -> list[str]:
    """Rows of tables that a blank line cuts off: they follow one, and no line of dashes follows them."""
    lines = ["", *re.sub(r"^```.*?^```", "", text, flags=re.M | re.S).splitlines(), ""]
    return [
        line
        for before, line, after in zip(lines, lines[1:], lines[2:], strict=False)
        if line.startswith("|") and not before.startswith("|") and not re.match(r"\|[-:| ]+\|$", after)
    ]


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: str(path.relative_to(PROJECT)))
def test_no_blank_line_cuts_a_table(path: Path) -> None:
    assert rows_apart(path.read_text(encoding="utf-8")) == []


def test_a_row_behind_a_blank_line_is_found() -> None:
    assert rows_apart("| a |\n|---|\n| b |\n\n| c |\n") == ["| c |"]


def unions(table: type[Settings], path: str, told: set[type[Settings]]) -> Iterator[tuple[str, list[type[Settings]]]]:
    """Section of `docs/recipes.md` and variants of every table that comes in several."""
    if table in told:
        return
    told.add(table)
    for name, field in table.model_fields.items():
        inner = f"{path}.{name}".removeprefix("Top level.")
        inner += ".NAME" * (typing.get_origin(field.annotation) is dict)
        found = [*members(field.annotation)]
        if len(found) > 1:
            yield inner, found
        for member in found:
            yield from unions(member, inner, told)


def variants(table: type[Settings]) -> set[str]:
    """What the key that tells variants apart says for this one."""
    keys = (table.model_fields.get(key) for key in ("encoder", "source", "type", "format", "by"))
    return {name for key in keys if key is not None for name in typing.get_args(key.annotation)}


def meanings(section: str) -> dict[str, str]:
    (part,) = re.findall(rf"^##+ `{re.escape(section)}`\n(.*?)(?=^##+ |\Z)", RECIPES, flags=re.M | re.S)
    return dict(re.findall(r"^\| `(\w+)` \| (?:[^|]|\\\|)* \| [^|]* \| (.*) \|$", part, flags=re.M))


def test_a_key_of_some_variants_says_of_which() -> None:
    """`model.ears.stack` is required, but not of native ears."""
    checked, silent = set(), []
    for section, found in unions(Recipe, "Top level", set()):
        told = meanings(section) if f"## `{section}`\n" in RECIPES else {}
        for key, meaning in told.items():
            having = [table for table in found if key in table.model_fields]
            if 0 < len(having) < len(found):
                checked.add(f"{section}.{key}")
                names = {name for table in having for name in variants(table)}
                if not {*re.findall(r"`([\w.]+)`", meaning)} & names and not meaning.startswith("All "):
                    silent.append(f"{section}.{key}")
    assert silent == []
    assert {"model.ears.stack", "data.path", "data.transcribe.parts.long", "speech.engine.model"} <= checked
