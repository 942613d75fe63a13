"""The words of the laboratory of feelings: those of the laboratory of sounds, and of its utterances and questions.

An utterance has subject, verb and object: `they lost the keys`. Only the verb suggests a feeling. Words for the same
place sound different.
"""

from __future__ import annotations

from typing import Final, Literal

from earwise.micro.sounds.words import SOUND_VOCABULARY

Feeling = Literal["angry", "happy", "neutral", "sad"]
FEELINGS: Final[tuple[Feeling, ...]] = ("angry", "happy", "neutral", "sad")
"""The four usual classes of emotion recognition."""

SUBJECTS: Final = ("i", "you", "we", "they")

VERBS: Final[dict[Feeling, tuple[str, ...]]] = {
    "angry": ("broke", "stole", "ruined", "smashed"),
    "happy": ("loved", "found", "enjoyed", "welcomed"),
    "neutral": ("held", "moved", "used", "opened"),
    "sad": ("lost", "missed", "buried", "mourned"),
}
"""Verbs by the feeling that they suggest to a reader."""

OBJECTS: Final = (
    "book", "bottle", "camera", "car", "garden", "jacket", "keys", "kitchen", "ladder", "letter", "money", "office",
    "phone", "picture", "ring", "window",
)  # fmt: skip

VERB_OF: Final[dict[str, Feeling]] = {verb: feeling for feeling, verbs in VERBS.items() for verb in verbs}
"""The feeling that each verb suggests."""

_GRAMMAR = """
clip conveyed convey does emotion emotions express expressed expresses feel feeling feels following happiness how
listen listening mood of one person recording sadness anger shown sound sounds speak speaker speaking speaks speech
talking this tone utterance voice whose angry happy neutral sad
"""

FEELING_VOCABULARY: Final[tuple[str, ...]] = tuple(
    dict.fromkeys(
        [
            *SOUND_VOCABULARY,
            *FEELINGS,
            *SUBJECTS,
            *(verb for verbs in VERBS.values() for verb in verbs),
            *OBJECTS,
            *sorted(set(_GRAMMAR.split())),
        ]
    )
)
"""All words, in the order of their token ids. Words of the laboratory of sounds have the same ids as there."""
