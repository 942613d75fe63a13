"""The training runs in a `recipe.json`: which are Self-KD with which alpha, and on which annotator's answers.

A run is reported as a study, with the tables and figures of arXiv 2503.00059, if its recipe names the rows of an
ablation or asks for the printed numbers (`[report]`: `ablation`, `published`).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from pydantic import Field

from earwise.report.parts import Excerpt
from earwise.report.summary import Pair, Summary, parse_part
from earwise.report.words import model_label, number
from earwise.views import SPOKEN_VIEWS

DATA_LABELS = {"train": "gold answers", "train_other": "other annotator", "transcribe": "transcripts"}


class _Term(Excerpt):
    type: str
    weight: float
    teacher: str = "self"
    view: str = "image_text"
    divergence: str = "forward_kl"
    temperature: float = 1.0


class _Train(Excerpt):
    start: str = "aligned"
    data: str = "train"
    view: str = "image_speech"
    terms: tuple[_Term, ...] = ()


class _Data(Excerpt):
    source: str = ""


class _Report(Excerpt):
    ablation: tuple[str, ...] | dict[str, str] = ()
    published: str | None = None


class _Recipe(Excerpt):
    data: _Data | None = None
    train: dict[str, _Train] = Field(default={})
    report: _Report | None = None


@dataclass(frozen=True)
class Training:
    """A scored training run; `alpha` is None unless its objective is the paper's, alpha KL + (1 - alpha) SFT."""

    name: str
    label: str
    alpha: float | None


@dataclass(frozen=True)
class Regime:
    """Comparable training runs: the same start, items and answers."""

    label: str
    start: str
    trainings: tuple[Training, ...]

    @property
    def alphas(self) -> tuple[Training, ...]:
        """Trainings with the paper's objective, alpha rising."""
        return tuple(sorted((t for t in self.trainings if t.alpha is not None), key=lambda t: t.alpha or 0.0))

    @property
    def sft(self) -> Training | None:
        """The training on answers alone, alpha 0."""
        return next((t for t in self.alphas if t.alpha == 0), None)

    @property
    def self_kd(self) -> Training | None:
        """Self-KD with alpha 1, as in the paper's main table, else with the largest alpha; never chosen by score."""
        return next((t for t in reversed(self.alphas) if t.alpha), None)

    @property
    def others(self) -> tuple[Training, ...]:
        """Training runs with an objective that is not in the paper."""
        return tuple(t for t in self.trainings if t.alpha is None)

    @property
    def named(self) -> tuple[Training, ...]:
        """SFT, Self-KD and objectives that are not in the paper."""
        return tuple(t for t in (self.sft, self.self_kd) if t) + self.others


@dataclass(frozen=True)
class Study:
    """The training runs of a recipe by regime, and its other settings of the report."""

    regimes: tuple[Regime, ...]
    laboratory: bool
    """Whether pictures, questions and voices are the micro laboratory's."""
    published: bool
    """Whether the paper's printed numbers are shown beside the run's."""

    @property
    def starts(self) -> tuple[str, ...]:
        """Start models of the training runs."""
        return tuple(dict.fromkeys(regime.start for regime in self.regimes))

    @property
    def named(self) -> tuple[str, ...]:
        """The starts, then for each regime SFT, Self-KD and objectives that are not in the paper."""
        return tuple(dict.fromkeys((*self.starts, *(t.name for regime in self.regimes for t in regime.named))))

    def each(self) -> Iterator[tuple[Regime, Training]]:
        """Every training with its regime."""
        for regime in self.regimes:
            for training in regime.trainings:
                yield regime, training

    def label(self, model: str) -> str:
        """`Self-KD, alpha 0.75 (gold answers)`; a model that the study did not train keeps its name."""
        for regime, training in self.each():
            if training.name == model:
                return f"{training.label} ({regime.label})" if len(self.regimes) > 1 else training.label
        return model_label(model)


def read_study(folder: Path, summary: Summary) -> Study | None:
    """The study of a run folder; None without `recipe.json`, `[report]` keys for a study, or training runs.

    A study has training runs on spoken questions with scores in `summary`, except runs with parts. Raises `InputError`
    for a recipe of another schema.
    """
    path = folder / "recipe.json"
    if not path.exists():
        return None
    recipe = parse_part(_Recipe, path.read_bytes(), "a recipe", "run it again", path)
    report = recipe.report or _Report()
    trained = {
        name: train
        for name, train in recipe.train.items()
        if name in summary.models and train.terms and train.view in SPOKEN_VIEWS
    }
    if not trained or not (report.ablation or report.published):
        return None
    laboratory = recipe.data is not None and recipe.data.source == "micro"
    return Study(_regimes(trained), laboratory, report.published == "self_kd")


def _regimes(trained: dict[str, _Train]) -> tuple[Regime, ...]:
    groups: dict[tuple[str, str, str], list[Training]] = {}
    for name, train in trained.items():
        alpha = _alpha(train.terms)
        key = (train.data, train.start, train.view)
        groups.setdefault(key, []).append(Training(name, _label(train.terms, alpha), alpha))
    data = [key[0] for key in groups]
    regimes = []
    for (source, start, view), trainings in groups.items():
        label = DATA_LABELS.get(source, source)
        if data.count(source) > 1:
            label += f", from {model_label(start)}, {view}"
        regimes.append(Regime(label, start, tuple(trainings)))
    return tuple(regimes)


def _alpha(terms: Sequence[_Term]) -> float | None:
    """Weight of the KL in the paper's objective, or None for another objective."""
    weights = {term.type: term.weight for term in terms}
    if len(weights) < len(terms) or not weights.keys() <= {"sft", "logits"} or abs(sum(weights.values()) - 1) > 1e-6:
        return None
    if any(term.type == "logits" and not _as_published(term) for term in terms):
        return None
    return weights.get("logits", 0.0)


def _as_published(term: _Term) -> bool:
    same = (term.teacher, term.view, term.divergence) == ("self", Pair().text, "forward_kl")
    return same and term.temperature == 1


def _label(terms: Sequence[_Term], alpha: float | None) -> str:
    if alpha is not None:
        return f"Self-KD, alpha {alpha:g}" if alpha else "SFT"
    if {term.type for term in terms} == {"logits", "layers"} and all(t.teacher == "self" for t in terms):
        return "Self-KD + layers"
    return " + ".join(f"{number(term.weight, 2)} {term.type}" for term in terms)
