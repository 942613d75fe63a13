"""What the tables of a recipe must agree on with each other. A schema checks one table; this checks them together."""

from __future__ import annotations

from collections.abc import Iterator

from earwise.evaluation_settings import CLIP_VIEWS, SPOKEN_VIEWS
from earwise.model_settings import ALIGNED, BASE
from earwise.settings import Recipe
from earwise.training_settings import SftTerm, Train

Disagreement = tuple[str, str]
"""A dotted key, and what is wrong with it."""


def disagreements(recipe: Recipe) -> Iterator[Disagreement]:
    """Everything in which the recipe's tables contradict each other, in the order of the recipe."""
    yield from _voices(recipe)
    yield from _tables(recipe)
    for name, train in recipe.train.items():
        yield from _start(recipe, name, train)
        yield from _terms(f"train.{name}", train)
    yield from _evaluation(recipe)
    yield from _attention(recipe)


def _voices(recipe: Recipe) -> Iterator[Disagreement]:
    if recipe.speech is None:
        return
    train, test = recipe.speech.train_voices, recipe.speech.test_voices
    if isinstance(train, tuple) and isinstance(test, tuple) and (shared := sorted({*train} & {*test})):
        yield "speech.test_voices", f"{', '.join(shared)}: also among speech.train_voices"


def _tables(recipe: Recipe) -> Iterator[Disagreement]:
    """A table whose stage cannot run without another table, and a base that nothing trains or nothing uses."""
    if recipe.gate is not None and recipe.speech is None:
        yield "speech", "missing table, which [gate] needs"
    trains_ears = [key for key, present in (("align", recipe.align), ("train", recipe.train)) if present]
    for key in trains_ears:
        for needed in ("speech", "model"):
            if getattr(recipe, needed) is None:
                yield needed, f"missing table, which [{key}] needs"
    if recipe.train and recipe.training is None:
        yield "training", "missing table, which [train] needs"
    if recipe.model is not None and (recipe.model.base == BASE) != (recipe.base is not None):
        if recipe.base is None:
            yield "model.base", f"'{BASE}' is the model that a [base] table trains, and there is no such table"
        else:
            yield "model.base", f"[base] trains a model that is not used: model.base should be '{BASE}'"
    if recipe.evaluate is not None and recipe.model is None and recipe.base is None:
        yield "model", "missing table, which [evaluate] needs"


def _start(recipe: Recipe, name: str, train: Train) -> Iterator[Disagreement]:
    """A start names a model of this recipe, and following the starts ends at one that is not a training."""
    key = f"train.{name}.start"
    if name in (BASE, ALIGNED, "all"):
        yield f"train.{name}", f"'{name}' has a meaning of its own: choose another name"
    if train.start == ALIGNED and recipe.align is None:
        yield key, f"'{ALIGNED}' is the model that an [align] table leaves, and there is no such table"
    elif train.start not in (BASE, ALIGNED, *recipe.train):
        yield key, f"no model is named '{train.start}': choose from {', '.join((BASE, ALIGNED, *recipe.train))}"
    seen, at = [name], train.start
    while at in recipe.train and at not in seen:
        seen.append(at)
        at = recipe.train[at].start
    if at == name:
        yield key, f"starts from itself: {' <- '.join([*seen, name])}"


def _terms(key: str, train: Train) -> Iterator[Disagreement]:
    if sum(term.weight for term in train.terms) <= 0:
        yield f"{key}.terms", "all weights are 0: nothing would be learned"
    for index, term in enumerate(train.terms):
        if isinstance(term, SftTerm):
            continue
        if term.teacher == "self" and term.view == train.view:
            yield f"{key}.terms.{index}.view", f"teacher and student both see {train.view}: nothing would be learned"


def _evaluation(recipe: Recipe) -> Iterator[Disagreement]:
    if recipe.evaluate is None:
        return
    known = dict.fromkeys((BASE, *recipe.models))
    for name in recipe.evaluated:
        if name not in known:
            yield "evaluate.models", f"no model is named '{name}': choose from {', '.join(known)}"
    if recipe.speech is None and (needy := [view for view in recipe.evaluate.views if view in CLIP_VIEWS]):
        yield "speech", f"missing table, which evaluate.views needs for {needy[0]}"
    spoken = [view for view in recipe.evaluate.views if view in SPOKEN_VIEWS]
    if spoken and not {*recipe.evaluated} - {BASE}:
        yield "evaluate.views", f"{spoken[0]} needs a model with ears, and only '{BASE}' is evaluated"
    if recipe.evaluate.text_view == recipe.evaluate.speech_view:
        yield "evaluate.speech_view", "is the same as evaluate.text_view: the gap would always be 0"


def _attention(recipe: Recipe) -> Iterator[Disagreement]:
    settings, evaluate = recipe.attention, recipe.evaluate
    if settings is None:
        return
    if evaluate is None:
        yield "evaluate", "missing table, which [attention] needs"
        return
    for name in settings.benchmarks if settings.benchmarks != "all" else ():
        if name not in evaluate.benchmarks:
            yield "attention.benchmarks", f"'{name}' is not among evaluate.benchmarks"
    known = dict.fromkeys((BASE, *recipe.models))
    chosen = recipe.models if settings.models == "all" else settings.models
    for name in chosen:
        if name not in known:
            yield "attention.models", f"no model is named '{name}': choose from {', '.join(known)}"
    if settings.baseline is not None and settings.baseline not in chosen:
        yield "attention.baseline", f"'{settings.baseline}' is not among attention.models"
    if recipe.speech is None and (spoken := [view for view in settings.views if view in CLIP_VIEWS]):
        yield "speech", f"missing table, which attention.views needs for {spoken[0]}"
    if settings.response == "base" and settings.views[0] not in evaluate.views:
        yield "attention.response", f"'{BASE}' needs {settings.views[0]} among evaluate.views"
