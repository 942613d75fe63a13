"""What follows from a recipe: the item files that it reads, which models answer what, and which are compared."""

from __future__ import annotations

from earwise.recipe.checks import keyed_parts, part_views, questions_file
from earwise.recipe.model import BASE, NativeEars
from earwise.recipe.recipe import Recipe
from earwise.recipe.terms import ClaimsReward, CompletenessReward, GrpoTerm
from earwise.recipe.train import WRITTEN_BY, Train
from earwise.views import DESCRIBED_VIEWS, TRANSCRIPT_VIEWS, View, is_heard, is_spoken


def used_item_files(recipe: Recipe) -> list[str]:
    """Names of the item files of the data that the recipe reads."""
    parts = [part for train in recipe.train.values() for part in train.mixture.values()]
    used = [part.data for part in parts if part.data not in WRITTEN_BY]
    used += [recipe.traces.items] if recipe.traces else []
    used += recipe.descriptions.items if recipe.descriptions else []
    used += [recipe.answers.items] if recipe.answers else []
    used += [recipe.training.select.items] if recipe.training and recipe.training.select else []
    used += [recipe.align.data] if recipe.align else []
    for phase in recipe.base.phases if recipe.base else ():
        used += [*phase.files] or ["train", "transcribe"]
    used += ["transcribe"] if recipe.encoder else []
    return sorted(set(used))


def spoken_files(recipe: Recipe) -> list[str]:
    """Item files to speak; two annotations of the same questions are spoken once."""
    return list(dict.fromkeys(spoken_file(name) for name in used_item_files(recipe)))


def spoken_file(name: str) -> str:
    """The item file whose clips serve item file `name`."""
    return "train" if name == "train_other" else name


def speaks_suffix(recipe: Recipe) -> bool:
    """Whether a benchmark's request for the answer's format is spoken."""
    return recipe.evaluate is not None and recipe.evaluate.suffix == "spoken"


def benchmarks_are_described(recipe: Recipe) -> bool:
    """Whether a view of `[evaluate]` shows descriptions."""
    return recipe.evaluate is not None and bool(DESCRIBED_VIEWS & {*recipe.evaluate.every_view})


def by_start(recipe: Recipe) -> list[str]:
    """Names of the training runs, each after its start."""
    ordered: list[str] = []
    waiting = list(recipe.train)
    while waiting:
        ready = [name for name in waiting if recipe.train[name].start not in waiting]
        ordered += ready
        waiting = [name for name in waiting if name not in ready]
    return ordered


def answering(recipe: Recipe) -> list[str]:
    """The base, whose typed answers all models share, and every evaluated model."""
    return [BASE, *(name for name in recipe.evaluated if name != BASE)]


def asked_views(recipe: Recipe, name: str) -> tuple[View, ...]:
    """The views under which model `name` itself answers. With a frozen base, its typed answers are those of every model
    with ears, so only the base is asked; LoRA and a trained decoder change them. A base that hears natively is asked by
    speech, too.
    """
    assert recipe.evaluate is not None
    model = recipe.model
    views = list(recipe.evaluate.every_view)
    native = isinstance(model.ears, NativeEars) if model is not None else recipe.base is not None and recipe.base.hears
    if name == BASE and not native:
        recognised = TRANSCRIPT_VIEWS if reads_transcripts(recipe) else frozenset()
        views = [view for view in views if not is_heard(view) or view in recognised]
    elif name != BASE and not (model is not None and model.trains_decoder):
        views = [view for view in views if is_heard(view)]
    if name != BASE and recipe.evaluate.cascade != "all" and name not in recipe.evaluate.cascade:
        views = [view for view in views if view not in TRANSCRIPT_VIEWS]
    return tuple(views)


def spoken_views(recipe: Recipe, model: str) -> tuple[View, ...]:
    """The views of a model with a spoken question."""
    return tuple(view for view in asked_views(recipe, model) if is_spoken(view))


def answering_models(recipe: Recipe, condition: str) -> list[str]:
    """The models with a spoken view under a condition, and the base if it reads a recogniser's transcripts."""
    asked = recipe.conditions[condition].models
    named = list(recipe.evaluated if asked == "all" else asked)
    if reads_transcripts(recipe) and BASE not in named:
        named.insert(0, BASE)
    return [model for model in named if spoken_views(recipe, model)]


def reads_transcripts(recipe: Recipe) -> bool:
    """Whether the base reads the transcripts of a recogniser: the cascade that the models are compared with."""
    return recipe.evaluate is not None and recipe.evaluate.recogniser is not None


def measured_models(recipe: Recipe, condition: str | None) -> list[str]:
    """The models of `[likelihood]`, the base first; under a condition those that answer there."""
    assert recipe.likelihood is not None
    asked = recipe.likelihood.models
    named = [name for name in (recipe.evaluated if asked == "all" else asked) if name != BASE]
    if condition is None:
        return [BASE, *named]
    answering = answering_models(recipe, condition)
    return [name for name in (BASE, *named) if name in answering]


def spoken_benchmarks(recipe: Recipe, condition: str) -> tuple[str, ...]:
    """The benchmarks that a condition speaks again."""
    assert recipe.evaluate is not None
    named = recipe.conditions[condition].benchmarks
    heard = [one for one in recipe.evaluate.benchmarks if any(is_spoken(view) for view in recipe.evaluate.asked(one))]
    return tuple(one for one in heard if named == "all" or one in named)


def analysed_models(recipe: Recipe) -> tuple[str, ...]:
    """The models whose attention is measured, the base first."""
    assert recipe.attention is not None
    named = recipe.models if recipe.attention.models == "all" else recipe.attention.models
    return (BASE, *(name for name in named if name != BASE))


def analysed_benchmarks(recipe: Recipe) -> tuple[str, ...]:
    """The benchmarks on which attention is measured."""
    assert recipe.attention is not None
    assert recipe.evaluate is not None
    return recipe.evaluate.benchmarks if recipe.attention.benchmarks == "all" else recipe.attention.benchmarks


def attention_baseline(recipe: Recipe) -> str | None:
    """The model that the others are compared with in attention: the named one, else the first training run."""
    assert recipe.attention is not None
    trained = [name for name in recipe.train if name in analysed_models(recipe)]
    return recipe.attention.baseline or next(iter(trained), None)


def compared_pairs(recipe: Recipe) -> tuple[tuple[str, str], ...]:
    """Pairs to compare: every training run with the first one on the same data, and that one with its start."""
    pairs = []
    first: dict[tuple[str, ...], str] = {}
    for name, train in recipe.train.items():
        baseline = first.setdefault(tuple(part.data for part in train.each), name)
        pairs.append((name, train.start if baseline == name else baseline))
    return tuple((a, b) for a, b in pairs if {a, b} <= set(recipe.evaluated))


def heard_files(recipe: Recipe) -> list[str]:
    """Item files whose clips are used for training."""
    parts = [part for train in recipe.train.values() for part in train.mixture.values()]
    used = {spoken_file(part.data) for part in parts}
    used |= {recipe.align.data} if recipe.align else set()
    return sorted(used & {*spoken_files(recipe)})


def shown_of(recipe: Recipe, name: str) -> dict[str, tuple[View, ...]]:
    """The views under which item file `name` is used for training, by the key of each part in the recipe."""
    return {
        key: part_views(part)
        for train, own in recipe.train.items()
        for key, part in keyed_parts(f"train.{train}", own)
        if questions_file(recipe, part.data) == name
    }


def grpo_of(own: Train) -> GrpoTerm | None:
    """The term `grpo` of a training run, if any."""
    return next((term for term in own.every_term if isinstance(term, GrpoTerm)), None)


def rewards_claims(own: Train) -> bool:
    """Whether a reward uses a checker's claims."""
    grpo = grpo_of(own)
    return grpo is not None and any(isinstance(r, ClaimsReward | CompletenessReward) for r in grpo.rewards)
