"""The command line: `earwise run RECIPE.toml`, and each kind of stage as a verb of its own.

Exit codes: 0 done; 2 bad input and 1 any other failure, each with one line on stderr; 130 interrupted.
"""

from __future__ import annotations

import errno
import functools
import importlib
import json
import logging
import os
import sys
import tempfile
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Protocol

import typer
from rich import get_console

from earwise import __version__
from earwise.errors import EarwiseError, InputError
from earwise.io.files import unreadable
from earwise.io.messages import complain, counted, printable, say
from earwise.use import commands
from earwise.work import threads
from earwise.work.ranks import joined, leave, process_rank

if TYPE_CHECKING:  # The schema of recipes takes half a second to import, and `--version` and `--help` need none.
    from rich.table import Table

    from earwise.data.findings import Finding
    from earwise.work.run import Run

VERBS = {
    "data": "Generate or read the items and benchmarks.",
    "speech": "Speak the queries of all items.",
    "gate": "Check the clips: signal, and a round trip through a speech recogniser.",
    "descriptions": "Describe the sounds as text, for models that only read.",
    "traces": "Sample a teacher's reasoning about silent videos, and keep the answers its samples agree on.",
    "verify": "Measure a checker, then check the teacher's reasoning against the sound.",
    "base": "Train the base model from scratch, if the recipe has [base].",
    "encoder": "Train the Whisper encoder from scratch, if the recipe has [encoder].",
    "answers": "Generate training targets with a model.",
    "align": "Align new ears on transcription of speech.",
    "train": "Train each model of the recipe.",
    "evaluate": "Answer the benchmarks under each view and score the answers.",
    "attention": "Measure the decoder's attention on typed and spoken items.",
    "report": "Write the report page.",
}
"""Kinds of stages. Each is a command that runs the stages of its kind and the stages they need."""

STAGES = "Stages (each command also runs the stages it needs)"
INTERRUPTED = 130
_NOT_GIVEN = (errno.ENOENT, errno.ENOTDIR, errno.EISDIR, errno.EACCES, errno.EPERM, errno.ENAMETOOLONG, errno.ELOOP)
"""Errors of the operating system that the user can fix: the path is wrong or not accessible."""
FAILURE = "failure.txt"
"""Traceback of the last failure, in the run's folder."""

app = typer.Typer(
    help="Teach audio and omni-modal language models what vision and text models already know.",
    add_completion=False,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)

RecipePath = Annotated[Path, typer.Argument(metavar="RECIPE.toml", help="The recipe.", show_default=False)]
Overrides = Annotated[
    list[str] | None,
    typer.Argument(metavar="[SECTION.KEY=VALUE]...", help="Values that override the recipe's.", show_default=False),
]
Check = Annotated[
    bool, typer.Option("--check", help="Read every file of finished stages, not only files that look changed.")
]
Out = Annotated[Path | None, typer.Option(help="The run's folder.", show_default="runs/RECIPE'S NAME")]


def _print_version(wanted: bool) -> None:
    if wanted:
        print(f"earwise {__version__}")
        raise typer.Exit


@app.callback()
def earwise(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version and stop.")
    ] = False,
) -> None:
    """Teach audio and omni-modal language models what vision and text models already know."""


@app.command()
def run(recipe: RecipePath, overrides: Overrides = None, out: Out = None, check: Check = False) -> None:
    """Run a recipe, or continue an interrupted run. A finished run shows its result."""
    raise typer.Exit(execute(recipe, overrides or [], out, check=check))


def _verb(name: str) -> Callable[[Path, list[str] | None, Path | None], None]:
    def command(recipe: RecipePath, overrides: Overrides = None, out: Out = None) -> None:
        raise typer.Exit(execute(recipe, overrides or [], out, verb=name))

    return command


for _name, _help in VERBS.items():
    app.command(name=_name, help=_help, rich_help_panel=STAGES)(_verb(_name))


@app.command()
def plan(
    recipe: RecipePath,
    overrides: Overrides = None,
    items: Annotated[int, typer.Option(min=0, max=24, help="Number of items to show as tokens.")] = 1,
) -> None:
    """Show what a recipe would do: dropped records, costs, and items as tokens. Trains nothing."""
    raise typer.Exit(_plan(recipe, overrides or [], items))


def _plan(recipe_file: Path, overrides: list[str], items: int) -> int:
    from earwise.recipe.read import load_recipe

    try:
        recipe = load_recipe(recipe_file, overrides)
        with _showing_logs():
            # Imported here because planning imports torch and transformers.
            for line in importlib.import_module("earwise.planning.page").plan(recipe, items):
                get_console().print(line, soft_wrap=True)
    except (KeyboardInterrupt, Exception) as error:
        return _failed(None, error)
    return 0


@app.command()
def audit(
    benchmark: Annotated[str, typer.Argument(help="Name of the benchmark, e.g. mme; or train.", show_default=False)],
    file: Annotated[Path, typer.Argument(help="The benchmark's file; with train, a recipe.", show_default=False)],
    own: Annotated[
        bool,
        typer.Option("--own", help="The file is your own. Of another name: a table, records, or their recipe."),
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print everything as JSON.")] = False,
) -> None:
    """Check a benchmark's file (hash, counts, broken rows, impossible gold answers), or training data.

    `earwise audit train RECIPE.toml` lists every picture, sound and video that is missing, broken or extreme.
    """
    raise typer.Exit(
        _audit_training(file, own, as_json) if benchmark == "train" else _audit(benchmark, file, own, as_json)
    )


def _audit_training(recipe_file: Path, own: bool, as_json: bool) -> int:
    from earwise.recipe.read import load_recipe

    try:
        if own:
            raise InputError("--own is about a benchmark's file", remedy="leave it out for training data")
        # Imported here because the stages import torch.
        audits = importlib.import_module("earwise.planning.audit")
        result = audits.audit_training(load_recipe(recipe_file, []))
        return _show_audit(result, audits.console_tables(result), (), recipe_file, as_json)
    except (KeyboardInterrupt, Exception) as error:
        return _failed(None, error)


def _audit(benchmark: str, file: Path, own: bool, as_json: bool) -> int:
    # Imported here because readers of media are slow to import.
    from earwise.evaluate.audit import audit, console_tables, hash_lines

    try:
        result = audit(benchmark, file, own=own)
        return _show_audit(result, console_tables(result), hash_lines(result), file, as_json)
    except (KeyboardInterrupt, Exception) as error:
        return _failed(None, error)


class _Audit(Protocol):
    """The common interface of a benchmark's audit and an audit of training data."""

    @property
    def errors(self) -> list[Finding]: ...

    def to_json(self) -> dict[str, Any]: ...


def _show_audit(result: _Audit, tables: Sequence[Table], below: Sequence[str], file: Path, as_json: bool) -> int:
    """Print an audit, with lines `below` its tables. If it has errors, print the first in one line and return 2."""
    if as_json:
        print(printable(json.dumps(result.to_json(), indent=1, ensure_ascii=False)))
    else:
        get_console().print(*tables, sep="\n\n")
        for line in ("", *below) if below else ():
            say(line)
    if result.errors:
        first = result.errors[0]
        what = f"{first.what}; {counted(len(result.errors), 'error')}"
        _complain(None, str(InputError(what, file=file, record=first.record or None)))
    return 2 if result.errors else 0


def _guarded(command: Callable[..., None]) -> Callable[..., None]:
    """`command`, whose failures end as those of every other command."""

    @functools.wraps(command)
    def guarded(**options: Any) -> None:
        os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")  # Read when transformers is imported.
        try:
            command(**options)
        except typer.Exit:
            raise
        except (KeyboardInterrupt, Exception) as error:
            raise typer.Exit(_failed(None, error)) from None

    return guarded


for _name, _command in commands.COMMANDS.items():
    app.command(name=_name, rich_help_panel=commands.USE)(_guarded(_command))


def execute(
    recipe_file: Path, overrides: list[str], out: Path | None, verb: str | None = None, *, check: bool = False
) -> int:
    """Run a recipe's stages, or the stages of one verb and those they need. Returns the exit code."""
    from earwise.recipe.read import load_recipe
    from earwise.work.run import Run

    run: Run | None = None
    try:
        recipe = load_recipe(recipe_file, overrides)
        folder, command = out or Path("runs") / recipe.name, ["earwise", *sys.argv[1:]]
        run = Run(folder, recipe, recipe_file, command=command, say=say, read_all=check)
        if process_rank() == 0:
            say(f"earwise {__version__}, recipe {recipe_file}, run folder {run.folder}")
        from earwise.planning.compile import compile_recipe  # Only now, so that the first line comes at once.
        from earwise.planning.models import check_models

        with _showing_logs(), joined() as run.ranks:
            get_console().quiet = not run.ranks.is_main  # All processes would print the same.
            jobs = compile_recipe(recipe)
            only = None if verb is None else [job.name for job in jobs if job.verb == verb]
            if only == []:
                raise InputError(f"the recipe has no {verb} stage", file=recipe_file)
            check_models(recipe)
            _finish(run, run.execute(jobs, only), verb)
    except (KeyboardInterrupt, Exception) as error:
        return _failed(run, error)
    return 0


def _failed(run: Run | None, error: BaseException) -> int:
    """Print in one line why a command ended. Returns its exit code."""
    if isinstance(error, KeyboardInterrupt):
        if run is not None:
            _complain(run, "interrupted (the same command continues)")
        return INTERRUPTED
    if isinstance(error, OSError) and error.filename is not None and error.errno in _NOT_GIVEN:
        error = unreadable(Path(os.fsdecode(error.filename)), error)
    if isinstance(error, InputError):
        _complain(run, str(error))
        return 2
    _complain(run, f"{_one_line(error)}{_keep_traceback(run, error)}")
    return 2 if _is_full_disk(error) else 1


def _finish(run: Run, worked: list[str], verb: str | None) -> None:
    """Forget an earlier failure. Where nothing was to do, show the result again."""
    if not run.ranks.is_main:
        return
    (run.folder / FAILURE).unlink(missing_ok=True)
    if not worked:
        if verb in (None, "report"):
            _show_result(run.folder)
        say(f"nothing to do: {run.folder} is up to date")


def _show_result(folder: Path) -> None:
    """Print the result of a finished run, as its last stage did. Prints nothing if the recipe evaluates nothing."""
    from earwise.report.console import show_result
    from earwise.report.summary import PAGE, SUMMARY, read_summary

    if (folder / SUMMARY).is_file():
        show_result(read_summary(folder / SUMMARY), folder / PAGE, say)


def _keep_traceback(run: Run | None, error: BaseException) -> str:
    """Write the traceback into the run's folder, or into the system's temporary folder.

    Returns a note with its path, for the end of the error line.
    """
    text = "".join(traceback.format_exception(error))
    if run is not None and not run.ranks.is_main:
        return f"\n{text}"  # The first process writes the file.
    from earwise.work.store import write_atomic

    path = run.folder / FAILURE if run is not None else Path(tempfile.gettempdir()) / f"earwise-{os.getpid()}-{FAILURE}"
    try:
        write_atomic(path, printable(text))
    except (InputError, OSError):
        return ""  # The error line already reports a full disk or a folder that cannot be created.
    return f" (traceback: {path})"


def _is_full_disk(error: BaseException) -> bool:
    """Whether the disk is full, or a file too large. Writers of weights report this only in the error's text."""
    full = isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
    return full or os.strerror(errno.ENOSPC) in str(error)


def _one_line(error: BaseException) -> str:
    text = " ".join(str(error).split())
    return text if isinstance(error, EarwiseError) else f"{type(error).__name__}: {text}"


def _complain(run: Run | None, what: str) -> None:
    if run is None and process_rank() > 0:
        return  # All processes read the same recipe, so one of them reports its errors.
    process = f"process {process_rank()}: " if process_rank() > 0 else ""
    stage = f"{process}{run.running}: " if run is not None and run.running else process
    complain(f"{stage}{what}")


class _SayLog(logging.Handler):
    """Prints log records of earwise (a truncated record, a fallback to full passes) among the other lines."""

    def emit(self, record: logging.LogRecord) -> None:
        say(f"{record.levelname.lower()}: {record.getMessage()}")


@contextmanager
def _showing_logs() -> Iterator[None]:
    logger, handler = logging.getLogger("earwise"), _SayLog()
    level = logger.level
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    try:
        yield
    finally:
        logger.removeHandler(handler)
        logger.setLevel(level)


def main() -> None:
    """Entry point of the `earwise` command."""
    threads.prepare()  # The settings take effect only before torch is imported.
    try:
        app()
    except SystemExit as end:
        leave(end.code if isinstance(end.code, int) else 0)
