"""Controls of a score that is earned by hearing: the same questions without sound, with silence, with another sound.

Many questions about sounds can be answered without them (arXiv 2509.17901 reports four of five in AVQA from one muted
frame), so no score under `sound_text` stands alone.
"""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

from earwise.data.choices import LETTERS
from earwise.errors import InputError
from earwise.evaluate.benchmarks import aggregate, aggregate_gap
from earwise.models.views import Sample
from earwise.records import Item, Score, View

MAIN: Final[View] = "sound_text"
CONTROLS: Final[tuple[View, ...]] = ("text_only", "sound_off", "sound_swapped")


def with_controls(views: Sequence[View]) -> tuple[View, ...]:
    """`views`, and with `sound_text` among them every control that is not."""
    added = [view for view in CONTROLS if view not in views] if MAIN in views else []
    return (*views, *added)


@dataclass(frozen=True)
class SoundGap:
    """What a benchmark loses, 0-100, when its sound is taken away: `sound_text` minus a control, paired."""

    control: View
    score: float
    """Under the control."""
    gap: float
    low: float
    high: float

    @property
    def hears(self) -> bool:
        """Whether the sound helps: the 95 % interval of the gap is above 0."""
        return self.low > 0


def sound_gaps(name: str, scores: Mapping[View, Sequence[Score]], seed: int = 0) -> list[SoundGap]:
    """The gap of benchmark `name` to every control, with 95 % intervals over clusters; `scores` of one model, by view.

    Raises `InputError` if `sound_text` or a control was not scored.
    """
    if missing := [view for view in (MAIN, *CONTROLS) if not scores.get(view)]:
        raise InputError(f"no scores under {', '.join(missing)}", record=name, remedy="evaluate with the controls")
    gaps = []
    for control in CONTROLS:
        gap, low, high = aggregate_gap(name, scores[MAIN], scores[control], seed)
        gaps.append(SoundGap(control, aggregate(name, scores[control]), gap, low, high))
    return gaps


@dataclass(frozen=True)
class Swapped:
    """Samples with `other_sound`, and how many of them got a sound whose own answer is the same."""

    samples: Sequence[Sample]
    same_answer: int


def swap_sounds(samples: Sequence[Sample], seed: int) -> Swapped:
    """Give every sample another one's sound, each sound to one sample: a derangement, drawn by seed.

    No sample gets a sound of its own cluster. Sounds come from questions with another answer as far as there are any:
    always, unless more than half of the answers are the same. Raises `InputError` for a sample without sound, and where
    there is no such derangement because of one cluster.
    """
    if silent := [sample.key for sample in samples if sample.sound is None]:
        raise InputError("the item has no sound", record=silent[0], remedy="name its audio or video")
    items = [sample.turns[0].item for sample in samples]
    answers = [_answer(item) for item in items]
    donors = _donors(answers, [item.cluster for item in items], seed)
    swapped = [replace(one, other_sound=samples[donor].sound) for one, donor in zip(samples, donors, strict=True)]
    return Swapped(swapped, sum(answers[place] == answers[donor] for place, donor in enumerate(donors)))


def _donors(answers: Sequence[str], clusters: Sequence[str], seed: int) -> list[int]:
    """For each place the place whose sound it gets. Sorted by answer and moved on by the most frequent answer's count,
    as many places as can be meet another answer; what meets its own cluster is then exchanged.
    """
    rng, count = random.Random(f"{seed}:swap"), len(answers)
    shuffled = rng.sample(range(count), count)
    groups: dict[str, list[int]] = {}
    for place in shuffled:
        groups.setdefault(answers[place], []).append(place)
    ordered = [place for group in groups.values() for place in group]
    step = max((len(group) for group in groups.values()), default=0)
    step = step if step < count else 1
    donors = {place: ordered[(n + step) % count] for n, place in enumerate(ordered)}

    def cost(place: int, donor: int) -> int:
        return 2 * (count + 1) * (clusters[place] == clusters[donor]) + (answers[place] == answers[donor])

    for place in ordered:
        if clusters[place] != clusters[donors[place]]:
            continue
        for other in shuffled:
            now = cost(place, donors[place]) + cost(other, donors[other])
            if cost(place, donors[other]) + cost(other, donors[place]) < now:
                donors[place], donors[other] = donors[other], donors[place]
            if not cost(place, donors[place]):
                break
    if stuck := [place for place in range(count) if clusters[place] == clusters[donors[place]]]:
        what = f"no other sound is left for {len(stuck)} items: too many belong to one cluster"
        raise InputError(what, record=clusters[stuck[0]], remedy="evaluate on more items")
    return [donors[place] for place in range(count)]


def _answer(item: Item) -> str:
    """The gold answer in words: letters of options mean nothing across questions."""
    answer = item.choices[LETTERS.index(item.answers[0])] if item.choices else item.answers[0]
    return answer.casefold().strip()
