"""The model card of an exported folder: `README.md`, from the recipe and the summary of the run."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from earwise import __version__
from earwise.errors import InputError
from earwise.models.omni import OmniModel
from earwise.models.safetensors_files import read_object
from earwise.recipe.model import ALIGNED, BASE
from earwise.report.summary import SUMMARY, Summary, ViewScore, read_summary
from earwise.use.opening import RECIPE, Found
from earwise.views import is_heard

_CITATION: Final = "> earwise {version}: cross-modal distillation of audio and omni-modal language models. Apache-2.0."
_LIMITS: Final = (
    "It was tested on the benchmarks of the table only, and on the voices named there.",
    "Speech of other voices, accents, languages, noise and rooms was not tested unless a row says so.",
    "A clip may last 30 s at most. It answers what it hears; noise and music are not refused.",
    "Answers can be wrong. It is a research model, and no decision about people should rest on it.",
)


def write_card(model: OmniModel, found: Found, folder: Path, *, merged: bool) -> None:
    """Write `README.md`."""
    lines = [*_front(found), "", *_what(model, found, merged=merged)]
    if found.run is not None:
        recipe = read_object(found.run / RECIPE)
        lines += ["", "## Training", "", *_training(recipe, found)]
        lines += ["", "## Scores", "", *_scores(found)]
    lines += ["", "## Use", "", "```sh", "python try_it.py", "```", "", "## Limits", ""]
    lines += [f"- {limit}" for limit in _LIMITS]
    lines += ["", "## Licence and citation", "", *_licence(found)]
    (folder / "README.md").write_text("\n".join(lines) + "\n", encoding="utf-8")


def _front(found: Found) -> Iterator[str]:
    """The fields that a hub reads."""
    yield "---"
    yield "library_name: transformers"
    yield "tags: [audio, speech, earwise]"
    if not Path(found.base).is_absolute():
        yield f"base_model: {json.dumps(found.base)}"
    yield "---"


def _what(model: OmniModel, found: Found, *, merged: bool) -> Iterator[str]:
    name = found.training or Path(found.name).name
    yield f"# {_cell(name)}"
    yield ""
    hears = "hears by itself" if model.family.hears else "was given ears" if model.ears is not None else "does not hear"
    yield f"`{_cell(_name(found.base))}`, a model of the family `{model.family.name}`, {hears}."
    if model.lora is not None:
        yield (
            "Its LoRA is merged into the weights." if merged else "Its LoRA is in `adapter`, and `try_it.py` loads it."
        )
    if model.decoder is not None:
        yield "Its whole decoder was trained."


def _training(recipe: dict[str, Any], found: Found) -> Iterator[str]:
    """Data, voices and method, by the recipe."""
    data, speech, model = recipe.get("data") or {}, recipe.get("speech") or {}, recipe.get("model") or {}
    yield "| | |"
    yield "|---|---|"
    rows = {
        "recipe": recipe.get("name"),
        "seed": found.seed,
        "base": _name(str(model.get("base"))),
        "ears": _short(model.get("ears")),
        "data": _short({key: value for key, value in data.items() if value not in (None, {}, [])}),
        "speech": _short({key: speech.get(key) for key in ("engine", "train_voices", "test_voices") if key in speech}),
        "method": _method(recipe, found.training),
    }
    for name, value in rows.items():
        if value is not None:
            yield f"| {name} | {_cell(str(value))} |"


def _method(recipe: dict[str, Any], training: str | None) -> str | None:
    if training == ALIGNED:
        return "ears aligned on transcription of speech, base frozen"
    train = (recipe.get("train") or {}).get(training)
    if train is None:
        return None
    terms = [_short({key: value for key, value in term.items() if value is not None}) for term in train["terms"]]
    return f"student view {train['view']}; " + "; ".join(terms) if terms else f"student view {train['view']}"


def _scores(found: Found) -> Iterator[str]:
    """Every benchmark under every view, the base beside the model, with 95 % intervals."""
    assert found.run is not None
    try:
        summary = read_summary(found.run / SUMMARY)
    except InputError:
        yield "The run was not evaluated."
        return
    yield "Scores from 0 to 100 with 95 % intervals (bootstrap over clusters), by `earwise evaluate`."
    if summary.voices is not None and summary.voices.test:
        yield f"Test voices, which no training heard: {', '.join(map(_cell, summary.voices.test))}."
    yield ""
    yield "| benchmark | n | view | base | this model |"
    yield "|---|---|---|---|---|"
    yield from _rows(summary, found.training or BASE)
    yield ""
    yield "Views without speech or sound are the controls: what the model owes to hearing stands between them."


def _rows(summary: Summary, training: str) -> Iterator[str]:
    mine, base = summary.models.get(training, {}), summary.models.get(BASE, {})
    for benchmark, result in mine.items():
        views = {**(base[benchmark].views if benchmark in base else {}), **result.views}
        for view in views:
            first = base[benchmark].views.get(view) if benchmark in base and not is_heard(view) else None  # type: ignore[arg-type]
            yield f"| {_cell(benchmark)} | {result.n:,} | {view} | {_score(first)} | {_score(result.views.get(view))} |"


def _score(score: ViewScore | None) -> str:
    if score is None:
        return ""
    interval = "" if score.ci95 is None else f" [{score.ci95[0]:.1f}, {score.ci95[1]:.1f}]"
    return f"{score.score:.1f}{interval}"


def _licence(found: Found) -> Iterator[str]:
    yield "The code in this folder is under Apache-2.0. The weights are under the licences of the base model and of the"
    yield f"data: look up that of `{_cell(_name(found.base))}` before you publish them."
    yield ""
    yield _CITATION.format(version=__version__)


def _name(base: str) -> str:
    """A hub id or the last part of a path: no folders of a machine are published."""
    return base if not Path(base).is_absolute() else Path(base).name


def _short(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False, default=str).replace('"', "")
    return text[1:-1] if text.startswith("{") else text


def _cell(text: str) -> str:
    """Text that cannot leave its cell or become HTML."""
    plain = " ".join(text.split()).replace("\\", "\\\\").replace("|", "\\|").replace("`", "'")
    return plain.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
