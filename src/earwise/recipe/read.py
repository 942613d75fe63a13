"""Reads a recipe: TOML file + dotted overrides -> a checked `Recipe`, or a one-line error with the remedy."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from earwise.errors import InputError
from earwise.io.files import found_file, read_text
from earwise.io.limits import MAX_RECIPE_BYTES
from earwise.recipe.checks import disagreements
from earwise.recipe.recipe import Recipe

COMMAND_LINE = "command line"
"""Replaces the file's name in an error about an override."""


def load_recipe(path: Path, overrides: Sequence[str] = ()) -> Recipe:
    """Read the recipe at `path`, with `section.key=value` overrides. An override's value is TOML (`4e-5`, `true`,
    `["a", "b"]`); a bare word is text. Its key leads through tables and, by number, through lists:
    `train.sft.terms.0.weight=0.5`. Raises `InputError` naming the file and the dotted key.
    """
    tables = _read_toml(path)
    overridden = [_lay_over(tables, text) for text in overrides]

    def blame(key: str) -> str | Path:
        mine, owns = f"{key}.", [f"{own}." for own in overridden]
        return COMMAND_LINE if any(mine.startswith(own) or own.startswith(mine) for own in owns) else path

    try:
        recipe = Recipe.model_validate(tables)
    except ValidationError as error:
        key, what, remedy = _first_problem(error, tables)
        raise InputError(what, file=blame(key), record=key, remedy=remedy) from None
    for key, what in disagreements(recipe):
        raise InputError(what, file=blame(key), record=key)
    return recipe


def _read_toml(path: Path) -> dict[str, Any]:
    if not found_file(path):
        raise InputError("no such recipe", file=path)
    try:
        return _parse_toml(read_text(path, MAX_RECIPE_BYTES))
    except InputError:
        raise
    except ValueError as error:
        raise InputError(f"is not valid TOML: {error}", file=path) from None


def _parse_toml(text: str) -> dict[str, Any]:
    """Raises `ValueError` with the problem, even for deep nesting and huge numbers."""
    try:
        return tomllib.loads(text)
    except RecursionError:
        raise ValueError("it is nested too deeply") from None


def _lay_over(tables: dict[str, Any], override: str) -> str:
    """Set one `a.b=value` in `tables`, creating tables as needed; returns the dotted key."""
    key, equals, text = override.partition("=")
    key = key.strip()
    if not equals or not re.fullmatch(r"[\w-]+(\.[\w-]+)*", key):
        raise InputError("is not an override", file=COMMAND_LINE, record=override, remedy="write section.key=value")
    at: Any = tables
    *parents, last = key.split(".")
    for part in parents:
        at = at.setdefault(part, {}) if isinstance(at, dict) else _entry(at, part, key)
    if isinstance(at, dict):
        at[last] = _parse_value(text.strip(), override)
    else:
        _entry(at, last, key)
        at[int(last)] = _parse_value(text.strip(), override)
    return key


def _entry(at: Any, part: str, key: str) -> Any:
    """Entry number `part` of a list; raises `InputError` for anything else."""
    if isinstance(at, list) and part.isdecimal() and int(part) < len(at):
        return at[int(part)]
    inside = f"a list of {len(at)}" if isinstance(at, list) else f"the value {_shown(at)}"
    raise InputError(f"there is no {part!r} in {inside}", file=COMMAND_LINE, record=key)


def _parse_value(text: str, override: str) -> Any:
    try:
        parsed = _parse_toml(f"value = {text}")
    except ValueError as error:
        if text[:1] in ("[", "{", '"', "'") or text.isdecimal():
            what = f"the value is not valid TOML: {error}"
            raise InputError(what, file=COMMAND_LINE, record=override.partition("=")[0]) from None
        return text
    return parsed["value"] if len(parsed) == 1 else text


EXPECTED = {
    "int_type": "a whole number",
    "int_from_float": "a whole number",
    "float_type": "a number",
    "string_type": "text",
    "bool_type": "true or false",
    "tuple_type": "a list",
    "dict_type": "a table",
    "model_type": "a table",
    "model_attributes_type": "a table",
    "too_short": "a list of at least {min_length}",
    "greater_than": "more than {gt:g}",
    "greater_than_equal": "at least {ge:g}",
    "less_than": "less than {lt:g}",
    "less_than_equal": "at most {le:g}",
    "finite_number": "a finite number",
    "string_too_short": "text that is not empty",
    "string_pattern_mismatch": "letters, digits, '_', '-' and '.'",
}
"""The expected values behind pydantic's error types. The only pattern in the schema is that of names."""


def _first_problem(error: ValidationError, tables: dict[str, Any]) -> tuple[str, str, str | None]:
    """Dotted key, problem and remedy of the first error. An unknown key comes first, because it may explain a missing
    one.
    """
    # Errors about secrets also come first: an error about their table would show them.
    problems = sorted(error.errors(), key=lambda problem: problem["type"] not in ("unshown", "unknown_key"))
    keys = [_dotted(problem, tables) for problem in problems]
    first, key = problems[0], keys[0]
    kind, context, got = first["type"], first.get("ctx", {}), _shown(first["input"])
    if kind == "unknown_key":
        return ".".join(filter(None, (key, context["key"]))), "unknown key", context["known"]
    if kind == "unshown":
        return key, context["what"], context["remedy"]
    if kind == "missing":
        return key, "missing", "it is required and has no default"
    if kind == "union_tag_not_found":
        return f"{key}.{context['discriminator'].strip(chr(39))}", "missing", "it says which variant the table is"
    if kind == "union_tag_invalid":
        tag = context["discriminator"].strip("'")
        return f"{key}.{tag}", f"expected one of {context['expected_tags']}, got {context['tag']!r}", None
    if kind == "value_error":
        return key, str(context["error"]), None
    # The members of a union each report an error about the same value: name everything that any of them accepts.
    asked = [_expected(problem) for problem, other in zip(problems, keys, strict=True) if other == key]
    return key, f"expected {' or '.join(dict.fromkeys(asked))}, got {got}", None


def _expected(problem: Any) -> str:
    """The expected value of one pydantic error."""
    kind, context = problem["type"], problem.get("ctx", {})
    if kind == "literal_error":
        return f"{'one of ' if ',' in context['expected'] else ''}{context['expected']}"
    template = EXPECTED.get(kind)
    return template.format(**context) if template else problem["msg"].removeprefix("Input should be ")


def _dotted(problem: Any, tables: dict[str, Any]) -> str:
    """The dotted key of an error: pydantic's location without the names of union members."""
    parts: list[str] = []
    at: Any = tables
    for index, part in enumerate(problem["loc"]):
        if (isinstance(at, dict) and part in at) or (isinstance(at, list) and isinstance(part, int) and part < len(at)):
            at = at[part]
        elif not (problem["type"] == "missing" and index == len(problem["loc"]) - 1):
            continue
        parts.append(str(part))
    return ".".join(parts)


def _shown(value: Any) -> str:
    if isinstance(value, dict):
        return "a table"
    if isinstance(value, tuple | list):
        return f"a list of {len(value)}"
    return {True: "true", False: "false"}[value] if isinstance(value, bool) else repr(value)
