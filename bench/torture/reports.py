"""Hostile text in items, answers and names: none of its scripts may run in a browser that opens the report."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

from commands import LIMIT_S, run
from places import Places
from table import Table

PART = "hostile reports"
_RUN = "document.title='RAN'"
TEXTS = (
    f"<script>{_RUN}</script>", f"</script><script>{_RUN}</script>", f"<img src=x onerror=\"{_RUN}\">",
    f"\"><svg onload=\"{_RUN}\">", f"'-({_RUN})-'", f"</title><script>{_RUN}</script>", f"{{{{ {_RUN} }}}}",
    f"<iframe srcdoc=\"<script>parent.{_RUN}</script>\">", f"</pre></details><body onload=\"{_RUN}\">",
    f"<a href=\"javascript:{_RUN}\" autofocus onfocus=\"{_RUN}\">x</a>", "<!--<script>", "]]><script>",
    "<meta http-equiv=refresh content='0;url=http://127.0.0.1:9'>", "<base href='http://127.0.0.1:9'>",
)  # fmt: skip


def try_all(table: Table, places: Places, share: int = 1) -> None:
    """One run for each text, in every field that the page shows; skipped without a browser."""
    browser = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if browser is None:
        table.skipped[PART] = "no chromium on this machine"
        return
    for text in TEXTS[::share]:
        place = places.fresh()
        _put(text, place)
        result = run(place, "run", "own.toml", limit_s=5 * LIMIT_S)
        wrong = f"exit {result.code}: {result.stderr}" if result.code else _opened(browser, place)
        table.note(PART, text, wrong)
        places.done(place)


def _put(text: str, place: Path) -> None:
    """The text in every field that a page shows. Half of the questions and options stay as they are: markup may
    be unspeakable.
    """
    for file in ("train.jsonl", "benchmarks/colors.jsonl"):
        rows = [json.loads(line) for line in (place / "own" / file).read_text().splitlines()]
        changed = [_with(row, text, asked=bool(number % 2)) for number, row in enumerate(rows)]
        (place / "own" / file).write_text("".join(json.dumps(row) + "\n" for row in changed))
    recipe = (place / "own.toml").read_text()
    (place / "own.toml").write_text(recipe.replace("[report]", f"[report]\ntitle = {json.dumps(text)}"))


def _with(row: dict[str, Any], text: str, *, asked: bool) -> dict[str, Any]:
    with_text = {name: f"{row[name]}{text}" for name in ("id", "cluster")} | {"kind": text}
    if asked:
        with_text["question"] = f"{row['question']} {text}"
    if asked and "choices" in row:
        with_text["choices"] = [*row["choices"], text]
    return {**row, **with_text}


def _opened(browser: str, place: Path) -> str:
    page = place / "runs/own/report.html"
    command = [browser, "--headless", "--no-sandbox", "--disable-gpu", "--virtual-time-budget=3000", "--dump-dom"]
    try:
        shown = subprocess.run([*command, page.as_uri()], capture_output=True, text=True, timeout=LIMIT_S, check=False)
    except subprocess.TimeoutExpired:
        return f"the browser has not ended after {LIMIT_S:g} s"
    if shown.returncode:
        return f"the browser ends with {shown.returncode}"
    return "a script ran" if "<title>RAN</title>" in shown.stdout else ""
