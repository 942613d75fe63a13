"""The controls asked beside `sound_text`, and the assignment of other items' sounds for `sound_swapped`."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass, replace

from earwise.data.choices import LETTERS
from earwise.errors import InputError
from earwise.evaluate.sound import CONTROLS, MAIN
from earwise.io.messages import counted
from earwise.models.sample import Sample
from earwise.records import Item, View


def with_controls(views: Sequence[View]) -> tuple[View, ...]:
    """`views`, plus all missing controls if `sound_text` is among them."""
    added = [view for view in CONTROLS if view not in views] if MAIN in views else []
    return (*views, *added)


@dataclass(frozen=True)
class Swapped:
    """Samples with `other_sound`; `same_answer` counts those whose new sound belongs to the same answer."""

    samples: Sequence[Sample]
    same_answer: int


def swap_sounds(samples: Sequence[Sample], seed: int) -> Swapped:
    """Give every sample another sample's sound, each sound once: a derangement, drawn by seed. No sample gets a sound
    of its own cluster. A sound comes from a question with another answer as far as possible: always, unless more than
    half of the answers are the same. Raises `InputError` for a sample without sound, and if one cluster is too large
    for a derangement.
    """
    if silent := [sample.key for sample in samples if sample.sound is None]:
        raise InputError("the item has no sound", record=silent[0], remedy="name its audio or video")
    items = [sample.turns[0].item for sample in samples]
    answers = [_answer(item) for item in items]
    donor_of = donors(answers, [item.cluster for item in items], seed)
    swapped = [replace(one, other_sound=samples[donor].sound) for one, donor in zip(samples, donor_of, strict=True)]
    return Swapped(swapped, sum(answers[place] == answers[donor] for place, donor in enumerate(donor_of)))


def donors(answers: Sequence[str], clusters: Sequence[str], seed: int) -> list[int]:
    """For each place, the place whose sound it gets. Places are sorted by answer and shifted by the count of the most
    frequent answer, so that as many as possible meet another answer. Places that meet their own cluster are then
    exchanged. Raises `InputError` if one cluster is too large for that.
    """
    rng, count = random.Random(f"{seed}:swap"), len(answers)
    shuffled = rng.sample(range(count), count)
    groups: dict[str, list[int]] = {}
    for place in shuffled:
        groups.setdefault(answers[place], []).append(place)
    ordered = [place for group in groups.values() for place in group]
    step = max((len(group) for group in groups.values()), default=0)
    step = step if step < count else 1
    found = {place: ordered[(n + step) % count] for n, place in enumerate(ordered)}

    def cost(place: int, donor: int) -> int:
        return 2 * (count + 1) * (clusters[place] == clusters[donor]) + (answers[place] == answers[donor])

    for place in ordered:
        if clusters[place] != clusters[found[place]]:
            continue
        for other in shuffled:
            now = cost(place, found[place]) + cost(other, found[other])
            if cost(place, found[other]) + cost(other, found[place]) < now:
                found[place], found[other] = found[other], found[place]
            if not cost(place, found[place]):
                break
    if stuck := [place for place in range(count) if clusters[place] == clusters[found[place]]]:
        what = f"no other sound is left for {counted(len(stuck), 'item')}: too many belong to one cluster"
        raise InputError(what, record=clusters[stuck[0]], remedy="evaluate on more items")
    return [found[place] for place in range(count)]


def _answer(item: Item) -> str:
    """The gold answer as text: an option's letter means nothing across questions."""
    answer = item.choices[LETTERS.index(item.answers[0])] if item.choices else item.answers[0]
    return answer.casefold().strip()
