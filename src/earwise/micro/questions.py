"""Questions about a picture, each with the answers of two annotators.

The *house* annotator answers briefly, in the base model's style. The *other* annotator is also right, but words answers
differently ("yes it is", "it is at the top left", things of a description in reverse order), like data from another
source. Every asker takes a picture and a random source and returns a `Turn`, or None if the picture allows no such
question. Yes and no, option A and option B are equally likely.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from earwise.micro.scenes import Chart, Picture, Scene, Thing
from earwise.micro.words import COLORS, COLUMNS, DIGITS, LETTERS, ROWS, SHAPES, SIGN_WORDS, number, plural

_OPPOSITE = {"left of": "right of", "right of": "left of", "above": "below", "below": "above"}
_PLACES = tuple(f"{row} {column}" for row in ROWS for column in COLUMNS)


@dataclass(frozen=True)
class Turn:
    """One question about a picture and its right answers."""

    kind: str
    form: str
    """Questions of one kind and form have interchangeable answers: each is a plausible wrong answer to the others."""
    question: str
    """The question without its options."""
    answer: str
    """Answer of the house annotator."""
    other: str
    """Answer of the other annotator."""
    choices: tuple[str, ...] = ()
    """Option texts in order, if the answer is an option letter."""

    @property
    def text(self) -> str:
        """The question with its options written out: `QUESTION Option A: red. Option B: blue.`"""
        options = zip(LETTERS, self.choices, strict=False)
        return " ".join([self.question, *(f"Option {letter.upper()}: {option}." for letter, option in options)])


Asker = Callable[[Scene, random.Random], Turn | None]


def ask(picture: Picture, rng: random.Random, count: int, emphasis: Mapping[str, float] = {}) -> list[Turn]:
    """`count` different questions about a picture. `emphasis` multiplies the frequency of kinds about scenes."""
    asked: dict[str, Turn] = {}
    most = max(1.0, *emphasis.values()) if emphasis else 1.0
    while len(asked) < count:
        turn = ask_chart(picture, rng) if isinstance(picture, Chart) else _ask_scene(picture, rng)
        if turn is not None and (not emphasis or rng.random() * most < emphasis.get(turn.kind, 1.0)):
            asked.setdefault(turn.text, turn)
    return list(asked.values())


def _ask_scene(scene: Scene, rng: random.Random) -> Turn | None:
    askers = tuple(ASKERS)
    return rng.choices(askers, [ASKERS[asker] for asker in askers])[0](scene, rng)


def existence(scene: Scene, rng: random.Random, truth: bool | None = None) -> Turn:
    """Is there a red circle? With "no", the thing shares its colour or its shape with an existing one."""
    truth = rng.random() < 0.5 if truth is None else truth
    present = {thing.name for thing in scene.things}
    if truth:
        name = rng.choice(sorted(present))
    else:
        colors, shapes = _colors(scene), _shapes(scene)
        near = {f"{c} {s}" for c in COLORS for s in SHAPES if c in colors or s in shapes}
        name = rng.choice(sorted(near - present))
    question = rng.choice(
        ("Is there a {}?", "Is there a {} in the picture?", "Can you see a {}?", "Do you see a {} in the picture?")
    )
    other = f"yes there is a {name}" if truth else f"no there is not a {name}"
    return Turn("existence", "check", question.format(name), _yes_no(truth), other)


def count_open(scene: Scene, rng: random.Random) -> Turn:
    """How many circles are there?"""
    group, total = _group(scene, rng)
    question = rng.choice(("How many {} are there?", "How many {} are in the picture?", "How many {} can you see?"))
    return Turn("count", "number", question.format(group), number(total), _there_are(total, group))


def count_check(scene: Scene, rng: random.Random, truth: bool | None = None) -> Turn:
    """Are there two circles in the picture? Is there one star in the picture?"""
    truth = rng.random() < 0.5 if truth is None else truth
    group, total = _group(scene, rng, least=1)
    claimed = total if truth else rng.choice([value for value in (1, 2, 3, 4) if value != total])
    verb, amount = _there_are(claimed, group).split(maxsplit=2)[1:]
    question = f"{verb.capitalize()} there {amount} in the picture?"
    return Turn("count", "check", question, _yes_no(truth), f"{_yes_no(truth)} {_there_are(total, group)}")


def color_open(scene: Scene, rng: random.Random) -> Turn | None:
    """What color is the star? Only if one thing has that shape."""
    alone = [thing for thing in scene.things if _shapes(scene).count(thing.shape) == 1]
    if not alone:
        return None
    thing = rng.choice(alone)
    question = rng.choice(("What color is the {}?", "Which color does the {} have?", "What is the color of the {}?"))
    return Turn("attribute", "color", question.format(thing.shape), thing.color, f"the {thing.shape} is {thing.color}")


def color_check(scene: Scene, rng: random.Random, truth: bool | None = None) -> Turn | None:
    """Is the star red?"""
    alone = [thing for thing in scene.things if _shapes(scene).count(thing.shape) == 1]
    if not alone:
        return None
    truth = rng.random() < 0.5 if truth is None else truth
    thing = rng.choice(alone)
    color = thing.color if truth else rng.choice([color for color in COLORS if color != thing.color])
    question = rng.choice(("Is the {} {}?", "Is the color of the {} {}?"))
    other = f"yes it is {thing.color}" if truth else f"no it is {thing.color}"
    return Turn("attribute", "check", question.format(thing.shape, color), _yes_no(truth), other)


def shape_open(scene: Scene, rng: random.Random) -> Turn | None:
    """Which shape is red? Only if one thing has that colour."""
    alone = [thing for thing in scene.things if _colors(scene).count(thing.color) == 1]
    if not alone:
        return None
    thing = rng.choice(alone)
    question = rng.choice(("Which shape is {}?", "What is the {} shape?", "What shape does the {} thing have?"))
    return Turn(
        "attribute", "shape", question.format(thing.color), thing.shape, f"the {thing.color} shape is a {thing.shape}"
    )


def place_open(scene: Scene, rng: random.Random) -> Turn:
    """Where is the star?"""
    thing = rng.choice(_unique(scene))
    question = rng.choice(("Where is {}?", "Where in the picture is {}?", "In which place is {}?"))
    return Turn(
        "position", "place", question.format(_refer(scene, thing, rng)), thing.place, f"it is at the {thing.place}"
    )


def thing_at(scene: Scene, rng: random.Random) -> Turn:
    """What is at the top left? Sometimes it is nothing."""
    by_place = {thing.place: thing.name for thing in scene.things}
    place = rng.choice(sorted(by_place)) if rng.random() < 0.8 else rng.choice(_PLACES)
    name = by_place.get(place, "nothing")
    question = rng.choice(("What is at the {}?", "What can you see at the {}?", "Which thing is at the {}?"))
    other = f"there is a {name}" if name != "nothing" else "there is nothing there"
    return Turn("position", "thing", question.format(place), name, other)


def relation_check(scene: Scene, rng: random.Random, truth: bool | None = None) -> Turn | None:
    """Is the star left of the circle?"""
    pair = _related(scene, rng)
    if pair is None:
        return None
    first, second, relation = pair
    truth = rng.random() < 0.5 if truth is None else truth
    asked = relation if truth else _OPPOSITE[relation]
    question = f"Is {_refer(scene, first, rng)} {asked} {_refer(scene, second, rng)}?"
    other = f"yes it is {relation} it" if truth else f"no it is {relation} it"
    return Turn("relation", "check", question, _yes_no(truth), other)


def relation_open(scene: Scene, rng: random.Random) -> Turn | None:
    """Is the star left or right of the circle?"""
    pair = _related(scene, rng)
    if pair is None:
        return None
    first, second, relation = pair
    ways = ("left", "right") if relation in ("left of", "right of") else ("above", "below")
    preposition = "of " if ways[0] == "left" else ""
    question = f"Is {_refer(scene, first, rng)} {ways[0]} or {ways[1]} {preposition}{_refer(scene, second, rng)}?"
    return Turn("relation", ways[0], question, relation.split()[0], f"it is {relation} the {second.shape}")


def reading_open(scene: Scene, rng: random.Random) -> Turn:
    """What does the sign say?"""
    text = " ".join(scene.sign)
    sort = "number" if scene.sign[0] in DIGITS else "word"
    question = rng.choice(("What does the sign say?", "What is written on the sign?", f"Which {sort} is on the sign?"))
    return Turn("reading", sort, question, text, f"the sign says {text}")


def reading_check(scene: Scene, rng: random.Random, truth: bool | None = None) -> Turn:
    """Does the sign say hotel? A wrong number differs in one digit."""
    truth = rng.random() < 0.5 if truth is None else truth
    claimed = scene.sign
    if not truth and scene.sign[0] in DIGITS:
        spot = rng.randrange(len(scene.sign))
        wrong = rng.choice([digit for digit in DIGITS if digit != scene.sign[spot]])
        claimed = (*scene.sign[:spot], wrong, *scene.sign[spot + 1 :])
    elif not truth:
        claimed = (rng.choice([word for word in SIGN_WORDS if word != scene.sign[0]]),)
    question = rng.choice(("Does the sign say {}?", "Is {} written on the sign?")).format(" ".join(claimed))
    return Turn("reading", "check", question, _yes_no(truth), f"{_yes_no(truth)} it says {' '.join(scene.sign)}")


def caption_relation(scene: Scene, rng: random.Random) -> tuple[str, str, str] | None:
    """A true caption, a false one with the same words in another order, and the relation's name."""
    pair = _related(scene, rng)
    if pair is None:
        return None
    first, second, relation = pair
    one, two = _refer(scene, first, rng, article=False), _refer(scene, second, rng, article=False)
    return f"{one} {relation} {two}", f"{two} {relation} {one}", relation


def caption_attribution(scene: Scene, rng: random.Random) -> tuple[str, str, tuple[str, str]] | None:
    """A true caption, a false one with the colours exchanged, and the two colours."""
    present = {thing.name for thing in scene.things}
    pairs = [
        (one, two)
        for one in scene.things
        for two in scene.things
        if one.shape != two.shape
        and one.color != two.color
        and not {f"{two.color} {one.shape}", f"{one.color} {two.shape}"} & present
    ]
    if not pairs:
        return None
    one, two = rng.choice(pairs)
    false = f"{two.color} {one.shape} and {one.color} {two.shape}"
    return f"{one.name} and {two.name}", false, (one.color, two.color)


def choice_caption(scene: Scene, rng: random.Random) -> Turn | None:
    """Which sentence is right? Option A: ... Option B: ..."""
    captions = (caption_relation if rng.random() < 0.5 else caption_attribution)(scene, rng)
    if captions is None:
        return None
    return _choose("Which sentence is right?", captions[0], [captions[1]], rng)


def choice_word(scene: Scene, rng: random.Random) -> Turn | None:
    """What color is the star? Option A: red. Option B: blue. Option C: green."""
    asker = rng.choice((color_open, shape_open, count_open, place_open, reading_open))
    turn = asker(scene, rng)
    if turn is None or (" " in turn.answer and asker is reading_open):
        return None
    pool: Sequence[str] = {
        color_open: COLORS,
        shape_open: SHAPES,
        count_open: DIGITS[:5],
        place_open: _PLACES,
        reading_open: SIGN_WORDS,
    }[asker]
    wrong = rng.sample([word for word in pool if word != turn.answer], rng.choice((1, 2)))
    return _choose(turn.question, turn.answer, wrong, rng)


def description(scene: Scene, rng: random.Random) -> Turn:
    """Describe the picture: the things in reading order."""
    question = rng.choice(("Describe the picture.", "What is in the picture?", "What does the picture show?"))
    names = [thing.name for thing in scene.things]
    return Turn(
        "description", "list", question, " and ".join(names), f"the picture shows {' and '.join(reversed(names))}"
    )


def scan(picture: Picture) -> Turn:
    """Everything, place by place from the top left, then the sign: `nothing red star nothing ... four seven`.

    It is not one of `KINDS`, but a task for learning to see. The words follow the image's order, so the source of each
    word is at a fixed distance before it. A model learns this long before it can search for a thing.
    """
    if isinstance(picture, Chart):
        answer = " ".join(f"{color} {number(height)}" for color, height in picture.columns)
    else:
        by_place = {thing.place: thing.name for thing in picture.things}
        answer = " ".join([*(by_place.get(place, "nothing") for place in _PLACES), *picture.sign])
    return Turn("scan", "list", "Say everything in the picture.", answer, f"the picture shows {answer}")


def ask_chart(chart: Chart, rng: random.Random, form: str | None = None) -> Turn:
    """A question about a chart; `form` is one of `CHART_FORMS`."""
    form = rng.choice(CHART_FORMS) if form is None else form
    color, height = rng.choice(chart.columns)
    if form == "height":
        question = rng.choice(("How tall is the {} column?", "What is the number of the {} column?")).format(color)
        return Turn("chart", form, question, number(height), f"the {color} column is {number(height)}")
    if form == "extreme":
        word = rng.choice(("tallest", "shortest"))
        heights = {height: color for color, height in chart.columns}
        found = heights[max(heights) if word == "tallest" else min(heights)]
        question = rng.choice(("Which column is the {}?", "What color is the {} column?")).format(word)
        return Turn("chart", form, question, found, f"the {found} column is the {word}")
    if form == "compare":
        second, other_height = rng.choice([column for column in chart.columns if column[0] != color])
        word = "taller" if height > other_height else "shorter"
        question = f"Is the {color} column taller or shorter than the {second} column?"
        return Turn("chart", form, question, word, f"it is {word} than the {second} column")
    total = len(chart.columns)
    return Turn("chart", form, "How many columns are there?", number(total), f"there are {number(total)} columns")


CHART_FORMS = ("height", "height", "extreme", "compare", "total")

ASKERS: dict[Asker, float] = {
    existence: 1.0,
    count_open: 1.0,
    count_check: 0.5,
    color_open: 1.5,
    color_check: 0.5,
    shape_open: 1.5,
    place_open: 1.5,
    thing_at: 0.6,
    relation_check: 1.3,
    relation_open: 0.9,
    reading_open: 0.4,
    reading_check: 0.4,
    choice_caption: 1.3,
    choice_word: 0.8,
    description: 0.4,
}
"""Every kind of question about a scene with its weight. Questions that require finding a thing are more frequent than
descriptions, whose many easy words would dominate a loss per token."""

KINDS = ("existence", "count", "attribute", "position", "relation", "reading", "choice", "description", "chart")


def _choose(question: str, right: str, wrong: Sequence[str], rng: random.Random) -> Turn:
    spot = rng.randrange(len(wrong) + 1)
    options = (*wrong[:spot], right, *wrong[spot:])
    letter = LETTERS[spot].upper()
    return Turn("choice", f"of {number(len(options))}", question, letter, letter, options)


def _yes_no(truth: bool) -> str:
    return "yes" if truth else "no"


def _there_are(total: int, group: str) -> str:
    return f"there is one {group.removesuffix('s')}" if total == 1 else f"there are {number(total)} {group}"


def _colors(scene: Scene) -> list[str]:
    return [thing.color for thing in scene.things]


def _shapes(scene: Scene) -> list[str]:
    return [thing.shape for thing in scene.things]


def _unique(scene: Scene) -> list[Thing]:
    """Things with a unique pair of colour and shape."""
    names = [thing.name for thing in scene.things]
    return [thing for thing in scene.things if names.count(thing.name) == 1]


def _refer(scene: Scene, thing: Thing, rng: random.Random, *, article: bool = True) -> str:
    """A thing's shape if that is unique, but half of the time with its colour."""
    short = _shapes(scene).count(thing.shape) == 1 and rng.random() < 0.5
    return ("the " if article else "") + (thing.shape if short else thing.name)


def _group(scene: Scene, rng: random.Random, *, least: int = 0) -> tuple[str, int]:
    """A group of things in words and its size; every size that occurs is equally likely."""
    colors, shapes = _colors(scene), _shapes(scene)
    sizes = {plural(shape): shapes.count(shape) for shape in SHAPES}
    sizes |= {f"{color} shapes": colors.count(color) for color in COLORS}
    sizes["shapes"] = len(scene.things)
    total = rng.choice(sorted({size for size in sizes.values() if size >= least}))
    return rng.choice(sorted(group for group, size in sizes.items() if size == total)), total


def _related(scene: Scene, rng: random.Random) -> tuple[Thing, Thing, str] | None:
    """Two things in a random order and a relation that holds from the first to the second."""
    pairs = []
    for first in _unique(scene):
        for second in _unique(scene):
            if first.column != second.column:
                pairs.append((first, second, "left of" if first.column < second.column else "right of"))
            if first.row != second.row:
                pairs.append((first, second, "above" if first.row < second.row else "below"))
    return rng.choice(pairs) if pairs else None
