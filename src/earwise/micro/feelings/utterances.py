"""Utterances: words, and a feeling drawn independently of them.

Most words are neutral, or suggest another feeling than the voice (contrary), and some suggest the same (fitting), by
chance. A reader is misled exactly as often as the shares say. Which split an utterance belongs to is a function of its
words, so that no two splits, of whatever seed, share a sentence.
"""

from __future__ import annotations

import hashlib
import random
from dataclasses import dataclass
from typing import Literal

from earwise.micro.feelings.words import FEELINGS, OBJECTS, SUBJECTS, VERB_OF, VERBS, Feeling
from earwise.micro.sounds.questions import OPTIONS
from earwise.micro.sounds.world import Split

Words = Literal["fitting", "contrary", "neutral"]
"""Relation of words and voice."""


@dataclass(frozen=True)
class Utterance:
    """Words, and the feeling of the voice."""

    subject: str
    verb: str
    thing: str
    feeling: Feeling
    """In the voice."""

    @property
    def text(self) -> str:
        """`they lost the keys`."""
        return f"{self.subject} {self.verb} the {self.thing}"

    @property
    def said(self) -> Feeling:
        """The feeling that the words alone suggest."""
        return VERB_OF[self.verb]

    @property
    def words(self) -> Words:
        """Whether the words fit the voice, are neutral, or suggest another feeling."""
        if self.said == self.feeling:
            return "fitting"
        return "neutral" if self.said == "neutral" else "contrary"


def draw_utterance(split: Split, rng: random.Random, neutral_words: float, *, fitting: bool = False) -> Utterance:
    """An utterance of `split`: a share `neutral_words` has neutral words, the words of the others suggest any of three
    feelings.

    With `fitting`, the feeling is that of the words, which teaches a reader their meaning.
    """
    while True:
        emotional = [feeling for feeling in FEELINGS if feeling != "neutral"]
        said: Feeling = "neutral" if rng.random() < neutral_words else rng.choice(emotional)
        feeling = said if fitting else rng.choice(FEELINGS)
        one = Utterance(rng.choice(SUBJECTS), rng.choice(VERBS[said]), rng.choice(OBJECTS), feeling)
        if split_of(one.text) == split:
            return one


def split_of(text: str) -> Split:
    """The split of a sentence: 70 % train, 10 % validation, 20 % test."""
    bucket = hashlib.sha256(text.encode()).digest()[0] % 10
    return "train" if bucket < 7 else "validation" if bucket < 8 else "test"


@dataclass(frozen=True)
class WordQuestion:
    """A question about the words of an utterance, with four options in order."""

    form: Literal["verb", "thing"]
    options: tuple[str, ...]
    right: str

    text = "which word is spoken?"


def ask_word(utterance: Utterance, rng: random.Random) -> WordQuestion:
    """What was done, or to what: the options are words of one kind, so that only hearing tells."""
    if rng.random() < 0.5:
        right, known = utterance.verb, tuple(VERB_OF)
        form: Literal["verb", "thing"] = "verb"
    else:
        right, known, form = utterance.thing, OBJECTS, "thing"
    others = rng.sample([word for word in known if word != right], OPTIONS - 1)
    return WordQuestion(form, tuple(rng.sample([right, *others], OPTIONS)), right)
