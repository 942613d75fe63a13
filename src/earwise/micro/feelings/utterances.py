"""Utterances: words, and a feeling drawn independently of them.

Most words are neutral or suggest another feeling than the voice (contrary); some suggest the same feeling (fitting), by
chance. The split of an utterance depends only on its words, so that no two splits share a sentence.
"""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import Literal

from earwise.micro.feelings.words import FEELINGS, OBJECTS, SUBJECTS, VERB_OF, VERBS, Feeling
from earwise.micro.sounds.questions import OPTIONS
from earwise.micro.splits import Split, split_by

Words = Literal["fitting", "contrary", "neutral"]
"""Relation of words and voice."""


@dataclass(frozen=True)
class Utterance:
    """Words, and the feeling of the voice."""

    subject: str
    verb: str
    thing: str
    feeling: Feeling
    """The feeling in the voice."""

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
    """An utterance of `split`. A share `neutral_words` has neutral words; the words of the others suggest any of three
    feelings.

    With `fitting`, the feeling is that of the words, which teaches a reader their meaning.
    """
    while True:
        emotional = [feeling for feeling in FEELINGS if feeling != "neutral"]
        said: Feeling = "neutral" if rng.random() < neutral_words else rng.choice(emotional)
        feeling = said if fitting else rng.choice(FEELINGS)
        one = Utterance(rng.choice(SUBJECTS), rng.choice(VERBS[said]), rng.choice(OBJECTS), feeling)
        if split_by(one.text) == split:
            return one


@dataclass(frozen=True)
class WordQuestion:
    """A question about the words of an utterance, with four options in order."""

    form: Literal["verb", "thing"]
    options: tuple[str, ...]
    right: str

    text = "which word is spoken?"


def ask_word(utterance: Utterance, rng: random.Random) -> WordQuestion:
    """What was done, or to what? The options are words of one kind, so that the answer must be heard."""
    if rng.random() < 0.5:
        right, known = utterance.verb, tuple(VERB_OF)
        form: Literal["verb", "thing"] = "verb"
    else:
        right, known, form = utterance.thing, OBJECTS, "thing"
    others = rng.sample([word for word in known if word != right], OPTIONS - 1)
    return WordQuestion(form, tuple(rng.sample([right, *others], OPTIONS)), right)
