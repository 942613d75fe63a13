"""The words of the sound laboratory: all questions, answers, claims and speech consist of these.

A word is one token of the laboratory's tokenizer, so there are few of them, and no two kinds of things share one.
"""

from __future__ import annotations

from earwise.micro.words import DIGITS, LETTERS, SIGN_WORDS

KINDS = ("bell", "bird", "clock", "dog", "drum", "flute", "siren", "trumpet")
"""Things that sound; `timbres` has the sound of each and `frames` its picture."""

INSTRUMENTS = ("drum", "flute", "trumpet")
"""Of `KINDS`, those in the closed vocabulary of MUSIC-AVQA."""

NUMBERS = DIGITS
"""Words for 0 to 9: slots count from one."""

CONTOURS = ("rising", "falling", "level", "waving")
"""How a melody goes."""

TEMPOS = ("fast", "slow")
"""How quickly the notes of a melody follow each other."""

SPOKEN_WORDS = SIGN_WORDS
"""Words of the speech task: they differ by more than one phoneme."""

END = "."
"""Ends a claim; a token of its own."""

_GRAMMAR = """
after agree always and answer are assistant at audio be before between can claim comes count different does down each
everything find for from give go hear heard helpful how in instrument instruments is it last least letter list many
melody more most no note notes number of often on only option or order phrase play playing question reason right sees
said say seen silent single sound sounds speech spoken statement than that the then there these thing things times
using video voice what when which with word write yes you first or sentence sentences short
"""

SOUND_VOCABULARY: tuple[str, ...] = tuple(
    dict.fromkeys([*KINDS, *NUMBERS, *LETTERS, *CONTOURS, *TEMPOS, *SPOKEN_WORDS, *sorted(set(_GRAMMAR.split()))])
)
"""All words, in the order of their token ids; fewer than 200. `END` and the tags are tokens of the tokenizer itself."""
