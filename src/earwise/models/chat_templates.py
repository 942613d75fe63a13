"""A check that a model folder's chat template works, before the model is loaded.

Templates are code from strangers. They run in Jinja's sandbox, as in `transformers`, and here also with limits of time
and size.
"""

from __future__ import annotations

import json
import re
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from types import FrameType
from typing import Any, Final

import jinja2
import jinja2.ext
from jinja2 import nodes
from jinja2.parser import Parser
from jinja2.runtime import Context
from jinja2.sandbox import ImmutableSandboxedEnvironment

from earwise.errors import InputError
from earwise.models.safetensors_files import read_object

FILE: Final = "chat_template.jinja"
_LONGEST_S: Final = 2.0
_LARGEST: Final = 100_000
"""Limit of the characters of a template's output, and of repetitions in it."""
_GIVEN: Final = {"tools": None, "documents": None, "add_generation_prompt": False}
"""The arguments that transformers passes beside messages and special tokens."""
_QUERY, _ANSWER = "What is it?", "A dog."


class _Refused(Exception):
    """A template does something that no template needs."""


class _Generation(jinja2.ext.Extension):
    """The tag `{% generation %}`, by which some templates mark a model's output. It does not change the text."""

    tags = {"generation"}  # noqa: RUF012 - as the base class declares it

    def parse(self, parser: Parser) -> list[nodes.Node]:
        """The nodes inside."""
        next(parser.stream)
        return parser.parse_statements(("name:endgeneration",), drop_needle=True)


class _Limited(ImmutableSandboxedEnvironment):
    """A sandbox with limits on the operators that can turn a short template into a huge text."""

    intercepted_binops = frozenset(("*", "**", "%"))

    def call_binop(self, context: Context, operator: str, left: Any, right: Any) -> Any:
        """The operator's result; refuses operands whose result would be huge."""
        sizes = [len(one) if isinstance(one, str | list | tuple) else one for one in (left, right)]
        if operator == "*" and all(isinstance(n, int) for n in sizes) and abs(sizes[0] * sizes[1]) > 2**63:
            raise _Refused("it multiplies beyond all bounds")
        if operator == "*" and any(isinstance(one, str | list | tuple) for one in (left, right)):
            _check_size(sizes[0] * sizes[1])
        if operator == "**" and (abs(left) > 2**31 or abs(right) > 64):
            raise _Refused("it takes huge powers")
        if operator == "%" and isinstance(left, str) and re.search(r"\d{5}|\*", left):
            raise _Refused("it pads text without end")
        return super().call_binop(context, operator, left, right)


def find_template(folder: Path) -> tuple[Path, str]:
    """The file with the template of a model folder, and the template. Raises `InputError` if there is none."""
    if (folder / FILE).is_file():
        try:
            return folder / FILE, (folder / FILE).read_text(encoding="utf-8")
        except (OSError, ValueError) as error:
            raise InputError(f"cannot be read: {error}", file=folder / FILE) from None
    for name in ("tokenizer_config.json", "chat_template.json"):
        found = read_object(folder / name).get("chat_template") if (folder / name).is_file() else None
        if isinstance(found, list):
            named = {one.get("name"): one.get("template") for one in found if isinstance(one, dict)}
            found = named.get("default")
        if isinstance(found, str):
            return folder / name, found
    remedy = f"give one in {FILE}, as the model's authors use it"
    raise InputError("the tokenizer has no chat template", file=folder, remedy=remedy)


def check_template(folder: Path, *, parts: bool) -> None:
    """Render a question and its answer. Raises `InputError` for a template that is missing or broken, drops the text of
    a message, or runs too long.

    Args:
        folder: the model folder.
        parts: whether messages are lists of parts, as for models that see or hear, or plain text.
    """
    path, template = find_template(folder)
    try:
        with _in_time():
            text = _compiled(template).render(messages=_messages(parts=parts), **_GIVEN, **_tokens(folder))
        _check_size(len(text))
    except jinja2.TemplateSyntaxError as error:
        raise InputError(f"the chat template is broken: {error.message}, line {error.lineno}", file=path) from None
    except (_Refused, jinja2.TemplateError, MemoryError, RecursionError) as error:
        raise InputError(f"the chat template cannot be rendered: {error}", file=path) from None
    except Exception as error:  # the template's expressions can raise anything
        raise InputError(f"the chat template fails: {type(error).__name__}: {error}", file=path) from None
    if _QUERY not in text or _ANSWER not in text:
        remedy = f"give a template that accepts {'content lists with text parts' if parts else 'plain text'}"
        raise InputError("the chat template loses the text of a message", file=path, remedy=remedy)


def _messages(*, parts: bool) -> list[dict[str, Any]]:
    texts = [("user", _QUERY), ("assistant", _ANSWER)]
    return [{"role": role, "content": [{"type": "text", "text": text}] if parts else text} for role, text in texts]


def _compiled(template: str) -> jinja2.Template:
    environment = _Limited(trim_blocks=True, lstrip_blocks=True, extensions=[_Generation, jinja2.ext.loopcontrols])
    environment.filters["tojson"] = lambda value, **options: json.dumps(value, **{"ensure_ascii": False, **options})
    for name in ("center", "indent"):
        environment.filters[name] = _narrow(environment.filters[name])
    environment.globals["raise_exception"] = _raise
    environment.globals["strftime_now"] = lambda form: datetime.now().strftime(form)
    return environment.from_string(template)


def _tokens(folder: Path) -> dict[str, Any]:
    path = folder / "tokenizer_config.json"
    config = read_object(path) if path.is_file() else {}
    plain = {name: value.get("content") if isinstance(value, dict) else value for name, value in config.items()}
    return {name: value for name, value in plain.items() if name.endswith("_token") and isinstance(value, str)}


def _raise(message: str) -> None:
    raise jinja2.TemplateError(message)


def _narrow(make: Callable[..., Any]) -> Callable[..., Any]:
    def made(value: Any, width: Any = 4, *rest: Any) -> Any:
        if isinstance(width, int):
            _check_size(width)
        return make(value, width, *rest)

    return made


def _check_size(size: int) -> None:
    if size > _LARGEST:
        raise _Refused(f"it writes more than {_LARGEST} characters")


@contextmanager
def _in_time() -> Iterator[None]:
    """Stop a template that runs too long; its loops are Python code, which can be traced line by line.

    The limit counts the CPU time of this thread, so that a busy machine does not refuse a good template.
    """
    stop, before = time.thread_time() + _LONGEST_S, sys.gettrace()

    def look(frame: FrameType, event: str, argument: Any) -> Any:
        if time.thread_time() > stop:
            raise _Refused(f"it has not ended after {_LONGEST_S:g} s of this processor")
        return look

    sys.settrace(look)
    try:
        yield
    finally:
        sys.settrace(before)
