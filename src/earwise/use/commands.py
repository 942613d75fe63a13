"""The commands that use a finished model. Heavy modules are imported inside, so that `--help` needs none."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Final

import typer

USE: Final = "After training"
"""Panel of these commands in `--help`."""

ModelName = Annotated[
    str,
    typer.Argument(
        metavar="MODEL", help="RUN:TRAINING[@SEED], a folder of ears or of an export, or a base.", show_default=False
    ),
]


def ask(
    model: ModelName,
    image: Annotated[list[Path] | None, typer.Option(help="A picture; may be repeated.", show_default=False)] = None,
    video: Annotated[Path | None, typer.Option(help="A video, shown as frames.", show_default=False)] = None,
    sound: Annotated[Path | None, typer.Option(help="A sound that is asked about.", show_default=False)] = None,
    speech: Annotated[Path | None, typer.Option(help="The question as a recording.", show_default=False)] = None,
    text: Annotated[str | None, typer.Option(help="The question as text.", show_default=False)] = None,
    heard: Annotated[bool, typer.Option("--heard", help="Also print what the model hears in the recording.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
    max_tokens: Annotated[int, typer.Option(min=1, max=4096, help="Longest answer, in tokens.")] = 256,
) -> None:
    """Ask a model one question about pictures, a video, a sound or nothing. Prints the answer and nothing else."""
    from earwise.use.ask import Question, ask

    asked = Question(tuple(image or ()), video, sound, speech, text)
    answered = ask(model, asked, heard=heard, max_new_tokens=max_tokens)
    for line in [answered.to_json()] if as_json else answered.lines():
        print(line)


Host = Annotated[str, typer.Option(help="Address to listen at. 127.0.0.1 is reached from this machine only.")]
Port = Annotated[int, typer.Option(min=0, max=65535, help="Port to listen at; 0 takes a free one.")]


def serve(model: ModelName, host: Host = "127.0.0.1", port: Port = 8000) -> None:
    """Serve a model as OpenAI's API does: /v1/chat/completions, /v1/audio/transcriptions, /v1/models.

    If EARWISE_API_KEY is set, clients must send it as their key. SIGTERM and Ctrl-C end it gracefully.
    """
    from earwise.use.serve.run import serve

    serve(model, host, port)


def export(
    model: ModelName,
    to: Annotated[Path, typer.Option(metavar="DIR", help="The new folder.", show_default=False)],
    merge: Annotated[bool, typer.Option("--merge", help="Add LoRA to the weights.")] = False,
    push: Annotated[
        str | None, typer.Option(metavar="USER/NAME", help="Also upload it to the hub, as private.", show_default=False)
    ] = None,
) -> None:
    """Write a model as a folder for plain transformers: weights, code, processor, model card and `try_it.py`."""
    from earwise.use.export.run import run

    run(model, to, merge=merge, target=push)


def talk(
    model: ModelName,
    host: Host = "127.0.0.1",
    port: Port = 8000,
    browser: Annotated[bool, typer.Option(help="Open the page in the web browser.")] = True,
) -> None:
    """Serve a model and open the page at `/`: drop a picture, hold a key to speak, and compare the answers."""
    import webbrowser

    from earwise.use.serve.run import serve

    def show(address: str) -> None:
        if browser:
            webbrowser.open(f"{address}/")

    serve(model, host, port, opened=show)


def open_run(run: Annotated[Path, typer.Argument(metavar="RUN", help="The run's folder.", show_default=False)]) -> None:
    """Open a run's report in the web browser, and print where it is."""
    import webbrowser

    from earwise.errors import InputError
    from earwise.io.messages import say

    page = run / "report.html"
    if not page.is_file():
        raise InputError("no report yet", file=page, remedy="name the folder of a run that has been evaluated")
    say(f"report: {page}")
    webbrowser.open(page.resolve().as_uri())


def compare(
    first: Annotated[str, typer.Argument(metavar="RUN[:TRAINING]", help="One run.", show_default=False)],
    second: Annotated[str, typer.Argument(metavar="RUN[:TRAINING]", help="Another run.", show_default=False)],
    page: Annotated[
        Path | None, typer.Option(metavar="FILE.html", help="Also write a page.", show_default=False)
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print everything as JSON.")] = False,
) -> None:
    """Compare two runs on the items that both scored: paired differences with 95 % intervals."""
    from rich import get_console

    from earwise.io.messages import printable, say
    from earwise.use import compare as runs

    rows = runs.compare(first, second)
    if as_json:
        print(printable(runs.as_json(rows)))
    else:
        get_console().print(runs.console_table(rows))
    if page is not None:
        runs.write_page(rows, first, second, page)
        if not as_json:
            say(f"page: {page}")


COMMANDS: Final[dict[str, Callable[..., None]]] = {
    "ask": ask,
    "talk": talk,
    "serve": serve,
    "export": export,
    "open": open_run,
    "compare": compare,
}
"""By name, in the order of `--help`."""
