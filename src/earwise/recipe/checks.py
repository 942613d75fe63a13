"""Checks across the tables of a recipe. A schema checks one table; this checks them together."""

from __future__ import annotations

from collections.abc import Iterator

from earwise.recipe.base import base_disagreements
from earwise.recipe.check_choices import choice_disagreements
from earwise.recipe.check_conditions import condition_disagreements
from earwise.recipe.check_ears import ears_disagreements
from earwise.recipe.check_likelihood import likelihood_disagreements
from earwise.recipe.check_plugins import plugin_disagreements
from earwise.recipe.check_sizes import size_disagreements
from earwise.recipe.data import CorporaData
from earwise.recipe.model import ALIGNED, BASE, NativeEars
from earwise.recipe.recipe import Recipe
from earwise.recipe.terms import GrpoTerm, TeacherServer
from earwise.recipe.train import SHARES, WRITTEN_BY, Part, SftTerm, TaughtTerm, Train, portions
from earwise.records import View
from earwise.views import CLIP_VIEWS, DESCRIBED_VIEWS, SPOKEN_VIEWS

Disagreement = tuple[str, str]
"""A dotted key, and the problem."""


def disagreements(recipe: Recipe) -> Iterator[Disagreement]:
    """All contradictions between the recipe's tables, in the order of the recipe."""
    yield from plugin_disagreements(recipe)
    yield from size_disagreements(recipe)
    yield from _voices(recipe)
    yield from _tables(recipe)
    yield from base_disagreements(recipe.base) if recipe.base is not None else ()
    yield from ears_disagreements(recipe)
    yield from likelihood_disagreements(recipe)
    yield from _answers(recipe)
    for name, train in recipe.train.items():
        yield from _start(recipe, name, train)
        yield from _material(recipe, name, train)
        for part_key, part in own_parts(f"train.{name}", train):
            yield from _terms(part_key, part, own_base=recipe.model is not None and recipe.model.lora is not None)
        yield from _parts(recipe, name, train)
        yield from _servers(f"train.{name}", train)
        yield from _grpo(recipe, name, train)
        yield from _on_policy(f"train.{name}", train)
    yield from choice_disagreements(recipe)
    yield from _descriptions(recipe)
    yield from _evaluation(recipe)
    yield from condition_disagreements(recipe)
    yield from _guards(recipe)
    yield from _attention(recipe)
    yield from _ablation(recipe)


def _voices(recipe: Recipe) -> Iterator[Disagreement]:
    if recipe.speech is None:
        return
    train, test = recipe.speech.train_voices, recipe.speech.test_voices
    if isinstance(train, tuple) and isinstance(test, tuple) and (shared := sorted({*train} & {*test})):
        yield "speech.test_voices", f"{', '.join(shared)}: also among speech.train_voices"
    if sum(other.share for other in recipe.speech.others) >= 1:
        yield "speech.others", "their shares leave nothing for speech.engine: they must sum to less than 1"
    for number, other in enumerate(recipe.speech.others):
        if other.engine == recipe.speech.engine:
            yield f"speech.others.{number}.engine", "that of [speech]: its voices belong into speech.train_voices"


def _tables(recipe: Recipe) -> Iterator[Disagreement]:
    """A table whose stage needs another table, and a base that is not trained or not used."""
    if recipe.gate is not None and recipe.speech is None:
        yield "speech", "missing table, which [gate] needs"
    if recipe.gate is not None and recipe.gate.train == "leave_out" and not _trains_on_clips(recipe):
        yield "gate.train", "'leave_out' changes nothing: no training hears clips"
    if recipe.verify is not None and recipe.traces is None:
        yield "traces", "missing table, which [verify] needs"
    needs = {
        "align": ("speech", "model") if recipe.align else (),
        "train": ("model", "training") if recipe.train else (),
    }
    for key, tables in needs.items():
        for needed in tables:
            if getattr(recipe, needed) is None:
                yield needed, f"missing table, which [{key}] needs"
    if recipe.model is not None and (recipe.model.base == BASE) != (recipe.base is not None):
        if recipe.base is None:
            yield "model.base", f"'{BASE}' is the model that a [base] table trains, and there is no such table"
        else:
            yield "model.base", f"[base] trains a model that is not used: model.base should be '{BASE}'"
    if recipe.evaluate is not None and recipe.model is None and recipe.base is None:
        yield "model", "missing table, which [evaluate] needs"


def _trains_on_clips(recipe: Recipe) -> bool:
    return recipe.align is not None or recipe.encoder is not None or bool(recipe.train)


def _start(recipe: Recipe, name: str, train: Train) -> Iterator[Disagreement]:
    """A start must be a model of this recipe, and starts must not form a circle."""
    key = f"train.{name}.start"
    if name in (BASE, ALIGNED, "all"):
        yield f"train.{name}", f"'{name}' has a meaning of its own: choose another name"
    if train.start == ALIGNED and recipe.align is None:
        yield key, f"'{ALIGNED}' is the model that an [align] table leaves, and there is no such table"
    elif train.start not in (BASE, ALIGNED, *recipe.train):
        yield key, f"no model is named '{train.start}': choose from {', '.join((BASE, ALIGNED, *recipe.train))}"
    elif train.once and not _is_of_no_seed(recipe, train.start):
        yield f"train.{name}.once", f"each seed has a '{train.start}' of its own: start from what all seeds share"
    seen, at = [name], train.start
    while at in recipe.train and at not in seen:
        seen.append(at)
        at = recipe.train[at].start
    if at == name:
        yield key, f"starts from itself: {' <- '.join([*seen, name])}"


def _is_of_no_seed(recipe: Recipe, start: str) -> bool:
    """Whether a start is the same model for every seed."""
    return recipe.train[start].once if start in recipe.train else start == BASE and recipe.base is None


def _material(recipe: Recipe, name: str, train: Train) -> Iterator[Disagreement]:
    """A training run's item file and clips must be made by a table of this recipe."""
    shown = train_views(train)
    if recipe.speech is None and (needy := [view for view in shown if view in CLIP_VIEWS]):
        yield "speech", f"missing table, which train.{name} needs for {needy[0]}"
    files = recipe.data.item_files
    for key, part in keyed_parts(f"train.{name}", train):
        named = key if key.endswith((*SHARES,)) else f"{key}.data"
        if part.data not in WRITTEN_BY and files is not None and part.data not in files:
            known = ", ".join([*files, *WRITTEN_BY])
            yield named, f"[data] has no item file '{part.data}': choose from {known}"
        yield from _written(recipe, named, part.data)


_COMPLETE = frozenset({"traces_complete", "distilled_complete"})
"""Item files that need a checker which finds omissions."""


def _written(recipe: Recipe, key: str, data: str) -> Iterator[Disagreement]:
    """A teacher's item file needs the tables that write it."""
    table = WRITTEN_BY.get(data)
    if table is not None and getattr(recipe, table) is None:
        yield table, f"missing table, which {key} = '{data}' needs"
    elif recipe.verify is not None and data == "traces_verified" and recipe.verify.agreed_only:
        yield (
            key,
            "verify.agreed_only leaves traces that do not agree unjudged: set it to false, or take those that agree",
        )
    elif recipe.verify is not None and data in _COMPLETE and recipe.verify.method != "describe":
        yield key, "only verify.method 'describe' tells what a chain leaves out"


def _descriptions(recipe: Recipe) -> Iterator[Disagreement]:
    """Every item file that is shown by description must be described."""
    shown: dict[str, str] = {}
    for name, train in recipe.train.items():
        read = [part.data for part in train.mixture.values() if DESCRIBED_VIEWS & {*part_views(part)}]
        if read:
            shown = {**dict.fromkeys([described_file(recipe, file) for file in read], f"train.{name}"), **shown}
    if recipe.answers is not None and recipe.answers.view in DESCRIBED_VIEWS:
        shown.setdefault(recipe.answers.items, "answers")
    for file, table in shown.items():
        if recipe.descriptions is None and isinstance(recipe.data, CorporaData):
            yield "descriptions", f"missing table, which {table} needs for description_text"
        elif recipe.descriptions is not None and file not in recipe.descriptions.items:
            yield "descriptions.items", f"'{file}' is not among them, and {table} shows its descriptions"


def described_file(recipe: Recipe, name: str) -> str:
    """The item file whose descriptions item file `name` uses: for a teacher's file, the one that it answered."""
    asked = {"traces": recipe.traces, "verify": recipe.traces, "answers": recipe.answers}.get(WRITTEN_BY.get(name, ""))
    return asked.items if asked is not None else name


def questions_file(recipe: Recipe, name: str) -> str:
    """The item file of the data folder with the questions, and so the clips, of item file `name`."""
    if name == "written" and recipe.answers is not None:
        return recipe.answers.items
    return recipe.traces.items if name in WRITTEN_BY and recipe.traces is not None else name


def keyed_parts(key: str, train: Train) -> Iterator[tuple[str, Part]]:
    """The parts of the training run at `key`, each with its key; without parts, one part at `key` itself."""
    for name, part in train.mixture.items():
        yield f"{key}.parts.{name}" if train.parts else f"{key}.{name}".removesuffix("."), part


def own_parts(key: str, train: Train) -> Iterator[tuple[str, Part]]:
    """`keyed_parts` without those that share the terms of another, so that each problem is reported once."""
    yield from ((at, part) for at, part in keyed_parts(key, train) if train.parts or at == key)


def train_views(train: Train) -> tuple[View, ...]:
    """Every view of the student and of its teachers."""
    return tuple(dict.fromkeys(view for part in train.each for view in part_views(part)))


def part_views(part: Part) -> tuple[View, ...]:
    """The student's view and its teachers'."""
    return tuple(dict.fromkeys([part.view, *(term.view for term in part.terms if isinstance(term, TaughtTerm))]))


def _terms(key: str, part: Part, *, own_base: bool) -> Iterator[Disagreement]:
    """`own_base`: whether `self` is the base without LoRA, which differs from the student under any view."""
    if sum(term.weight for term in part.terms) <= 0:
        yield f"{key}.terms", "all weights are 0: nothing would be learned"
    for index, term in enumerate(part.terms):
        if isinstance(term, TaughtTerm) and term.teacher == "self" and term.view == part.view and not own_base:
            yield f"{key}.terms.{index}.view", f"teacher and student both see {part.view}: nothing would be learned"


def _parts(recipe: Recipe, name: str, train: Train) -> Iterator[Disagreement]:
    """Each part must have items in every step, and only one view may select steps."""
    if recipe.training is None:
        return
    settings = recipe.optimisation(name)
    items = settings.batch_size * settings.accumulate
    counts = portions(items, [part.share for part in train.mixture.values()])
    for (key, _), count in zip(keyed_parts(f"train.{name}", train), counts, strict=True):
        if not count:
            yield f"{key}.share" if train.parts else key, f"less than one of the {items} items of an optimiser step"
    if settings.select is not None and train.parts:
        yield "training.select", f"chooses steps by one view, and train.{name} has parts with views of their own"


def _servers(key: str, train: Train) -> Iterator[Disagreement]:
    """All terms of a training run must use a server's model with the same settings."""
    asked: dict[str, TeacherServer] = {}
    for part_key, part in own_parts(key, train):
        for index, term in enumerate(part.terms):
            if not isinstance(term, TaughtTerm) or not isinstance(term.teacher, TeacherServer):
                continue
            if asked.setdefault(term.teacher_name, term.teacher) != term.teacher:
                yield f"{part_key}.terms.{index}.teacher", f"another term asks {term.teacher.model!r} in another way"


def _grpo(recipe: Recipe, name: str, train: Train) -> Iterator[Disagreement]:
    """Training by reward has one term `grpo`, and checkpoints only between rollouts."""
    terms = [term for term in train.every_term if isinstance(term, GrpoTerm)]
    if not terms:
        return
    by_reward = {at: part for at, part in own_parts(f"train.{name}", train) if terms[0] in part.terms}
    key = f"{next(iter(by_reward))}.terms"
    if len(terms) > 1:
        yield key, "grpo is listed twice"
    for at, part in own_parts(f"train.{name}", train):
        for index, term in enumerate(part.terms):
            if isinstance(term, TaughtTerm):
                yield f"{at}.terms.{index}", f"{term.type} compares views of given answers: it cannot stand beside grpo"
    yield from _replayed(name, train)
    rewards = {reward.type for reward in terms[0].rewards}
    describes = recipe.verify is not None and recipe.verify.method == "describe"
    if rewards & {"claims", "completeness"} and not describes:
        yield f"{key}.rewards", "claims are rewarded by what a checker hears: give [verify] with method 'describe'"
    updates = terms[0].updates
    if recipe.training is not None and (every := recipe.optimisation(name).save_every) % updates:
        yield "training.save_every", f"{every} is no multiple of the {updates} updates of {key}: rollouts are not saved"


def _replayed(name: str, train: Train) -> Iterator[Disagreement]:
    """Beside grpo, every other part must have one and the same term `sft`."""
    key = f"train.{name}"
    if not train.parts:
        sft = [term for term in train.terms if isinstance(term, SftTerm)]
        if len(sft) > 1:
            yield f"{key}.terms", "sft is listed twice beside grpo"
        if bool(sft) != bool(train.copy_share or train.replay_share):
            what = "beside grpo, sft is what replayed items are learned by: give both it and replay_share, or none"
            yield f"{key}.terms", what
        return
    others = []
    for at, part in own_parts(key, train):
        if any(isinstance(term, GrpoTerm) for term in part.terms):
            if len(part.terms) > 1:
                yield f"{at}.terms", "grpo stands alone: sft belongs to the parts of the items that are replayed"
        else:
            others.append(part.terms)
            if len(part.terms) > 1 or part.terms != others[0]:
                yield f"{at}.terms", "beside grpo, all other parts are learned by the same sft"


def _on_policy(key: str, train: Train) -> Iterator[Disagreement]:
    """Drawn answers exist only with on_policy, and some term must learn from them."""
    taught = [term for term in train.terms if isinstance(term, TaughtTerm) and term.weight > 0]
    if train.on_policy is None:
        if any(term.answers != "all" for term in train.every_term if isinstance(term, TaughtTerm) and term.weight > 0):
            yield f"{key}.on_policy", "missing table, which the 'answers' of a term need"
        return
    if any(isinstance(term, GrpoTerm) for term in train.terms):
        yield f"{key}.on_policy", "grpo draws answers of its own: it cannot stand beside on_policy"
        return
    if all(term.answers == "given" for term in taught):
        yield f"{key}.on_policy", "no term learns from drawn answers: sft does not, and a teacher is needed"
    given = any(isinstance(term, SftTerm) and term.weight > 0 for term in train.terms)
    if train.on_policy.share == 1 and (given or any(term.answers == "given" for term in taught)):
        yield f"{key}.on_policy.share", "1 leaves no given answers, and a term learns from those only"


def _answers(recipe: Recipe) -> Iterator[Disagreement]:
    """Generated answers need a model that generates them and a training run that learns from them."""
    if recipe.answers is None:
        return
    if recipe.answers.model == BASE and recipe.model is None and recipe.base is None:
        yield "model", "missing table, which [answers] needs"
    if recipe.train and all(part.data != "written" for train in recipe.train.values() for part in train.each):
        yield "answers", "no training learns from these answers: set data = 'written' in one"


def _evaluation(recipe: Recipe) -> Iterator[Disagreement]:
    if recipe.evaluate is None:
        return
    known = dict.fromkeys((BASE, *recipe.models))
    for name in recipe.evaluated:
        if name not in known:
            yield "evaluate.models", f"no model is named '{name}': choose from {', '.join(known)}"
    if recipe.speech is None and (needy := [view for view in recipe.evaluate.every_view if view in CLIP_VIEWS]):
        yield "speech", f"missing table, which evaluate.views needs for {needy[0]}"
    for name in recipe.evaluate.views_of:
        if name not in recipe.evaluate.benchmarks:
            yield f"evaluate.views_of.{name}", "is not among evaluate.benchmarks"
    for name in recipe.evaluate.own:
        if name not in recipe.evaluate.benchmarks:
            yield f"evaluate.own.{name}", "is not among evaluate.benchmarks"
    spoken = [view for view in recipe.evaluate.every_view if view in SPOKEN_VIEWS]
    deaf = recipe.model is None or not isinstance(recipe.model.ears, NativeEars)
    if spoken and deaf and not {*recipe.evaluated} - {BASE}:
        yield "evaluate.views", f"{spoken[0]} needs a model with ears, and only '{BASE}' is evaluated"
    if recipe.evaluate.text_view == recipe.evaluate.speech_view:
        yield "evaluate.speech_view", "is the same as evaluate.text_view: the gap would always be 0"


def _guards(recipe: Recipe) -> Iterator[Disagreement]:
    """Guards compare a model before and after training, on benchmarks outside the training domain."""
    if recipe.guards is None:
        return
    if recipe.evaluate is None:
        yield "evaluate", "missing table, which [guards] needs"
        return
    for name in recipe.guards.benchmarks:
        if name not in recipe.evaluate.benchmarks:
            yield "guards.benchmarks", f"'{name}' is not among evaluate.benchmarks"
        elif name == recipe.evaluate.benchmarks[0]:
            yield "guards.benchmarks", f"'{name}' is the first of evaluate.benchmarks, which is in-domain"
    plain = [name for name in recipe.guards.benchmarks if name not in recipe.evaluate.views_of]
    if plain and recipe.evaluate.main_view not in recipe.evaluate.views:
        yield "guards", f"models are compared under {recipe.evaluate.main_view}, which is not among evaluate.views"
    elif not guard_pairs(recipe):
        yield "guards", "no training is evaluated together with the model that it started from"


def guard_pairs(recipe: Recipe) -> dict[str, str]:
    """The model that each evaluated training run is compared with: the one that it started from, or the base if that
    one is not evaluated. Training runs without a model that can be asked under the view of comparison are left out.
    """
    if recipe.evaluate is None:
        return {}
    deaf = recipe.model is None or not isinstance(recipe.model.ears, NativeEars)
    heard = recipe.evaluate.main_view in (*SPOKEN_VIEWS, "sound_text")
    asked = {*recipe.evaluated} - {BASE} | (set() if deaf and heard else {BASE})
    pairs = {name: train.start if train.start in asked else BASE for name, train in recipe.train.items()}
    return {name: before for name, before in pairs.items() if name in asked and before in asked}


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


def _ablation(recipe: Recipe) -> Iterator[Disagreement]:
    """Every row of the ablation needs a model that is asked under the view of comparison."""
    if recipe.report is None or recipe.evaluate is None:
        return
    view, known = recipe.evaluate.main_view, dict.fromkeys((BASE, *recipe.evaluated))
    deaf = recipe.model is None or not isinstance(recipe.model.ears, NativeEars)
    for row, name in recipe.report.rows.items():
        if name not in known:
            yield "report.ablation", f"no model is named '{name}' for row '{row}': choose from {', '.join(known)}"
        elif name == BASE and deaf and view in (*SPOKEN_VIEWS, "sound_text"):
            yield "report.ablation", f"row '{row}' is of '{BASE}', which has no ears for {view}"
