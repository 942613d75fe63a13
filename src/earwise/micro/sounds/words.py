"""The words of the sound laboratory's questions, answers, claims and speech. Each word is one token."""

from __future__ import annotations

from earwise.micro.words import DIGITS, LETTERS, SIGN_WORDS

KINDS = ("bell", "bird", "clock", "dog", "drum", "flute", "siren", "trumpet")
"""Things that sound; `timbres` has their sounds and `pictures` their pictures."""

INSTRUMENTS = ("drum", "flute", "trumpet")
"""The `KINDS` in the closed vocabulary of MUSIC-AVQA."""

NUMBERS = DIGITS
"""Words for 0 to 9: slots count from one."""

CONTOURS = ("rising", "falling", "level", "waving")
"""Shapes of melodies."""

TEMPOS = ("fast", "slow")
"""Speeds of melodies."""

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
"""All words, in the order of their token ids. `END` and the tags are separate tokens of the tokenizer."""
